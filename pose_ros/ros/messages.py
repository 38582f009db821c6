# SPDX-License-Identifier: Apache-2.0
"""Messages: Result, Poses and Skeleton <-> SkeletonArray and SkeletonInfo."""

from __future__ import annotations

import dataclasses
from array import array
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton as CoreSkeleton
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.msg import Skeleton, SkeletonArray, SkeletonInfo
from pose_ros.skeletons import catalogue

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from pose_ros.pipeline import Result

_NS = 1_000_000_000
#: Columns that are empty in the message where nothing fills them.
_OPTIONAL = ("points", "covariances", "views", "reprojection_errors", "local_points", "measures", "frames")


def poses_to_array(result: Result, header: Header, size_wh: tuple[int, int], model: str) -> SkeletonArray:
    """Return the message of one frame.

    Args:
        result: What the pipeline said.
        header: Of the image; taken as it is.
        size_wh: Size of the image, (width, height) in pixels.
        model: What produced the result, as SetModel takes it.
    """
    poses = result.poses
    return SkeletonArray(
        header=header,
        schema=poses.skeleton.name,
        model=model,
        image_width=size_wh[0],
        image_height=size_wh[1],
        skeletons=[_to_message(poses, row) for row in range(len(poses))],
        ended_ids=array("I", result.ended_ids),
        stage_names=list(result.stages.ms),
        stage_ms=array("f", result.stages.ms.values()),
    )


def _to_message(poses: Poses, row: int) -> Skeleton:
    """Return one subject. Arrays are copied as bytes: nothing looks at single numbers."""
    msg = Skeleton()
    msg.track_id = int(poses.ids[row])
    msg.parent_id = int(poses.parents[row])
    msg.label = str(poses.labels[row])
    msg.track_state = int(poses.states[row])
    seconds, nanoseconds = divmod(int(poses.ages_ns[row]), _NS)
    msg.age = Duration(sec=seconds, nanosec=nanoseconds)
    msg.side = int(poses.sides[row])
    msg.side_score = float(poses.side_scores[row])
    msg.score = float(poses.subject_scores[row])
    msg.box = poses.boxes[row]
    msg.keypoints.frombytes(poses.keypoints[row].tobytes())
    msg.scores.frombytes(poses.scores[row].tobytes())
    msg.sources.frombytes(poses.sources[row].tobytes())
    for name in _OPTIONAL:
        column = getattr(poses, name)
        if column is not None:
            getattr(msg, name).frombytes(column[row].tobytes())
    return msg


def array_to_poses(msg: SkeletonArray, skeleton: CoreSkeleton) -> Poses:
    """Return the poses of a message; the inverse of :func:`poses_to_array`.

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


def skeleton_to_info(skeleton: CoreSkeleton, model: str) -> SkeletonInfo:
    """Return what never changes about a skeleton; ``model`` is what produces the arrays at present."""
    return SkeletonInfo(
        name=skeleton.name,
        model=model,
        keypoint_names=list(skeleton.keypoints),
        edges=array("H", chain.from_iterable(skeleton.edges)),
        flip=array("H", skeleton.flip),
        sigmas=array("f", skeleton.sigmas),
        root=skeleton.root,
        colors=array("B", chain.from_iterable(skeleton.colors)),
        measure_names=list(skeleton.measures),
        frame_names=list(skeleton.frames),
    )


def info_to_skeleton(info: SkeletonInfo) -> CoreSkeleton:
    """Return the skeleton of a message: ours, where it is one of ours.

    What joints are, blocks and roles do not travel: a skeleton that is not ours converts to no other.

    Raises:
        ConfigError: Its parts contradict one another.
    """
    for name, size in (("edges", 2), ("colors", 3)):
        count = len(getattr(info, name))
        if count % size:
            raise ConfigError(f"{info.name}.{name}", f"expected groups of {size} numbers, got {count} numbers")
    red, green, blue = (map(int, info.colors[channel::3]) for channel in range(3))
    made = CoreSkeleton(
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
        frames=tuple(info.frame_names),
    )
    if made.name not in catalogue.names():
        return made
    # What is said of subjects beside their keypoints is the node's business.
    ours = dataclasses.replace(catalogue.get(made.name), measures=made.measures, frames=made.frames)
    return ours if ours == made else made
