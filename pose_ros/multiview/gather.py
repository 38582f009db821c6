# SPDX-License-Identifier: Apache-2.0
"""Gather: what cameras saw of each subject, moved to one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.multiview.associate import associate
from pose_ros.multiview.fuser_options import Rules
from pose_ros.multiview.memory import Known
from pose_ros.multiview.rig import PosedCamera, Rig

#: However small a subject is, no keypoint is seen better than this, pixels.
_FINEST = 1.0


@dataclass(frozen=True)
class Moment:
    """What is to be fused."""

    rig: Rig
    #: Camera -> when, nanoseconds, and what it saw, all of one skeleton; one at least.
    views: Mapping[str, tuple[int, Poses]]
    #: The moment to say where everybody is.
    stamp_ns: int

    @property
    def skeleton(self) -> Skeleton:
        """Of all views."""
        return next(iter(self.views.values()))[1].skeleton


class Gathered(NamedTuple):
    """What V cameras saw of P subjects; NaN and zero where they did not."""

    #: Of the cameras.
    names: Sequence[str]
    #: (V, P) row in each camera's poses, or -1.
    rows: np.ndarray
    #: (V, P, K, 2) pixels at the common moment, (V, P, K), and (V, P, 1) pixels.
    keypoints: np.ndarray
    scores: np.ndarray
    sigmas: np.ndarray
    #: (V, P)
    sides: np.ndarray
    parents: np.ndarray


def gathered(moment: Moment, names: Sequence[str], known: Known, rules: Rules) -> tuple[Gathered, Known]:
    """Return what some cameras saw of each subject, moved to the common moment; and all subjects, old and new."""
    rig, skeleton = moment.rig.of(names), moment.skeleton
    previous = world_poses(skeleton, known.at(moment.stamp_ns), sides=known.sides, parents=known.parents)
    groups = associate(rig, [moment.views[name][1] for name in names], previous, rules.association)
    known = known.joined(Known.nobody(known.stamp_ns, len(groups) - len(previous), skeleton))
    shape = (len(names), len(groups), len(skeleton))
    sights = Gathered(
        names, groups.T, np.full((*shape, 2), np.nan), np.zeros(shape), np.ones((*shape[:2], 1)),
        np.zeros(shape[:2], np.uint8), np.zeros(shape[:2], np.int64),
    )  # fmt: skip
    for v, camera in enumerate(rig):
        here = np.flatnonzero(groups[:, v] >= 0)
        seen_ns, poses = moment.views[camera.name]
        poses = poses.select(groups[here, v])
        sights.keypoints[v, here] = moved(camera, poses, known.select(here), seen_ns, moment.stamp_ns)
        sights.scores[v, here] = poses.scores
        sights.sigmas[v, here, 0] = noise_px(poses, rules.fuser.noise)
        sights.sides[v, here], sights.parents[v, here] = poses.sides, poses.parents
    known.sides = np.maximum(known.sides, sights.sides.max(axis=0, initial=0))
    known.parents = np.maximum(known.parents, sights.parents.max(axis=0, initial=0))
    return sights, known


def noise_px(poses: Poses, noise: float) -> np.ndarray:
    """Return the standard deviation of keypoints with score 1, (N,) pixels; ``noise`` is a part of a subject's size."""
    with np.errstate(all="ignore"):
        extent = np.fmax.reduce(poses.keypoints, axis=1) - np.fmin.reduce(poses.keypoints, axis=1)
        size = np.sqrt(np.nan_to_num(extent.prod(axis=1)))
    return np.asarray(np.hypot(noise * size, _FINEST), np.float64)


def moved(camera: PosedCamera, poses: Poses, known: Known, seen_ns: int, stamp_ns: int) -> np.ndarray:
    """Return the pixels (N, K, 2) that a camera should see at another moment than it did."""
    pixels = poses.keypoints.astype(np.float64)
    if seen_ns == stamp_ns or not len(poses):
        return pixels
    shift = camera.project(known.at(stamp_ns)) - camera.project(known.at(seen_ns))
    return np.asarray(pixels + np.nan_to_num(shift))


def world_poses(skeleton: Skeleton, points: np.ndarray, **columns: Any) -> Poses:
    """Return subjects that are in no image, from points (N, K, 3) metres in the world and other columns."""
    n, k = points.shape[:2]
    columns.setdefault("scores", np.isfinite(points).all(axis=2))
    return Poses(skeleton, np.full((n, k, 2), np.nan), points=points, **columns)
