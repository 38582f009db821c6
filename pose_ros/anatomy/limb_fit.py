# SPDX-License-Identifier: Apache-2.0
"""Limb fit: bones do not change their length, so noisy points are moved to where each has its own.

How long the bones of each subject are is learnt over time by :class:`pose_ros.anatomy.limbs.LimbLengths`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.limbs import LimbLengths, limbs
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

#: Bones between joints, without their sides. Trunk and shoulders bend, and what a face is made of is too short.
_BONES = {
    frozenset(pair) for pair in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("hip", "hip"),
        ("hip", "mid_hip"), ("hip", "root"), ("hip", "pelvis"), ("ankle", "heel"), ("ankle", "big_toe"),
        ("ankle", "foot_index"), ("heel", "foot_index"), ("heel", "big_toe"),
    )
}  # fmt: skip
#: How well a length is known, and a point whose covariance is not: standard deviations, metres.
_LENGTH_M, _POINT_M = 0.003, 0.02
#: A bone whose length is off by more than this many standard deviations is a mistake, and pulls at no other point.
_MISTAKE = 4.0
#: A third round changes a length by less than its own uncertainty, unless points are off by a quarter of a bone.
_ROUNDS = 2


class LimbFit:
    """Give the bones of tracked subjects the lengths that they had so far."""

    def __init__(self, lengths: LimbLengths | None = None) -> None:
        """Start with nobody, or share what somebody else learns, who then updates it."""
        self._lengths, self._own = lengths or LimbLengths(), lengths is None

    def reset(self) -> None:
        """Forget everybody whose lengths were learnt here."""
        if self._own:
            self._lengths.reset()

    def __call__(self, poses: Poses, stamp_ns: int) -> Poses:
        """Return poses whose ``points`` fit their bones, with the covariances of that where they have any.

        Until a subject was seen a few times its points stay as they are. A stamp before the last one starts over.
        """
        if self._own:
            self._lengths.update(poses, stamp_ns)
        which = _bones(poses.skeleton)
        if poses.points is None or not len(which) or not len(poses):
            return poses
        known, mirror = self._lengths.known(poses), limbs(poses.skeleton).mirror
        both = np.stack([known, known[:, mirror]])
        there = np.isfinite(both)
        if not there.any():
            return poses
        # A left bone is as long as the right one.
        length = np.where(there, both, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        length[~there.any(axis=0)] = np.nan
        points, covariances = fitted(
            poses.points, limbs(poses.skeleton).ends[which], length[:, which], poses.covariances)
        return poses.replace(points=points, covariances=covariances)


@lru_cache(maxsize=64)
def _bones(skeleton: Skeleton) -> np.ndarray:
    """Return which limbs of a skeleton are bones, indices."""
    names = [joint.removeprefix("left_").removeprefix("right_") for joint in skeleton.joints]
    ends = limbs(skeleton).ends.tolist()
    return np.array([i for i, (a, b) in enumerate(ends) if frozenset((names[a], names[b])) in _BONES], np.int64)


def fitted(
    points: np.ndarray, ends: np.ndarray, lengths: np.ndarray, covariances: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the points nearest to those seen, by their covariances, whose bones have known lengths.

    The lengths are taken as measurements of a few millimetres: the update of an iterated extended Kalman filter (Bell
    and Cathey 1993) for all bones of a subject at once. What the errors of all points have in common, such as the
    distance of a body that one camera sees, does not change by it and does not belong into the covariances.

    Args:
        points: (N, K, 3) metres; NaN stays NaN.
        ends: (L, 2) keypoints that bones join.
        lengths: (N, L) metres; NaN where not known.
        covariances: (N, K, 3, 3) square metres of independent points; all alike when left out, and where NaN.

    Returns:
        (N, K, 3) metres, and the covariances (N, K, 3, 3) of the fit; None where none were given.
    """
    used, index = np.unique(ends, return_inverse=True)
    index = index.reshape(ends.shape)
    seen = np.asarray(points, np.float64)[:, used]
    n, limb_count = lengths.shape
    spread = np.broadcast_to(np.eye(3) * _POINT_M**2, (n, len(used), 3, 3))
    if covariances is not None:
        given = np.asarray(covariances, np.float64)[:, used]
        spread = np.where(np.isfinite(given).all(axis=(2, 3), keepdims=True), given, spread)
    joins = np.zeros((limb_count, len(used)))
    joins[np.arange(limb_count), index[:, 0]], joins[np.arange(limb_count), index[:, 1]] = 1, -1
    bones = seen[:, index[:, 0]] - seen[:, index[:, 1]]
    with np.errstate(invalid="ignore"):
        size = np.sqrt(np.einsum("nli,nli->nl", bones, bones))
        around = spread[:, index[:, 0]] + spread[:, index[:, 1]]
        # Of the length: times the length.
        deviation = np.sqrt(np.einsum("nli,nlij,nlj->nl", bones, around, bones))
        taken = np.abs(size - lengths) * size <= _MISTAKE * deviation
    start = np.where(np.isnan(seen), 0.0, seen)
    goal = np.where(taken, lengths, 0.0)
    fit = start
    for _ in range(_ROUNDS):
        bones = fit[:, index[:, 0]] - fit[:, index[:, 1]]
        size = np.sqrt(np.einsum("nli,nli->nl", bones, bones))
        along = bones * (taken / np.maximum(size, 1e-9))[..., None]
        slopes = joins[..., None] * along[:, :, None]
        # Both (N, L, 3 P): how lengths change with points, and that by the spread of the points.
        reach = (slopes[..., None, :] @ spread[:, None]).reshape(n, limb_count, -1)
        slopes = slopes.reshape(n, limb_count, -1)
        noise = slopes @ reach.swapaxes(1, 2) + np.eye(limb_count) * _LENGTH_M**2
        moved = (fit - start).reshape(n, -1, 1)
        off = np.where(taken, goal - size, 0.0)[..., None] + slopes @ moved
        gain = np.linalg.solve(noise, np.concatenate([off, reach], axis=2))
        fit = start + (reach.swapaxes(1, 2) @ gain[..., :1]).reshape(start.shape)
    out = np.array(points, np.float32)
    out[:, used] = np.where(np.isnan(seen), np.nan, fit)
    if covariances is None:
        return out, None
    reach, gain = (a.reshape(n, limb_count, -1, 3) for a in (reach, gain[..., 1:]))
    taken_away = np.einsum("nlpi,nlpj->npij", reach, gain)
    spreads = np.array(covariances, np.float32)
    spreads[:, used] = np.where(np.isfinite(spreads[:, used]), spread - taken_away, np.nan)
    return out, spreads
