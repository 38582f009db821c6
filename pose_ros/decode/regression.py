# SPDX-License-Identifier: Apache-2.0
"""Coordinates that a network says outright -> keypoints. Pure functions over whole batches."""

from __future__ import annotations

import math

import numpy as np


def decode(values: np.ndarray, keypoints: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a network found, and how sure of it the network is.

    Networks that say x and y alone leave the score at 1, always: it tells nothing, and no threshold has an effect.
    Those trained by RLE (Li et al., ICCV 2021) give sigmas of x and y too, and the score is 1 minus their mean. That is
    no probability, but it orders keypoints as a probability would.

    Args:
        values: (N, ...) float32 that holds K times x, y, or K times x, y, sigma of x, sigma of y, from 0 to 1 of the
            crop. Unchanged.
        keypoints: K.

    Returns:
        (N, K, 2) float32: x, y from 0 to 1 of the crop, or outside it; NaN where a value is not finite.
        (N, K) float32: scores in 0 .. 1; 0 where there is no keypoint.
    """
    rows = values.reshape(len(values), keypoints, math.prod(values.shape[1:]) // keypoints)
    found: np.ndarray = np.isfinite(rows).all(axis=2)
    with np.errstate(invalid="ignore"):
        certain = np.clip(1 - rows[..., 2:].mean(axis=2), 0, 1) if rows.shape[2] > 2 else np.ones(found.shape)
    points = np.where(found[..., None], rows[..., :2], np.nan)
    return points.astype(np.float32), np.where(found, certain, 0).astype(np.float32)
