# SPDX-License-Identifier: Apache-2.0
"""NanoDet and NanoDet-Plus: class scores and distributions of distances -> boxes (Li et al., NeurIPS 2020)."""

from __future__ import annotations

from functools import cache

import numpy as np

from pose_ros.errors import ShapeError


@cache
def _cells(size_wh: tuple[int, int], levels: int, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the point of every cell, (A, 2), and its stride, (A, 1), float32 in input pixels."""
    points, sizes = [], []
    for stride in (8 << level for level in range(levels)):
        x, y = np.meshgrid(*(np.arange(-(-size // stride)) for size in size_wh))
        points.append((np.stack([x, y], -1).reshape(-1, 2) + centre) * stride)
        sizes.append(np.full((x.size, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def decode(
    output: np.ndarray,
    size_wh: tuple[int, int],
    *,
    levels: int,
    reg_max: int,
    centre: float,
    classes: np.ndarray,
    min_score: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the output for one image, without suppression of doubles.

    Args:
        output: (A, C + 4 * (reg_max + 1)): class probabilities; for each side of the box (left, top, right, bottom) the
            logits of its distance from the cell's point, 0 .. reg_max strides. The cells of all strides one after the
            other, each grid row by row.
        size_wh: Size of the network's input.
        levels: Number of grids, whose strides are 8, 16, ...
        reg_max: Largest distance.
        centre: Where in its cell the point is: 0 at its first corner (NanoDet-Plus), 0.5 in its middle (NanoDet).
        classes: (M,) classes that are wanted, M >= 1; of these a cell shows its best one.
        min_score: Lowest probability.

    Returns:
        boxes (B, 4), xyxy in input pixels (the centre of the first pixel is (0, 0)) and cut off at the input's border,
        scores (B,) and classes (B,), in the order of the cells. Cells without a finite box are left out.

    Raises:
        ShapeError: The output does not fit.
    """
    points, strides = _cells(size_wh, levels, centre)
    sides = 4 * (reg_max + 1)
    if output.ndim != 2 or len(output) != len(points) or output.shape[1] <= sides + classes.max():
        raise ShapeError("output", f"({len(points)}, C + {sides}) for an input of {size_wh}", output.shape)
    scores = output[:, classes]
    best = scores.argmax(axis=1)
    scores = scores[np.arange(len(scores)), best]
    good = np.flatnonzero(scores >= min_score)
    logits = output[good, -sides:].reshape(-1, 4, reg_max + 1)
    # A network that fails may say anything; what is not finite is left out below.
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        distance = (weights @ np.arange(reg_max + 1, dtype=np.float32)) / weights.sum(axis=2) * strides[good]
    boxes = np.concatenate([points[good] - distance[:, :2], points[good] + distance[:, 2:]], axis=1)
    finite = np.isfinite(boxes).all(axis=1)
    good, boxes = good[finite], boxes[finite].clip(0, np.tile(size_wh, 2).astype(np.float32))
    # Distances are measured from the image's edge, where the first pixel's area begins.
    return boxes - 0.5, scores[good], classes[best[good]]
