# SPDX-License-Identifier: Apache-2.0
"""Pixels -> the numbers a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def to_batch(
    crops: np.ndarray,
    *,
    color: str = "rgb",
    layout: str = "nchw",
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """Return crops as the input of a network: ``(pixel - mean) / std``.

    Args:
        crops: RGB uint8 (N, H, W, 3).
        color: Order of the channels that the network wants, ``rgb`` or ``bgr``.
        layout: ``nchw`` or ``nhwc``.
        mean: One number per channel, 0 .. 255, in the order of ``color``.
        std: Likewise.

    Returns:
        float32 (N, 3, H, W) or (N, H, W, 3), contiguous.
    """
    n, height, width, _ = crops.shape
    batch = np.empty((n, 3, height, width) if layout == "nchw" else crops.shape, np.float32)
    for channel in range(3):
        source = crops[..., channel if color == "rgb" else 2 - channel]
        target = batch[:, channel] if layout == "nchw" else batch[..., channel]
        np.multiply(source, np.float32(1 / std[channel]), out=target, dtype=np.float32)
        if mean[channel]:
            target -= np.float32(mean[channel] / std[channel])
    return batch
