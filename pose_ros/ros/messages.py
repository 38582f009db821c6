# SPDX-License-Identifier: Apache-2.0
"""Messages: Result and Skeleton to SkeletonArray and SkeletonInfo; back again by :mod:`pose_ros.ros.reading`."""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Duration

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton as CoreSkeleton
from pose_ros.msg import Skeleton, SkeletonArray, SkeletonInfo

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
        measure_units=[skeleton.units.get(name, "") for name in skeleton.measures],
        frame_names=list(skeleton.frames),
    )
