# SPDX-License-Identifier: Apache-2.0
"""Refine landmarks by the heatmap around them, after MediaPipe's ``refine_landmarks_from_heatmap_calculator``."""

from __future__ import annotations

import numpy as np

from pose_ros.decode.activation import sigmoid


def refine(points: np.ndarray, heatmap: np.ndarray, kernel: int, min_confidence: float) -> np.ndarray:
    """Move each point to the centroid of the heatmap in a window around it.

    Args:
        points: (N, K, 2) float32: x, y in [0, 1] of the crop; points outside stay as they are.
        heatmap: (N, H, W, C) logits; the first K channels belong to the points.
        kernel: Side of the window in cells, odd.
        min_confidence: A point whose window has no cell of this probability stays as it is.

    Returns:
        (N, K, 2) float32, in [0, 1] of the crop.
    """
    n, k = points.shape[:2]
    height, width = heatmap.shape[1:3]
    size = np.array([width, height], np.float32)
    # Far points are cut off: they have no window, and their cells would not fit an integer.
    cell = np.clip(np.nan_to_num(points * size, nan=-kernel), -kernel, size + kernel).astype(np.int64)
    reach = np.arange(kernel) - kernel // 2
    x, y = cell[..., 0, None] + reach, cell[..., 1, None] + reach
    on_x, on_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    values = heatmap[
        np.arange(n)[:, None, None, None],
        y.clip(0, height - 1)[..., :, None],
        x.clip(0, width - 1)[..., None, :],
        np.arange(k)[:, None, None],
    ]
    confidence = sigmoid(values) * (on_y[..., :, None] & on_x[..., None, :])
    total = confidence.sum(axis=(2, 3))
    inside = ((cell >= 0) & (cell < size)).all(axis=2)
    sure = inside & (total > 0) & (confidence.max(axis=(2, 3)) >= min_confidence)
    weight = np.where(sure, total, 1)
    centroid = np.stack([(confidence.sum(axis=2) * x).sum(axis=2), (confidence.sum(axis=3) * y).sum(axis=2)], axis=2)
    return np.where(sure[..., None], centroid / weight[..., None] / size, points).astype(np.float32)
