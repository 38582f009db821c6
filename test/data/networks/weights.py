# SPDX-License-Identifier: Apache-2.0
"""Weights and images that are random and everywhere the same, so that they need not be kept in a file.

Used by the scripts that record what reference implementations say, and by the tests that replay it. NumPy only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np


def random_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return a value for every name: it depends on the name and the shape alone.

    Magnitudes are such that signals keep their size through deep networks: weights as He et al. initialise them,
    variances of batch normalisation around 1, its scales around 1, shifts and means around 0.
    """
    return {name: _value(name, tuple(shape)) for name, shape in shapes.items()}


def _value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.8, 1.25, shape).astype(np.float32)
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        return (rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / max(fan_in, 1)))).astype(np.float32)
    if name.endswith("weight"):  # a scale of normalisation; small, so that sums of many branches do not explode
        return rng.uniform(0.4, 0.8, shape).astype(np.float32)
    return (rng.standard_normal(shape) * 0.1).astype(np.float32)


def stronger(weights: Mapping[str, np.ndarray], factor: float = 2.0) -> dict[str, np.ndarray]:
    """Return weights with larger scales of normalisation, so that the signal of the image does not fade.

    Each SiLU and each depthwise convolution halves it; what is left at the end would be the biases.
    """
    return {name: value * np.float32(factor) if value.ndim == 1 and name.endswith("weight") else value
            for name, value in weights.items()}


def random_crops(n: int, size_wh: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return n pictures (N, H, W, 3) uint8 with structure at all scales, as photographs have."""
    rng = np.random.default_rng(seed)
    width, height = size_wh
    picture = np.zeros((n, height, width, 3))
    for cell in (4, 16, 64):
        coarse = rng.uniform(-1, 1, (n, height // cell + 2, width // cell + 2, 3))
        picture += coarse.repeat(cell, 1).repeat(cell, 2)[:, :height, :width]
    return np.clip(128 + 60 * picture, 0, 255).astype(np.uint8)


def sample(array: np.ndarray, count: int = 200) -> np.ndarray:
    """Return values from all over an array, the same ones for every array of its size: float32 (count,)."""
    flat = np.asarray(array, np.float32).ravel()
    return flat[np.linspace(0, flat.size - 1, min(count, flat.size)).astype(np.int64)]
