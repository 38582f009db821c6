# SPDX-License-Identifier: Apache-2.0
"""Where an estimator would look if it knew where subjects are."""

from __future__ import annotations

import numpy as np

from pose_ros.core.convert import conversion
from pose_ros.core.regions import boxes_to_regions, keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.decode.rois import aligned_regions, enclosing_regions
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.estimators.ert import Ert
from pose_ros.estimators.rois import RoiEstimator


def true_regions(
    estimator: CropEstimator, skeleton: Skeleton, keypoints: np.ndarray, boxes: np.ndarray | None
) -> np.ndarray:
    """Return the regions of labelled subjects.

    Args:
        estimator: Who is going to look there.
        skeleton: Of the labels.
        keypoints: (N, K, 2) pixels; NaN where not labelled.
        boxes: (N, 4) xyxy pixels; None: those that just contain the keypoints. Estimators whose regions are made of
            keypoints take those of the labels in any case.

    Returns:
        (N, 5) float32; NaN where too few keypoints are labelled to tell.

    Raises:
        ConfigError: The estimator looks in regions that keypoints of the labels do not tell.
    """
    tight = keypoints_to_boxes(keypoints)
    if isinstance(estimator, RoiEstimator):
        return _rotated(estimator, skeleton, keypoints, tight)
    if isinstance(estimator, Ert) and boxes is None:
        regions, params = boxes_to_regions(tight), estimator.params
        # Such that its first rectangle is the one that it was trained to take around all points.
        side = regions[:, 2:4].max(axis=1, keepdims=True)
        wanted = side * params.points_scale / params.scale
        regions[:, 1:2] += params.points_shift * side - params.shift * wanted
        regions[:, 2:4] = wanted
        return regions
    return boxes_to_regions(np.asarray(tight if boxes is None else boxes, np.float32))


def _rotated(
    estimator: CropEstimator, skeleton: Skeleton, keypoints: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """Return the regions that the estimator itself would make of these keypoints to look again."""
    roi, name = estimator.card.params.get("roi"), estimator.card.name
    points = conversion(skeleton, estimator.skeleton).points(keypoints.astype(np.float32))
    needed = () if roi is None else (roi["start"], *np.ravel(roi["end"]))
    known = conversion(skeleton, estimator.skeleton)
    if roi is None or not any(not known.absent[i] or i in known.made for i in needed[1:]) or known.absent[needed[0]]:
        raise ConfigError("--boxes", f"'{name}' looks in rotated regions, which keypoints of '{skeleton.name}' do not "
                                     "tell; take --boxes detector")
    if "points" not in roi:
        return aligned_regions(points, boxes, **roi)
    regions = np.full((len(points), 5), np.nan, np.float32)
    seen = np.isfinite(points).all(axis=2)
    for row in range(len(points)):
        there = {key: [i for i in roi[key] if seen[row, i]] for key in ("points", "end")}
        # Half of a hand does not say where the rest of it is.
        if seen[row, roi["start"]] and there["end"] and len(there["points"]) > len(roi["points"]) / 2:
            regions[row] = enclosing_regions(points[row : row + 1], **{**roi, **there})[0]
    return regions
