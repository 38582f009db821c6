# SPDX-License-Identifier: Apache-2.0
"""RTMDet: distances and logits of grid cells -> boxes (Lyu et al., arXiv 2212.07784)."""

from __future__ import annotations

import numpy as np

from pose_ros.decode.activation import sigmoid
from pose_ros.decode.grid import STRIDES, best, cells
from pose_ros.errors import ShapeError


def decode(
    distances: np.ndarray,
    logits: np.ndarray,
    size_wh: tuple[int, int],
    *,
    classes: np.ndarray,
    min_score: float,
    strides: tuple[int, ...] = STRIDES,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the outputs for one image, without suppression of doubles.

    Args:
        distances: (A, 4): from the left upper corner of each cell to the left, upper, right and lower side of its
            box, input pixels; the cells of all strides one after the other, each grid row by row.
        logits: (A, C), of the classes.
        size_wh: Size of the network's input.
        classes: (M,) classes that are wanted, M >= 1; of these a cell shows its best one.
        min_score: Probability that a cell needs.
        strides: Of the grids.

    Returns:
        boxes (B, 4): xyxy in input pixels (the centre of the first pixel is (0, 0)), scores (B,) and classes (B,), in
        the order of the cells. Cells whose box is not finite, or ends before it begins, are left out.

    Raises:
        ShapeError: When A is not the number of cells, or there are no classes.
    """
    corners, _ = cells(size_wh, strides)
    if distances.shape != (len(corners), 4):
        raise ShapeError("distances", f"({len(corners)}, 4) for an input of {size_wh}", distances.shape)
    if logits.ndim != 2 or len(logits) != len(corners) or logits.shape[1] <= classes.max():
        raise ShapeError("logits", f"({len(corners)}, C), C > {classes.max()}", logits.shape)
    good, scores, found = best(sigmoid(logits[:, classes]), classes, min_score)
    # RTMDet measures from the image's edge, where the first pixel's area begins.
    boxes = np.concatenate([corners[good] - distances[good, :2], corners[good] + distances[good, 2:]], axis=1) - 0.5
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
    return boxes[sound], scores[sound], found[sound]
