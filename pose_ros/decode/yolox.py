# SPDX-License-Identifier: Apache-2.0
"""YOLOX: raw grid outputs -> boxes (Ge et al., 2021)."""

from __future__ import annotations

import numpy as np

from pose_ros.decode.grid import STRIDES, best, cells
from pose_ros.errors import ShapeError


def decode(
    output: np.ndarray,
    size_wh: tuple[int, int],
    *,
    classes: np.ndarray,
    min_score: float,
    strides: tuple[int, ...] = STRIDES,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the output for one image, without suppression of doubles.

    Args:
        output: (A, 5 + C): offset of the centre and logarithm of the size in cells, objectness, C class
            probabilities; the cells of all strides one after the other, each grid row by row.
        size_wh: Size of the network's input.
        classes: (M,) classes that are wanted, M >= 1; of these a cell shows its best one.
        min_score: Objectness times class probability that a cell needs.
        strides: Of the grids.

    Returns:
        boxes (B, 4): xyxy in input pixels (the centre of the first pixel is (0, 0)), scores (B,) and classes (B,), in
        the order of the cells. Cells without a finite box are left out.

    Raises:
        ShapeError: When A is not the number of cells, or there are no classes.
    """
    corners, sizes = cells(size_wh, strides)
    if output.ndim != 2 or len(output) != len(corners) or output.shape[1] < 6:
        raise ShapeError("output", f"({len(corners)}, 5 + C) for an input of {size_wh}", output.shape)
    # A network that fails may say anything; what is not a finite box is left out below.
    with np.errstate(over="ignore", invalid="ignore"):
        good, scores, found = best(output[:, 4:5] * output[:, 5 + classes], classes, min_score)
        centre = output[good, :2] * sizes[good] + corners[good]
        half = np.exp(output[good, 2:4]) * sizes[good] / 2
        # YOLOX measures from the image's edge, where the first pixel's area begins.
        boxes = np.concatenate([centre - half, centre + half], axis=1) - 0.5
    finite = np.isfinite(boxes).all(axis=1)
    return boxes[finite], scores[finite], found[finite]
