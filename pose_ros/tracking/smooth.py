# SPDX-License-Identifier: Apache-2.0
"""Smooth: take the tremble out of positions, and follow fast movement at once (Casiez et al., CHI 2012).

State over time is kept for each subject; time comes from stamps. Constants are those of MediaPipe's
``pose_landmark_filtering`` graph (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT, Poses


@dataclass(eq=False)
class _State:
    """What is remembered of N rows."""

    ids: np.ndarray
    stamp_ns: int
    raw: np.ndarray
    smooth: np.ndarray
    speed: np.ndarray


class OneEuro:
    """One-Euro filter over rows that come and go.

    A low-pass filter whose cutoff rises with speed: ``cutoff = min_cutoff + beta * speed``.
    """

    def __init__(self, min_cutoff: float, beta: float, speed_cutoff: float = 1.0) -> None:
        """Choose how much to smooth.

        Args:
            min_cutoff: Cutoff at rest, Hz; lower smooths more.
            beta: Rise of the cutoff per unit of speed; higher lags less.
            speed_cutoff: Cutoff of the filter on the speed itself, Hz.
        """
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self._state: _State | None = None

    def reset(self) -> None:
        """Forget all rows."""
        self._state = None

    def __call__(self, ids: np.ndarray, values: np.ndarray, sizes: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return smooth values.

        Args:
            ids: (N,) which subject each row is, none twice; 0: not known. What was not there before passes unchanged.
            values: (N, ...); NaN stays NaN, and what comes after NaN passes unchanged.
            sizes: (N,) speed is measured in sizes per second.
            stamp_ns: When. Not later than the call before: everything passes unchanged.
        """
        values = np.asarray(values, np.float64)
        known, smooth, speed = self._state, values, np.zeros_like(values)
        if known is not None and len(known.ids) and len(ids) and stamp_ns > known.stamp_ns:
            smooth, speed = self._filtered(known, ids, values, sizes, (stamp_ns - known.stamp_ns) * 1e-9)
        self._state = _State(np.array(ids), stamp_ns, values, smooth, speed)
        return smooth

    def speeds(self, ids: np.ndarray) -> tuple[np.ndarray, int] | None:
        """Return how fast the values of these rows change, (N, ...) in sizes per second, and when they were seen last.

        It is NaN for rows that were not among those; None when nothing was seen yet.
        """
        known = self._state
        if known is None or not len(known.ids):
            return None
        same = (known.ids == ids[:, None]) & (ids[:, None] > 0)
        there = same.any(axis=1).reshape(-1, *[1] * (known.speed.ndim - 1))
        return np.where(there, known.speed[same.argmax(axis=1)], np.nan), known.stamp_ns

    def _filtered(
        self, known: _State, ids: np.ndarray, values: np.ndarray, sizes: np.ndarray, seconds: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return smooth values and their speed; this runs for every keypoint of every image, so it makes few arrays."""
        raw, smooth, speed, new = known.raw, known.smooth, known.speed, None
        # The same subjects in the same order is by far the most frequent case.
        if ids.tobytes() != known.ids.tobytes():
            row = (known.ids == ids[:, None]).argmax(axis=1)
            new = known.ids[row] != ids
            raw, smooth, speed = raw[row], smooth[row], speed[row]
        unknown = ids <= 0 if new is None else new | (ids <= 0)
        part = _alpha(self.speed_cutoff, seconds)
        rate = (part / seconds / sizes).reshape(-1, *[1] * (values.ndim - 1))
        now = values - raw
        now *= rate
        now += (1 - part) * speed
        # What comes after NaN is NaN up to here.
        turns = np.abs(now)
        turns *= 2 * np.pi * seconds * self.beta
        turns += 2 * np.pi * seconds * self.min_cutoff
        with np.errstate(invalid="ignore"):
            turns /= turns + 1
        out = values - smooth
        out *= turns
        out += smooth
        pass_on = ~np.isfinite(out)
        if unknown.any():
            pass_on[unknown] = True
        if pass_on.any():
            out[pass_on], now[pass_on] = values[pass_on], 0
        return out, now


def _alpha(cutoff: float, seconds: float) -> float:
    """Return the weight of the newest value in a first-order low-pass filter."""
    turns = 2 * np.pi * cutoff * seconds
    return float(turns / (turns + 1))


class PoseSmoother:
    """Smooth the keypoints of tracked subjects."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._keypoints = OneEuro(0.05, 80.0)
        self._local_points = OneEuro(0.1, 40.0)
        # A mean over half a second: which side a hand is on does not change.
        self._right = OneEuro(0.3, 0.0)

    def reset(self) -> None:
        """Forget everybody."""
        self._keypoints.reset()
        self._local_points.reset()
        self._right.reset()

    def __call__(self, poses: Poses, stamp_ns: int) -> Poses:
        """Return the poses with smooth keypoints and local points, and sides by majority; scores and boxes stay."""
        if poses.regions is None:
            sizes = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(axis=1)
        else:
            sizes = poses.regions[:, 2:4].max(axis=1)
        keypoints = self._keypoints(poses.ids, poses.keypoints, np.fmax(sizes, 1.0), stamp_ns)
        poses = self._sided(poses, stamp_ns)
        if poses.local_points is None:
            return poses.replace(keypoints=keypoints)
        metre = np.ones(len(poses))
        return poses.replace(
            keypoints=keypoints, local_points=self._local_points(poses.ids, poses.local_points, metre, stamp_ns)
        )

    def _sided(self, poses: Poses, stamp_ns: int) -> Poses:
        """Return the poses on the side where most of the last frames saw them; what a body says of its parts stays."""
        seen = (poses.sides > 0) & (poses.parents == 0)
        if not seen.any():
            return poses
        right = np.where(poses.sides == RIGHT, poses.side_scores, 1 - poses.side_scores)
        right = self._right(poses.ids, np.where(seen, right, np.nan), np.ones(len(poses)), stamp_ns)
        return poses.replace(
            sides=np.where(seen, np.where(right > 0.5, RIGHT, LEFT), poses.sides),
            side_scores=np.where(seen, np.maximum(right, 1 - right), poses.side_scores),
        )


class RegionSmoother:
    """Smooth the regions in which subjects are followed, so that the network sees them at rest."""

    def __init__(self, enabled: bool = True) -> None:
        """Start with no region; regions pass unchanged where this is not enabled."""
        self.enabled = enabled
        self._points = OneEuro(0.01, 10.0)

    def reset(self) -> None:
        """Forget all regions."""
        self._points.reset()

    def __call__(self, ids: np.ndarray, regions: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return smooth regions, (N, 5) -> (N, 5); the middle and the point above it are smoothed."""
        if not self.enabled:
            return regions
        centre, height, angle = regions[:, :2], regions[:, 3], regions[:, 4]
        up = np.stack([np.sin(angle), -np.cos(angle)], axis=1) * (height / 2)[:, None]
        points = self._points(ids, np.stack([centre, centre + up], axis=1), height, stamp_ns)
        up = points[:, 1] - points[:, 0]
        grown = 2 * np.hypot(up[:, 0], up[:, 1]) / height
        size = regions[:, 2:4] * grown[:, None]
        return np.concatenate([points[:, 0], size, np.arctan2(up[:, 0], -up[:, 1])[:, None]], axis=1).astype(np.float32)
