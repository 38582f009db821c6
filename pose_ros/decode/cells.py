# SPDX-License-Identifier: Apache-2.0
"""Heat maps whose cells have a place in the input -> keypoints, by the rules of DeepLabCut and SLEAP.

A map shows one subject. Pure functions over whole batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.decode.activation import sigmoid

#: How a keypoint is found in its cell, see :func:`decode`.
REFINEMENTS = ("none", "integral")
#: Cells to each side whose centroid SLEAP takes.
_REACH = 2


@dataclass(frozen=True)
class Cells:
    """How a network draws."""

    #: Pixels of the input for each cell.
    stride: float = 4.0
    #: Where in its cell a value is: 0.5 in the middle (DeepLabCut), 0 on its first pixel (SLEAP).
    middle: float = 0.5
    #: What offsets are multiplied with, pixels of the input.
    offset_px: float = 1.0
    #: Whether maps are logits.
    logits: bool = False
    #: One of :data:`REFINEMENTS`.
    refine: str = "none"


def decode(heatmaps: np.ndarray, offsets: np.ndarray | None, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints and scores.

    Args:
        heatmaps: (N, K, H, W) float32. Not modified.
        offsets: (N, 2 K, H, W) float32, from each cell to each keypoint, x and y in turn; None where there are none.
        cells: What they mean. ``refine: integral`` takes the centroid of the cells around the largest.

    Returns:
        (N, K, 2) float32: x, y in pixels of the input; NaN where the map has no positive value.
        (N, K) float32: the map's largest value; 0 where that is not positive.
    """
    n, k, height, width = heatmaps.shape
    maps = sigmoid(heatmaps) if cells.logits else heatmaps
    flat = maps.reshape(n, k, height * width)
    best = flat.argmax(axis=2)
    scores = np.take_along_axis(flat, best[..., None], axis=2)[..., 0]
    x, y = best % width, best // width
    points = np.stack([x, y], axis=2).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        if cells.refine == "integral":
            points += _centroids(maps, x, y)
        points = (points + np.float32(cells.middle)) * np.float32(cells.stride)
        if offsets is not None:
            pairs = offsets.reshape(n, k, 2, height * width)
            points += np.take_along_axis(pairs, best[..., None, None], axis=3)[..., 0] * np.float32(cells.offset_px)
        found = np.isfinite(scores) & (scores > 0) & np.isfinite(points).all(axis=2)
    return np.where(found[..., None], points, np.float32(np.nan)), np.where(found, scores, 0).astype(np.float32)


def mirrored(
    heatmaps: np.ndarray, offsets: np.ndarray | None, cells: Cells, flip_index: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what maps of a mirrored input say about the input itself.

    Args:
        heatmaps: (N, K, H, W).
        offsets: (N, 2 K, H, W) or None.
        cells: What they mean.
        flip_index: (K,): for each keypoint the one that a mirror image shows in its place.
        width: Of the input, pixels.
    """
    n, k, rows, columns = heatmaps.shape
    last = round((width - 1) / cells.stride - 2 * cells.middle)
    index = np.clip(last - np.arange(columns), 0, columns - 1)
    maps = heatmaps[:, flip_index][..., index]
    if offsets is None:
        return maps, None
    # What is lost because cells cannot move by parts of a cell is put into the offsets.
    rest = (width - 1 - (last + 2 * cells.middle) * cells.stride) / cells.offset_px
    pairs = offsets.reshape(n, k, 2, rows, columns)[:, flip_index][..., index].copy()
    pairs[:, :, 0] = rest - pairs[:, :, 0]
    return maps, pairs.reshape(offsets.shape)


def _centroids(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where the centroid of the cells around a cell lies from it, (N, K, 2); nothing is outside the map."""
    n, k, height, width = maps.shape
    step = np.arange(-_REACH, _REACH + 1)
    ys, xs = (y[..., None] + step)[..., :, None], (x[..., None] + step)[..., None, :]
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    rows, columns = np.ogrid[:n, :k]
    values = maps[rows[..., None, None], columns[..., None, None], ys.clip(0, height - 1), xs.clip(0, width - 1)]
    values = np.where(inside, values, 0)
    total = values.sum(axis=(2, 3))
    moved = np.stack([(values * step).sum(axis=(2, 3)), (values * step[:, None]).sum(axis=(2, 3))], axis=-1)
    share = np.divide(moved, total[..., None], out=np.zeros_like(moved), where=total[..., None] > 0)
    # Negative values nearby may throw it out of the neighbourhood.
    return np.where(np.abs(share) <= _REACH, share, 0)
