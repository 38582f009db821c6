# SPDX-License-Identifier: Apache-2.0
"""Enlarge maps."""

from __future__ import annotations

import numpy as np


def enlarged(maps: np.ndarray, size_wh: tuple[int, int], align: str) -> np.ndarray:
    """Return maps in another size, bilinearly interpolated.

    Args:
        maps: (K, H, W) float32. Not modified.
        size_wh: Width and height to bring them to.
        align: With ``udp`` the centres of the corner pixels stay where they are, otherwise the edges of the maps do.

    Returns:
        (K, height, width) float32, new.
    """
    import cv2

    k, height, width = maps.shape
    if (width, height) == tuple(size_wh):
        return maps.copy()
    if align != "udp":
        made = np.empty((k, size_wh[1], size_wh[0]), np.float32)
        for source, target in zip(maps, made, strict=True):
            cv2.resize(np.ascontiguousarray(source), size_wh, dst=target, interpolation=cv2.INTER_LINEAR)
        return made
    for axis, size in ((1, size_wh[1]), (2, size_wh[0])):
        place = np.linspace(0, maps.shape[axis] - 1, size)
        low = np.minimum(place.astype(np.int64), max(maps.shape[axis] - 2, 0))
        part = (place - low).astype(np.float32)
        if axis == 1:
            part = part[:, None]
        first, second = (np.take(maps, np.minimum(low + i, maps.shape[axis] - 1), axis) for i in (0, 1))
        maps = first + (second - first) * part
    return maps
