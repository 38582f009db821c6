# SPDX-License-Identifier: Apache-2.0
"""SimCC vectors of which it is known what is in them, and boxes in a picture; NumPy only."""

from __future__ import annotations

import numpy as np
from weights import random_crops

#: Of the Gaussians in bins, along x and y: RTMPose's at 256x192, and SimCC's.
SIGMAS = ((4.9, 5.66), (6.0, 6.0))
#: A picture, and boxes x_min, y_min, x_max, y_max in it: tall, wide, and beyond its edge.
PICTURE_WH = (320, 240)
BOXES = np.float32([[100.3, 20.6, 180.2, 200.9], [30, 90, 250, 170], [-40, -25, 60, 110], [230, 130, 360, 300]])


def picture() -> np.ndarray:
    """Return a picture (H, W, 3) uint8 without hard edges, so that all versions of OpenCV cut nearly the same crops."""
    side = 8
    width, height = PICTURE_WH
    (sharp,) = random_crops(1, (width + side, height + side), seed=1)
    sums = sharp.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    box = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return (box // side**2).astype(np.uint8)


def gaussians(xy: np.ndarray, input_wh: tuple[int, int], sigma_xy: tuple[float, float]) -> list[np.ndarray]:
    """Return vectors of height 1 with two bins per pixel, for each of (..., 2): (..., 2 W) and (..., 2 H)."""
    return [
        np.exp(-((np.arange(2 * side) - 2 * xy[..., axis, None]) ** 2) / (2 * sigma_xy[axis] ** 2)).astype(np.float32)
        for axis, side in enumerate(input_wh)
    ]


def noisy_vectors(
    n: int, keypoints: int, input_wh: tuple[int, int], sigma_xy: tuple[float, float], noise: float = 0.02, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the Gaussians are, (N, K, 2) in pixels, and the vectors along x and along y, with noise."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, np.array(input_wh) - 0.5, (n, keypoints, 2))
    height = rng.uniform(0.3, 1, (n, keypoints, 1))
    x, y = (height * v + rng.uniform(-noise, noise, v.shape) for v in gaussians(xy, input_wh, sigma_xy))
    return xy, x.astype(np.float32), y.astype(np.float32)
