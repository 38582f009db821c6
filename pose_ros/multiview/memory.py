# SPDX-License-Identifier: Apache-2.0
"""Memory: where subjects were in the world, and how fast their keypoints moved. Time comes from stamps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.multiview.one_view import held

#: A velocity is a mean over about this time, seconds; that of a keypoint that is not seen fades three times as slowly.
VELOCITY_S = 0.1
#: Distances count when they were seen so often, and a new one no less than one of so many.
_OFTEN, _MOST = 5, 60


@dataclass(eq=False)
class Known:
    """G subjects with K keypoints at one time."""

    stamp_ns: int
    #: (G, K, 3) metres; metres per second, zero where not known; and (G, K, 3, 3) square metres when measured last.
    points: np.ndarray
    velocities: np.ndarray
    covariances: np.ndarray
    #: (G, K) nanoseconds: when two cameras saw it last; 0 for never.
    measured_ns: np.ndarray
    #: (G,) how often any keypoint of it was measured.
    times: np.ndarray
    #: (G,)
    sides: np.ndarray
    parents: np.ndarray
    #: (G, L) of :func:`pose_ros.multiview.one_view.held`: mean of the distances, metres, their variance, and how often
    #: they were seen, no more than ``_MOST``.
    lengths: np.ndarray
    variances: np.ndarray
    counts: np.ndarray

    @classmethod
    def nobody(cls, stamp_ns: int, g: int, skeleton: Skeleton) -> Known:
        """Return g subjects of whom nothing is known."""
        k, pairs = len(skeleton), (g, len(held(skeleton)))
        return cls(
            stamp_ns, np.full((g, k, 3), np.nan), np.zeros((g, k, 3)), np.full((g, k, 3, 3), np.nan),
            np.zeros((g, k), np.int64), np.zeros(g, np.int64), np.zeros(g, np.uint8), np.zeros(g, np.int64),
            np.zeros(pairs), np.zeros(pairs), np.zeros(pairs, np.int64),
        )  # fmt: skip

    def at(self, stamp_ns: int) -> np.ndarray:
        """Return where the keypoints should be."""
        moved: np.ndarray = self.points + self.velocities * ((stamp_ns - self.stamp_ns) * 1e-9)
        return moved

    def distances(self) -> np.ndarray:
        """Return the distances (G, L) that are known, and NaN."""
        return np.where(self.counts >= _OFTEN, self.lengths, np.nan)

    def select(self, rows: np.ndarray) -> Known:
        """Return some of them."""
        columns = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Known(**{name: value if name == "stamp_ns" else value[rows] for name, value in columns.items()})

    def joined(self, others: Known) -> Known:
        """Return these, then others."""
        columns = {f.name: (getattr(self, f.name), getattr(others, f.name)) for f in dataclasses.fields(self)}
        stamp_ns = columns.pop("stamp_ns")[0]
        return Known(stamp_ns, **{name: np.concatenate(both) for name, both in columns.items()})

    def moved_on(
        self, stamp_ns: int, points: np.ndarray, covariances: np.ndarray, measured: np.ndarray, skeleton: Skeleton
    ) -> Known:
        """Return what to remember after another look.

        Args:
            stamp_ns: Of the look.
            points: (G, K, 3); NaN where nobody saw anything.
            covariances: (G, K, 3, 3).
            measured: (G, K) bool: seen by two cameras at least.
            skeleton: Whose keypoints they are.
        """
        seconds = (stamp_ns - self.stamp_ns) * 1e-9
        velocities = self.velocities
        if seconds > 0:
            fresh = measured & (self.measured_ns == self.stamp_ns)
            part = 1 - np.exp(-seconds / VELOCITY_S)
            change = np.where(fresh[..., None], (points - self.points) / seconds - velocities, 0) * part
            fade = np.where(measured, 1, np.exp(-seconds / (3 * VELOCITY_S)))
            velocities = (velocities + change) * fade[..., None]
        ends = held(skeleton)
        lengths = np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=2)
        seen = measured[:, ends].all(axis=2)
        counts = np.where(seen, np.minimum(self.counts + 1, _MOST), self.counts)
        off, part = np.where(seen, lengths - self.lengths, 0.0), 1 / np.maximum(counts, 1)
        return Known(
            stamp_ns,
            np.where(np.isfinite(points), points, self.at(stamp_ns)),
            velocities,
            np.where(measured[..., None, None], covariances, self.covariances),
            np.where(measured, stamp_ns, self.measured_ns),
            self.times + measured.any(axis=1),
            self.sides,
            self.parents,
            self.lengths + part * off,
            np.where(seen, (1 - part) * (self.variances + part * off * off), self.variances),
            counts,
        )
