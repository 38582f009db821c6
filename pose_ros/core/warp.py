# SPDX-License-Identifier: Apache-2.0
"""Region -> crop and back: the one pixel convention.

A region of size (w, h) around (cx, cy) covers a crop of size (W, H) *area to area*: the region's left edge is the left
edge of the crop's first pixel. With the centre of the first pixel at (0, 0) in both images that is

    x_image = cx + R(angle) ((x_crop + 0.5) / W - 0.5) w,     and likewise for y.

Families that were trained with another rule (UDP aligns pixel centres, MediaPipe treats pixels as points) say so with
``align``; a network's coordinates come back exactly through the inverse of the same matrix.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

Align = Literal["area", "udp", "corner"]


def region_matrix(region: np.ndarray, size_wh: tuple[int, int], align: Align = "area") -> np.ndarray:
    """Return the affine matrix that takes crop pixels to image pixels.

    Args:
        region: (5,) or (N, 5): cx, cy, width, height, angle in image pixels and radians.
        size_wh: Size of the crop in pixels.
        align: ``area`` maps the region's area to the crop's area (see above). ``udp`` puts the region's edges on the
            centres of the crop's border pixels, i.e. ``W - 1`` steps span the region (Huang et al., CVPR 2020).
            ``corner`` puts the region's first corner on the centre of the first crop pixel and lets ``W`` steps span
            it, as the three-point affine of Xiao et al. (ECCV 2018) and of mmpose does.

    Returns:
        (2, 3) or (N, 2, 3) float64: ``x_image = M @ [x_crop, y_crop, 1]``.
    """
    regions = np.atleast_2d(np.asarray(region, np.float64))
    width, height = size_wh
    steps = np.array([width - 1, height - 1] if align == "udp" else [width, height], np.float64)
    offset = 0.5 if align == "area" else 0.0
    scale = regions[:, 2:4] / steps
    cos, sin = np.cos(regions[:, 4:]), np.sin(regions[:, 4:])
    matrices = np.empty((len(regions), 2, 3))
    matrices[:, 0, :2] = scale * np.concatenate([cos, -sin], axis=1)
    matrices[:, 1, :2] = scale * np.concatenate([sin, cos], axis=1)
    matrices[:, :, 2] = regions[:, :2] + matrices[:, :, :2] @ (offset - steps / 2)
    return matrices[0] if np.ndim(region) == 1 else matrices


def invert(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of affine matrices, (..., 2, 3) -> (..., 2, 3)."""
    linear = np.linalg.inv(matrix[..., :2])
    return np.concatenate([linear, -(linear @ matrix[..., 2:])], axis=-1)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points by affine matrices; NaN stays NaN.

    Args:
        matrix: (2, 3) or (N, 2, 3).
        points: (..., 2), or (N, ..., 2) with N matrices.
    """
    linear, shift = matrix[..., :2], matrix[..., 2]
    if matrix.ndim == 2:
        return points @ linear.T + shift
    flat = points.reshape(len(points), math.prod(points.shape[1:-1]), 2)
    with np.errstate(invalid="ignore"):  # what is infinite becomes NaN
        return (flat @ linear.transpose(0, 2, 1) + shift[:, None]).reshape(points.shape)


def crop(
    image: np.ndarray,
    matrix: np.ndarray,
    size_wh: tuple[int, int],
    *,
    border: int | None = 0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Cut one crop out of an image with bilinear interpolation.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3), crop to image, from :func:`region_matrix`.
        size_wh: Size of the crop in pixels.
        border: Value outside the image; None repeats the image's border pixels.
        out: Where to write, (height, width, 3) uint8, contiguous.

    Returns:
        (height, width, 3) uint8.
    """
    import cv2

    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    value = 0 if border is None else border
    return cv2.warpAffine(
        image,
        matrix,
        size_wh,
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=mode,
        borderValue=(value, value, value),
    )


def smoothed(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image (H, W, 3) uint8 smoothed by a Gaussian of ``sigma`` pixels, for a crop that makes it smaller."""
    import cv2

    reach = int(4 * sigma + 0.5)
    return cv2.GaussianBlur(image, (2 * reach + 1,) * 2, sigma, borderType=cv2.BORDER_REPLICATE) if reach else image


def fit_aspect(regions: np.ndarray, size_wh: tuple[int, int], padding: float = 1.0) -> np.ndarray:
    """Grow regions to the aspect ratio of the crop and pad them, (N, 5) -> (N, 5).

    The rule of Xiao et al. (ECCV 2018): the shorter side grows; then both are multiplied by ``padding``.
    """
    regions = np.array(regions, np.float32)
    aspect = size_wh[0] / size_wh[1]
    w, h = regions[:, 2].copy(), regions[:, 3].copy()
    regions[:, 2] = np.maximum(w, h * aspect) * padding
    regions[:, 3] = np.maximum(h, w / aspect) * padding
    return regions


def letterbox_matrix(image_wh: tuple[int, int], size_wh: tuple[int, int], centre: bool) -> np.ndarray:
    """Return the matrix, network pixels to image pixels, that fits a whole image into a network input.

    Args:
        image_wh: Size of the image.
        size_wh: Size of the network's input.
        centre: Whether the image sits in the middle (MediaPipe) or in the top left corner (YOLOX).
    """
    scale = max(image_wh[0] / size_wh[0], image_wh[1] / size_wh[1])
    w, h = size_wh[0] * scale, size_wh[1] * scale
    cx, cy = (image_wh[0] / 2, image_wh[1] / 2) if centre else (w / 2, h / 2)
    # Edges of the image, in the convention of pixel centres, begin at -0.5.
    return region_matrix(np.array([cx - 0.5, cy - 0.5, w, h, 0.0]), size_wh)
