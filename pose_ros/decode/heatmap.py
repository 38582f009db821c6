# SPDX-License-Identifier: Apache-2.0
"""Heat maps -> keypoints. Pure functions over whole batches.

All take (N, K, H, W) float32, leave it unchanged, and return

* (N, K, 2) float32: x, y in heat-map pixels; NaN where the map has no positive value,
* (N, K) float32: the map's value at its maximum; 0 where that is not positive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

#: Width of DARK's smoothing in heat-map pixels for networks that were trained with blobs of sigma 2.
BLUR_KERNEL = 11
#: A refinement that leaves this neighbourhood of the maximum, in heat-map pixels, is noise and not used.
_MAX_STEP = 2.0
#: Radius of the disks of the combined target, as a part of the heat map's longer side.
_DISK_RADIUS = 0.0546875


def argmax(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel with the largest value."""
    x, y, scores = _peaks(heatmaps)
    return _finish(np.stack([x, y], -1).astype(np.float32), scores)


def quarter(heatmaps: np.ndarray, kernel: int = BLUR_KERNEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum, moved a quarter pixel towards its larger neighbour in x and in y (Newell, ECCV 2016).

    Args:
        heatmaps: See the top.
        kernel: Not used; all decoders are called alike.
    """
    x, y, scores = _peaks(heatmaps)
    at = _sampler(heatmaps, x, y)
    inside_x = (x > 0) & (x < heatmaps.shape[3] - 1)
    inside_y = (y > 0) & (y < heatmaps.shape[2] - 1)
    # Compared and not subtracted: a network that fails may say infinity on both sides.
    dx = inside_x * (np.greater(at(1, 0), at(-1, 0)) - np.float32(at(1, 0) < at(-1, 0)))
    dy = inside_y * (np.greater(at(0, 1), at(0, -1)) - np.float32(at(0, 1) < at(0, -1)))
    return _finish(np.stack([x + 0.25 * dx, y + 0.25 * dy], -1).astype(np.float32), scores)


def dark(heatmaps: np.ndarray, kernel: int = BLUR_KERNEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the top of the Gaussian through the smoothed map around its maximum (Zhang et al., CVPR 2020).

    Args:
        heatmaps: See the top.
        kernel: Width of the smoothing in heat-map pixels, odd: 7, 11, 17 for blobs trained with sigma 1.5, 2, 3.
    """
    x, y, scores = _peaks(heatmaps)
    at = _sampler(np.log(np.maximum(_blur(heatmaps, kernel), 1e-10)), x, y)
    dxx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    dyy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    dxy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    height, width = heatmaps.shape[2:]
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return _finish(_newton(at, x, y, dxx, dyy, np.where(inside, dxy, np.nan)), scores)


def udp(heatmaps: np.ndarray, kernel: int = BLUR_KERNEL) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`dark`, with the nearer differences that UDP pairs it with (Huang et al., CVPR 2020).

    Args:
        heatmaps: See the top.
        kernel: Width of the smoothing in heat-map pixels, odd: 7, 11, 17 for blobs trained with sigma 1.5, 2, 3.
    """
    x, y, scores = _peaks(heatmaps)
    at = _sampler(np.log(np.clip(_blur(heatmaps, kernel), 1e-3, 50.0)), x, y)
    return _finish(udp_top(at, x, y), scores)


def udp_top(at: Sampler, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the tops (..., 2) of the Gaussians of which UDP sees the logarithms around pixels.

    Args:
        at: Returns the values (...) at an offset from the pixels.
        x: Columns of the pixels, (...).
        y: Rows of the pixels, (...).
    """
    eps = np.finfo(np.float32).eps
    dxx = at(1, 0) - 2 * at(0, 0) + at(-1, 0) + eps
    dyy = at(0, 1) - 2 * at(0, 0) + at(0, -1) + eps
    dxy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1))
    return _newton(at, x, y, dxx, dyy, dxy)


def combined(heatmaps: np.ndarray, kernel: int = BLUR_KERNEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum of a disk, and from there the offset that is drawn beside it (UDP's combined target).

    Args:
        heatmaps: (N, 3 K, H, W): for each keypoint the disk, and the way to its centre in x and y in radii.
        kernel: Half the width of the smoothing in heat-map pixels; what is smoothed is ``2 kernel + 1`` wide.
    """
    n, channels, height, width = heatmaps.shape
    parts = heatmaps.reshape(n, channels // 3, 3, height, width)
    x, y, scores = _peaks(_smooth(parts[:, :, 0], 2 * kernel + 1, "reflect"))
    radius = np.float32(_DISK_RADIUS * max(width, height))
    step = np.stack([_sampler(parts[:, :, axis], x, y)(0, 0) for axis in (1, 2)], -1) * radius
    return _finish((np.stack([x, y], -1) + np.where(np.isfinite(step), step, 0)).astype(np.float32), scores)


#: Returns values at an offset in x and y from a pixel of every map.
Sampler = Callable[[int, int], np.ndarray]
Decoder = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
#: Decoders of (N, K, H, W) by the name that model cards use.
DECODERS: dict[str, Decoder] = {
    "argmax": quarter,
    "dark": dark,
    "udp": udp,
}



def _peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y (integer) and value of every maximum, each (N, K)."""
    n, k, height, width = heatmaps.shape
    flat = heatmaps.reshape(n, k, height * width)
    best = flat.argmax(axis=2)
    return best % width, best // width, np.take_along_axis(flat, best[..., None], axis=2)[..., 0]


def _sampler(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> Sampler:
    """Return a function that reads every map at its own (x, y) plus an offset; the border repeats."""
    n, k, height, width = maps.shape
    rows, columns = np.ogrid[:n, :k]

    def at(dx: int, dy: int) -> np.ndarray:
        return maps[rows, columns, np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]

    return at


def _blur(heatmaps: np.ndarray, kernel: int) -> np.ndarray:
    """Return the maps smoothed, each scaled back to its old maximum, zero outside."""
    smooth = _smooth(heatmaps, kernel, "constant")
    before, after = (m.max(axis=(2, 3), keepdims=True, initial=-np.inf) for m in (heatmaps, smooth))
    with np.errstate(invalid="ignore", divide="ignore"):
        return smooth * np.where(after > 0, before / after, 1)


def _smooth(maps: np.ndarray, kernel: int, border: Literal["constant", "reflect"]) -> np.ndarray:
    """Return the maps smoothed; outside they are zero, or mirrored at the centres of the border's pixels."""
    import cv2

    margin = kernel // 2
    # One tall image instead of N K small ones; the margins keep neighbours apart.
    tall = np.pad(maps, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode=border)
    if tall.size:
        tall = cv2.GaussianBlur(tall.reshape(-1, tall.shape[3]), (kernel, kernel), 0).reshape(tall.shape)
    return tall[:, :, margin : margin + maps.shape[2], margin : margin + maps.shape[3]]


def _newton(
    at: Sampler, x: np.ndarray, y: np.ndarray, dxx: np.ndarray, dyy: np.ndarray, dxy: np.ndarray
) -> np.ndarray:
    """Step from the maximum to the top of the parabola, where there is one nearby; (..., 2)."""
    dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    determinant = dxx * dyy - dxy * dxy
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / determinant[..., None]
        near = (np.abs(step) <= _MAX_STEP).all(axis=-1, keepdims=True)
    return (np.stack([x, y], -1) + np.where(near, step, 0)).astype(np.float32)


def _finish(keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply the rule for maps without a positive value."""
    found = np.isfinite(scores) & (scores > 0)
    return np.where(found[..., None], keypoints, np.float32(np.nan)), np.where(found, scores, 0).astype(np.float32)
