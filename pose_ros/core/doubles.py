# SPDX-License-Identifier: Apache-2.0
"""Doubles: which of the poses in one image are of one subject, taken twice."""

from __future__ import annotations

import numpy as np

from pose_ros.core.closeness import closeness
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou, keypoints_to_boxes

#: A detection that overlaps a followed subject by more than this is that subject. Regions are much larger than people,
#: so people side by side overlap too; a subject that is taken twice in spite of this is told by its pose.
SAME_SUBJECT_IOU = 0.8
#: Poses that are closer than this are the same subject: doubles of one person were seen at 0.7 to 1.0; people side by
#: side, a shoulder's width (0.4 of their size) apart, are at 0.03 ...
_SAME_POSE = 0.5
#: ... where a keypoint may be off by this part of the subject's size.
_REACH = 0.15
#: A hand that is found while another one is followed, and that overlaps it by more than this, is that one if it is of
#: the same side: doubles of one blurred hand were seen at 0.57 to 0.77, two hands that hold each other at 0.59 ...
_SAME_HAND_IOU = 0.5
#: ... or if the wrists are nearer than this part of the hand's size: those of doubles were at 0.06 to 0.13.
_SAME_WRIST = 0.25


def distinct(poses: Poses, first_new: int | None = None) -> np.ndarray:
    """Return the rows without those that repeat an earlier row, as far as both are sure of their keypoints.

    A keypoint that is guessed (legs outside the image) lies elsewhere in each guess, and says nothing.

    Args:
        poses: Subjects in order of seniority.
        first_new: The first one that only a detector claims to be a subject of its own; none when left out.
    """
    if len(poses) < 2:
        return np.arange(len(poses))
    extent = keypoints_to_boxes(poses.keypoints)
    size = np.maximum(np.sqrt((extent[:, 2:] - extent[:, :2]).prod(axis=1)), 1)
    reach = _REACH * size
    alike = closeness(poses.keypoints, poses.scores, poses.keypoints, poses.scores, reach) > _SAME_POSE
    alike |= alike.T  # larger reach of the two: a double may be larger or smaller
    if first_new is not None:
        new, sides = np.arange(len(poses)) >= first_new, poses.sides
        root = poses.keypoints[:, poses.skeleton.root]
        near = np.linalg.norm(root[:, None] - root, axis=2) < _SAME_WRIST * np.maximum(size[:, None], size)
        hands = (sides[:, None] > 0) & (sides > 0)
        same = hands & ((sides[:, None] == sides) | near) & (iou(extent, extent) > _SAME_HAND_IOU)
        alike |= new[:, None] & same
    kept: list[int] = []
    for row in range(len(poses)):
        if not alike[row, kept].any():
            kept.append(row)
    return np.array(kept, np.int64)
