# SPDX-License-Identifier: Apache-2.0
"""Depth patches: what surfaces a depth image shows around keypoints, nearest first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_ros.core.depth import Depth

#: A disc of samples in a square of radius 1: enough for quartiles, few enough to sort for hundreds of keypoints.
_GRID = np.stack(np.meshgrid(*[np.linspace(-1, 1, 7)] * 2), axis=-1).reshape(-1, 2)
_DISC = np.ascontiguousarray(_GRID[(_GRID**2).sum(axis=1) <= 1.2].T, np.float32)[:, None]
_CENTRE = np.zeros((2, 1, 1), np.float32)
#: Depth below this is none, metres; 0 is how 16UC1 says so.
_NOTHING = 1e-6
#: Quartiles of a Gaussian lie 1.349 standard deviations apart.
_QUARTILES = 1.349


class Surfaces(NamedTuple):
    """C surfaces around each of M keypoints, nearest first; NaN where there are fewer."""

    #: (M, C) metres along the optical axis, the median.
    z: np.ndarray
    #: (M, C) metres, standard deviation in the patch, robust.
    spread: np.ndarray
    #: (M, C) in [0, 1], part of the patch.
    share: np.ndarray


def sample(depth: Depth, pixels: np.ndarray, radius: np.ndarray | None, low: float, high: float) -> np.ndarray:
    """Return the depths in a disc around pixels, sorted.

    Args:
        depth: Its image is read where the pixels are; nothing else of it is touched.
        pixels: (M, 2) of the depth image; NaN gives no sample.
        radius: (M,) pixels; None for the pixels alone.
        low: Nearest depth, metres; nearer ones do not count.
        high: Farthest depth, metres.

    Returns:
        (M, S) metres; what is no measurement, or outside the image, is infinite.
    """
    height, width = depth.image.shape
    seen = np.isfinite(pixels).all(axis=1)
    # Far away from the image is outside like NaN, and still a number that an integer can hold.
    places = np.where(seen[:, None], pixels, -1e6).clip(-1e6, 1e6)
    around = _CENTRE if radius is None else _DISC * radius.astype(np.float32)[:, None]
    x, y = np.rint(places.astype(np.float32).T[:, :, None] + around).astype(np.int32)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    values = depth.image[y * inside, x * inside].astype(np.float32) * np.float32(depth.scale)
    # Written so that NaN is no measurement either.
    values[~(inside & (values >= max(low, _NOTHING)) & (values <= high))] = np.inf
    values.sort(axis=1)
    return values


def surfaces(samples: np.ndarray, window: np.ndarray, least: int, count: int) -> Surfaces:
    """Return the nearest ``count`` surfaces: depths where enough samples lie within a window.

    Samples that float between an edge and what is behind it are few in any window, so they make no surface.

    Args:
        samples: (M, S) sorted, infinite where there is none.
        window: (M,) metres: what lies closer together is one surface.
        least: Samples that make a surface.
        count: C.
    """
    m, s = samples.shape
    z, spread, share = np.full((3, m, count), np.nan)
    share[:] = 0
    rows, start, place = np.arange(m), np.zeros(m, np.int64), np.arange(s - least + 1)
    size = np.isfinite(samples).sum(axis=1)
    for c in range(count):
        # Most patches show one surface: only those go on in which enough is left.
        left = size - start >= least
        rows, start, size, window = rows[left], start[left], size[left], window[left]
        if not len(rows):
            break
        own = samples[rows]
        with np.errstate(invalid="ignore"):
            dense = own[:, least - 1 :] - own[:, : s - least + 1] <= window[:, None]
        if c:
            dense &= place >= start[:, None]
        first, each = dense.argmax(axis=1), np.arange(len(rows))
        found = dense[each, first]
        end = (own <= (own[each, first] + window)[:, None]).sum(axis=1)
        many = end - first
        quarter, middle, rest = (own[each, first + part] for part in (many // 4, (many - 1) // 2, 3 * many // 4))
        z[rows[found], c] = middle[found]
        spread[rows[found], c] = (rest[found] - quarter[found]) / _QUARTILES
        share[rows[found], c] = many[found] / s
        start = np.where(found, end, s)
    return Surfaces(z, spread, share)


def median(samples: np.ndarray, least: int) -> Surfaces:
    """Return one surface per keypoint: all samples of its patch together."""
    m, s = samples.shape
    rows, size = np.arange(m), np.isfinite(samples).sum(axis=1)
    z, quarter, rest = (samples[rows, np.minimum(part * size // 4, s - 1)] for part in (2, 1, 3))
    found = size >= least
    with np.errstate(invalid="ignore"):
        spread = np.where(found, (rest - quarter) / _QUARTILES, np.nan)
    return Surfaces(np.where(found, z, np.nan)[:, None], spread[:, None], (size / s)[:, None])
