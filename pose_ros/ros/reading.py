# SPDX-License-Identifier: Apache-2.0
"""Reading: SkeletonArray and SkeletonInfo to Poses and Skeleton, by anything that has their fields; needs no ROS."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.skeletons import catalogue

_NS = 1_000_000_000


def array_to_poses(msg: Any, skeleton: Skeleton) -> Poses:
    """Return the poses of a message; the inverse of :func:`pose_ros.ros.messages.poses_to_array`.

    Args:
        msg: SkeletonArray, or anything with its fields.
        skeleton: What ``msg.schema`` names.

    Raises:
        ConfigError: The message has another schema.
        ShapeError: An array has another length than the skeleton demands.
    """
    if msg.schema != skeleton.name:
        raise ConfigError("schema", f"expected '{skeleton.name}', got '{msg.schema}'")
    subjects, k = msg.skeletons, len(skeleton)

    def column(name: str, shape: tuple[int, ...], dtype: type = np.float32, missing: float = 0) -> np.ndarray:
        return _stack([getattr(s, name) for s in subjects], name, shape, dtype, missing)

    def optional(
        name: str, shape: tuple[int, ...], dtype: type = np.float32, missing: float = np.nan
    ) -> np.ndarray | None:
        return column(name, shape, dtype, missing) if any(len(getattr(s, name)) for s in subjects) else None

    return Poses(
        skeleton,
        keypoints=column("keypoints", (k, 2), missing=np.nan),
        scores=column("scores", (k,)),
        boxes=column("box", (4,)),
        subject_scores=column("score", ()),
        sources=column("sources", (k,), np.uint8),
        ids=column("track_id", (), np.int64),
        parents=column("parent_id", (), np.int64),
        labels=np.array([s.label for s in subjects], "U32"),
        states=column("track_state", (), np.uint8),
        ages_ns=np.array([s.age.sec * _NS + s.age.nanosec for s in subjects], np.int64),
        sides=column("side", (), np.uint8),
        side_scores=column("side_score", ()),
        points=optional("points", (k, 3)),
        covariances=optional("covariances", (k, 3, 3)),
        views=optional("views", (k,), np.uint8, 0),
        reprojection_errors=optional("reprojection_errors", (k,)),
        local_points=optional("local_points", (k, 3)),
        measures=optional("measures", (len(skeleton.measures),)),
        frames=optional("frames", (len(skeleton.frames), 7)),
    )


def _stack(values: list, name: str, shape: tuple[int, ...], dtype: type, missing: float) -> np.ndarray:
    """Join one value or array of each subject; an empty array is missing."""
    if not shape:
        return np.array(values, dtype)
    out: np.ndarray = np.full((len(values), int(np.prod(shape))), missing, dtype)
    for row, value in zip(out, values, strict=True):
        if len(value) not in (0, len(row)):
            raise ShapeError(name, f"{len(row)} numbers", len(value))
        if len(value):
            row[:] = value
    return out.reshape(len(values), *shape)


def info_to_skeleton(info: Any) -> Skeleton:
    """Return the skeleton of a message: ours, where it is one of ours.

    What joints are, blocks and roles do not travel: a skeleton that is not ours converts to no other.

    Raises:
        ConfigError: Its parts contradict one another.
    """
    for name, size in (("edges", 2), ("colors", 3)):
        count = len(getattr(info, name))
        if count % size:
            raise ConfigError(f"{info.name}.{name}", f"expected groups of {size} numbers, got {count} numbers")
    if len(info.measure_units) not in (0, len(info.measure_names)):
        raise ConfigError(f"{info.name}.measure_units", f"expected one for each of {len(info.measure_names)} measures, "
                                                        f"got {len(info.measure_units)}")
    red, green, blue = (map(int, info.colors[channel::3]) for channel in range(3))
    made = Skeleton(
        name=info.name,
        keypoints=tuple(info.keypoint_names),
        edges=tuple(zip(map(int, info.edges[::2]), map(int, info.edges[1::2]), strict=True)),
        flip=tuple(map(int, info.flip)),
        # The shortest decimal that is this float32: 0.026, not 0.02600000053644180298.
        sigmas=tuple(float(str(np.float32(s))) for s in info.sigmas),
        # Whose they are the message does not say.
        joints=tuple(f"{info.name}/{name}" for name in info.keypoint_names),
        root=int(info.root),
        colors=tuple(zip(red, green, blue, strict=True)),
        measures=tuple(info.measure_names),
        units={name: unit for name, unit in zip(info.measure_names, info.measure_units, strict=False) if unit},
        frames=tuple(info.frame_names),
    )
    if made.name not in catalogue.names():
        return made
    # What is said of subjects beside their keypoints is the node's business.
    ours = dataclasses.replace(catalogue.get(made.name), measures=made.measures, units=made.units, frames=made.frames)
    return ours if ours == made else made
