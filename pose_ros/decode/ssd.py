# SPDX-License-Identifier: Apache-2.0
"""SSD heads of MediaPipe's detectors: anchors, boxes with keypoints, weighted suppression.

Rules after MediaPipe (Apache-2.0): ``ssd_anchors_calculator``, ``tensors_to_detections_calculator`` and
``non_max_suppression_calculator`` (algorithm WEIGHTED), for anchors of fixed size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from pose_ros.core.regions import iou
from pose_ros.decode.activation import sigmoid
from pose_ros.errors import ShapeError


def anchors(input_wh: tuple[int, int], strides: Sequence[int], per_layer: int = 2) -> np.ndarray:
    """Return the centres of all anchors, in the order of the network's outputs.

    Neighbouring layers of one stride share one grid, whose cells hold the anchors of all of them.

    Args:
        input_wh: Size of the network's input.
        strides: Stride of each layer, in pixels of the input.
        per_layer: Anchors of one layer in each cell: MediaPipe's number of aspect ratios, plus one for the scale
            between this layer and the next, unless that one is switched off.

    Returns:
        (A, 2) float32: x, y in [0, 1] of the input.
    """
    grids = []
    for stride, layers in groupby(strides):
        per_cell = len(list(layers)) * per_layer
        w, h = (-(-size // stride) for size in input_wh)
        y, x = np.mgrid[:h, :w].reshape(2, -1)
        grids.append(np.repeat(np.stack([(x + 0.5) / w, (y + 0.5) / h], axis=1), per_cell, axis=0))
    return np.concatenate(grids).astype(np.float32)


def decode(
    values: np.ndarray, logits: np.ndarray, centres: np.ndarray, input_wh: tuple[int, int], min_score: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode what passes the threshold.

    Args:
        values: (A, 4 + 2P): x, y, width, height of the box and x, y of P keypoints, pixels relative to the anchor.
        logits: (A,) or (A, 1).
        centres: (A, 2), from :func:`anchors`.
        input_wh: Size of the network's input.
        min_score: Lowest score in [0, 1].

    Returns:
        Boxes (N, 4) xyxy, keypoints (N, P, 2), both in [0, 1] of the input, and scores (N,); in the order of the
        anchors. Boxes of no size and numbers that are not finite are left out.

    Raises:
        ShapeError: When the network's outputs do not fit the anchors.
    """
    count = len(centres)
    if values.ndim != 2 or len(values) != count or values.shape[1] < 4 or values.shape[1] % 2:
        raise ShapeError("values", f"({count}, 4 + 2P)", values.shape)
    if logits.size != count:
        raise ShapeError("logits", f"({count},)", logits.shape)
    scores = sigmoid(logits.reshape(-1))
    rows = np.flatnonzero((scores >= min_score) & np.isfinite(values).all(axis=1) & (values[:, 2:4] > 0).all(axis=1))
    scaled = values[rows].reshape(len(rows), values.shape[1] // 2, 2) / np.asarray(input_wh, np.float32)
    centre, half = scaled[:, 0] + centres[rows], scaled[:, 1] / 2
    keypoints = scaled[:, 2:] + centres[rows, None]
    return np.concatenate([centre - half, centre + half], axis=1), keypoints, scores[rows]


def weighted_nms(
    boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, max_iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge overlapping boxes into their mean, weighted by score; keep the best score of each group.

    Args:
        boxes: (N, 4) xyxy.
        keypoints: (N, P, 2).
        scores: (N,).
        max_iou: Boxes that overlap the best one of those that are left by more than this join it.

    Returns:
        Boxes (M, 4), keypoints (M, P, 2) and scores (M,), best first.
    """
    joined = np.concatenate([boxes.reshape(-1, 2, 2), keypoints], axis=1)
    order = np.argsort(-scores, kind="stable")
    points, best = [np.empty((0, *joined.shape[1:]), np.float32)], []
    while len(order):
        group = iou(boxes[order[:1]], boxes[order])[0] > max_iou
        group[0] = True  # a box of no area overlaps nothing, not even itself
        rows = order[group]
        points.append(np.average(joined[rows], axis=0, weights=scores[rows])[None])
        best.append(scores[order[0]])
        order = order[~group]
    merged = np.concatenate(points).astype(np.float32)
    return merged[:, :2].reshape(-1, 4), merged[:, 2:], np.array(best, np.float32)
