# SPDX-License-Identifier: Apache-2.0
"""Doubles among poses: object keypoint similarity, and suppression by it (Papandreou et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.regions import keypoints_to_boxes

#: Tolerance of keypoints for which the field defines none, as a part of the subject's size: the mean of COCO's 17.
MEAN_SIGMA = 0.067
#: Smallest area of a subject, square pixels; below this even the same pose twice is noise.
_MIN_AREA = 1.0


def oks(keypoints: np.ndarray, areas: np.ndarray, sigmas: Sequence[float] = ()) -> np.ndarray:
    """Return the object keypoint similarity of every pair of poses (Ronchi and Perona, ICCV 2017).

    As between results, not labels: of two sizes the mean counts, and of keypoints those that both poses have.

    Args:
        keypoints: (N, K, 2) pixels; NaN where missing.
        areas: (N,) square pixels, of the subjects' boxes.
        sigmas: K tolerances; one for all keypoints when left out.

    Returns:
        (N, N) in [0, 1]; 0 for pairs without a keypoint that both have.
    """
    k = keypoints.shape[1]
    points = np.asarray(keypoints, np.float64)
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=3)
    both = np.isfinite(squared)
    size = np.maximum(np.nan_to_num(areas), _MIN_AREA)
    scale = 8 * np.square(sigmas if len(sigmas) else np.full(k, MEAN_SIGMA)) * (size[:, None] + size)[..., None] / 2
    alike = np.where(both, np.exp(-np.where(both, squared, 0) / scale), 0).sum(axis=2)
    count = both.sum(axis=2)
    return np.divide(alike, count, out=np.zeros(alike.shape), where=count > 0)


def oks_nms(poses: Poses, max_oks: float, soft: bool = False) -> Poses:
    """Return the poses without doubles, in their old order.

    Poses are ranked by what mmpose ranks them by: the subject's score times the mean score of its keypoints.

    Args:
        poses: N poses. Where a box is missing, that of the keypoints counts as the subject's size.
        max_oks: Of two poses that are more alike than this, the better one stays.
        soft: Lower ``subject_scores`` instead, by ``exp(-oks^2 / max_oks)`` for each better pose.
    """
    if len(poses) < 2:
        return poses
    boxes = np.where(np.isfinite(poses.boxes).all(axis=1, keepdims=True), poses.boxes,
                     keypoints_to_boxes(poses.keypoints))
    alike = oks(poses.keypoints, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), poses.skeleton.sigmas)
    seen = np.maximum((poses.scores > 0).sum(axis=1), 1)
    means = poses.scores.sum(axis=1) / seen
    factor = np.ones(len(poses))
    left, kept = np.ones(len(poses), bool), np.zeros(len(poses), bool)
    while left.any():
        best = int(np.where(left, poses.subject_scores * means * factor, -1).argmax())
        left[best], kept[best] = False, True
        if soft:
            factor[left] *= np.exp(-(alike[best, left] ** 2) / max_oks)
        else:
            left &= alike[best] <= max_oks
    return poses.replace(subject_scores=poses.subject_scores * factor) if soft else poses.select(kept)
