# SPDX-License-Identifier: Apache-2.0
"""vision_msgs: subjects as detections, for consumers that want boxes and no keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Vector3
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from pose_ros.core.poses import Poses, TrackState
from pose_ros.ros.transforms import frame_name

if TYPE_CHECKING:
    from std_msgs.msg import Header


def poses_to_detections(kinds: Iterable[tuple[str, Poses]], header: Header) -> Detection2DArray:
    """Return the boxes of all subjects in pixels, where those have any.

    ``id`` is ``<kind>_<track id>``, as in TF, and empty without a tracker; ``class_id`` is what the detector calls the
    subject, or else what the skeleton is of, such as ``person``, ``hand`` or ``face``. Lost subjects are left out.

    Args:
        kinds: Name of each kind of subjects, such as ``body`` or ``hand``, and the poses of it.
        header: Of the image.
    """
    made = []
    for kind, poses in kinds:
        poses = poses.boxed()
        known = np.isfinite(poses.boxes).all(axis=1)
        for row, result, id in _subjects(kind, poses, known):
            x1, y1, x2, y2 = poses.boxes[row].tolist()
            box = BoundingBox2D(size_x=x2 - x1, size_y=y2 - y1)
            box.center.position.x, box.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
            made.append(Detection2D(header=header, results=[result], bbox=box, id=id))
    return Detection2DArray(header=header, detections=made)


def poses_to_detections_3d(
    kinds: Iterable[tuple[str, Poses]], header: Header, min_score: float = 0.3
) -> Detection3DArray:
    """Return the boxes around the points of all subjects, metres, along the axes of the frame of the header.

    They hold keypoints, and not the flesh around these. Ids and classes are those of :func:`poses_to_detections`; the
    pose of the hypothesis is the middle of the box.

    Args:
        kinds: As there; ``points`` are used.
        header: Of the points.
        min_score: Keypoints below it are left out.
    """
    made = []
    for kind, poses in kinds:
        if poses.points is None:
            continue
        sure = np.isfinite(poses.points).all(axis=2) & (poses.scores >= min_score)
        low = np.where(sure[..., None], poses.points, np.inf).min(axis=1, initial=np.inf).astype(np.float64)
        high = np.where(sure[..., None], poses.points, -np.inf).max(axis=1, initial=-np.inf).astype(np.float64)
        for row, result, id in _subjects(kind, poses, sure.sum(axis=1) > 1):
            centre = Pose(position=Point(**_xyz((low[row] + high[row]) / 2)))
            result.pose = PoseWithCovariance(pose=centre)
            box = BoundingBox3D(center=centre, size=Vector3(**_xyz(high[row] - low[row])))
            made.append(Detection3D(header=header, results=[result], bbox=box, id=id))
    return Detection3DArray(header=header, detections=made)


def _subjects(kind: str, poses: Poses, known: np.ndarray) -> Iterator[tuple[int, ObjectHypothesisWithPose, str]]:
    """Yield row, hypothesis and id of those who are known and not lost."""
    stem = frame_name(kind)
    for row in np.flatnonzero(known & (poses.states != TrackState.LOST)).tolist():
        name = str(poses.labels[row]) or poses.skeleton.subject
        hypothesis = ObjectHypothesis(class_id=name, score=float(poses.subject_scores[row]))
        tracked = poses.ids[row] > 0 and poses.states[row] != TrackState.UNTRACKED
        yield row, ObjectHypothesisWithPose(hypothesis=hypothesis), f"{stem}_{poses.ids[row]}" if tracked else ""


def _xyz(numbers: np.ndarray) -> dict[str, float]:
    return dict(zip("xyz", numbers.tolist(), strict=True))
