# SPDX-License-Identifier: Apache-2.0
"""How far estimates are from the truth, and whether they know it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.poses import Poses, Source
from pose_ros.multiview.rig import PosedCamera
from scenes.observing import EPOCH_NS
from scenes.people import Person, at

#: Subjects farther from everybody than this, metres (mean of the joints), are nobody.
_FARTHEST = 0.5
#: 95 % of the squares of three normal numbers are below this in sum.
_INSIDE_95 = 7.814728
#: Half of them are.
_MEDIAN = 2.365974


@dataclass(frozen=True, eq=False)
class Score:
    """What became of all joints of all people at all moments."""

    #: (E,) metres: distance of each estimated joint from the true one.
    errors_m: np.ndarray
    #: (E,) e^T C^-1 e; NaN without a covariance. Its mean is 3 where covariances are right.
    squares: np.ndarray
    #: (E,) int: which keypoint, and core.poses.Source.
    keypoints: np.ndarray
    sources: np.ndarray
    #: True joints and those of them that were estimated; estimated subjects, and those of them that are nobody.
    joints: int
    subjects: int
    nobodies: int
    #: How often somebody's id changed, and how many ids there were.
    switches: int
    ids: int

    @property
    def share(self) -> float:
        """Part of the true joints that was estimated."""
        return len(self.errors_m) / max(self.joints, 1)

    @property
    def square(self) -> float:
        """Mean of e^T C^-1 e / 3: 1 where covariances are right, more where they are too small."""
        known = self.squares[np.isfinite(self.squares)]
        return float(known.mean() / 3) if len(known) else np.nan

    @property
    def inside(self) -> float:
        """Part of the errors inside of the ellipsoid that should hold 95 %."""
        known = self.squares[np.isfinite(self.squares)]
        return float((known < _INSIDE_95).mean()) if len(known) else np.nan

    @property
    def middle(self) -> float:
        """Median of e^T C^-1 e, of what it is where covariances are right: gross mistakes do not change it."""
        known = self.squares[np.isfinite(self.squares)]
        return float(np.median(known) / _MEDIAN) if len(known) else np.nan

    def only(self, rows: np.ndarray) -> Score:
        """Return the score of some of the joints, (E,) bool."""
        columns = {name: getattr(self, name)[rows] for name in ("errors_m", "squares", "keypoints", "sources")}
        return dataclasses.replace(self, **columns)

    def of(self, *sources: Source) -> Score:
        """Return the score of the joints with one of these sources."""
        return self.only(np.isin(self.sources, sources))

    @property
    def honesty(self) -> str:
        """How errors fit their covariances, in words."""
        return f"square {self.square:5.2f}  median {self.middle:5.2f}  in 95 % {self.inside:6.1%}"

    def __str__(self) -> str:
        """Return one line of numbers."""
        mm = 1000 * self.errors_m
        middle, worst = np.percentile(mm, [50, 95]) if len(mm) else (np.nan, np.nan)
        rows = np.isin(self.sources, (Source.INFERRED, Source.HELD))
        guessed, sure = self.only(rows), self.only(~rows)
        return (
            f"error mm: mean {mm.mean() if len(mm) else np.nan:6.1f}  median {middle:6.1f}  P95 {worst:6.1f} | "
            f"joints {self.share:6.1%}  nobodies {self.nobodies:3d} | switches {self.switches:2d}  ids {self.ids:2d} | "
            f"covariance: {sure.honesty}"
            + (f" | {len(guessed.errors_m)} guessed: {guessed.honesty}" if len(guessed.errors_m) else "")
        )


def score(
    estimates: Iterable[tuple[int, Poses]], people: list[Person], camera: PosedCamera | None = None,
    min_score: float = 0.0,
) -> Score:  # fmt: skip
    """Return how good estimates are.

    Args:
        estimates: Stamps, nanoseconds, and the poses that were estimated for them, with ``points``.
        people: Of the scene.
        camera: In whose optical frame the points are; None: in the world.
        min_score: Keypoints with a lower score count as missing.
    """
    rows: list[np.ndarray] = []
    last: dict[int, int] = {}
    ids: set[int] = set()
    counts = {"joints": 0, "subjects": 0, "nobodies": 0, "switches": 0}
    for stamp_ns, poses in estimates:
        truth = at(people, (stamp_ns - EPOCH_NS) / 1e9)
        true = truth.points(poses.skeleton)[0]
        if camera is not None:
            true = true @ camera.rotation.T + camera.translation
        counts["joints"] += int(np.isfinite(true).all(axis=2).sum())
        if poses.points is None or not len(poses):
            continue
        points = np.where((poses.scores >= min_score)[..., None], poses.points, np.nan).astype(np.float64)
        placed = np.any(np.isfinite(points).all(axis=2), axis=1)
        offsets = np.linalg.norm(points[:, None] - true, axis=3)
        # All columns of who has no joint in common are NaN.
        known = np.isfinite(offsets)
        with np.errstate(invalid="ignore"):
            apart = np.where(known, offsets, 0).sum(axis=2) / known.sum(axis=2)
        pairs = assign(np.nan_to_num(1 - apart / _FARTHEST))
        counts["subjects"] += int(placed.sum())
        counts["nobodies"] += int(placed.sum()) - len(pairs)
        for row, person in pairs.tolist():
            own = int(poses.ids[row])
            counts["switches"] += last.setdefault(person, own) != own
            last[person] = own
            ids.add(own)
            seen = np.flatnonzero(known[row, person])
            error = points[row, seen] - true[person, seen]
            square = np.full(len(seen), np.nan)
            if poses.covariances is not None:
                covariance = poses.covariances[row, seen].astype(np.float64)
                good = np.isfinite(covariance).all(axis=(1, 2))
                solved = np.linalg.solve(covariance[good], error[good][..., None])[..., 0]
                square[good] = (error[good] * solved).sum(axis=1)
            rows.append(np.column_stack([offsets[row, person, seen], square, seen, poses.sources[row, seen]]))
    table = np.concatenate([*rows, np.empty((0, 4))])
    return Score(table[:, 0], table[:, 1], table[:, 2].astype(int), table[:, 3].astype(int), ids=len(ids), **counts)


def switches(tracked: Iterable[tuple[np.ndarray, Poses]]) -> tuple[int, int]:
    """Return how often somebody's id changed, and how many ids there were.

    Args:
        tracked: For each image the true ids of the first rows, and the poses with the ids of a tracker.
    """
    last: dict[int, int] = {}
    count, ids = 0, set()
    for true_ids, poses in tracked:
        for person, own in zip(true_ids.tolist(), poses.ids.tolist(), strict=False):
            count += last.setdefault(person, own) != own
            last[person] = own
            ids.add(own)
    return count, len(ids)
