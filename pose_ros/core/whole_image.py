# SPDX-License-Identifier: Apache-2.0
"""A whole image as the input of a network that takes any size."""

from __future__ import annotations

import math

import numpy as np

from pose_ros.core import warp


def whole_image(
    image: np.ndarray,
    height: int,
    multiple: int,
    *,
    corner: bool = False,
    border: int = 0,
    aspects: tuple[float, float] = (0.0, 4.0),
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image scaled to a height, with a border where it does not fill the input.

    Args:
        image: RGB uint8 (H, W, 3). Not modified.
        height: Of the image in the input, pixels; the input's is rounded up.
        multiple: Width and height of the input are multiples of this.
        corner: Whether it stands in the upper left corner, pixels on pixels, fills the input's height, and the width is
            rounded; or in the middle, area on area, and the width is rounded up.
        border: Grey around it.
        aspects: Width of the input is at least and at most this times its height.

    Returns:
        (height, width, 3) uint8, and the matrix (2, 3) from its pixels to those of the image.
    """
    rows, columns = image.shape[:2]
    aspect = min(max(columns / rows, aspects[0]), aspects[1])
    wanted, height = height, multiple * max(1, math.ceil(height / multiple))
    count = (height if corner else wanted) * aspect / multiple
    width = multiple * max(1, math.floor(count + 0.5) if corner else math.ceil(count - 1e-6))
    if corner:
        scale = min((width - 1) / max(columns - 1, 1), (height - 1) / max(rows - 1, 1))
        inner = (math.floor((columns - 1) * scale + 1e-6) + 1, math.floor((rows - 1) * scale + 1e-6) + 1)
        left = top = 0
        shift = 0.0
    else:
        scale = min(wanted * aspect / columns, wanted / rows)
        inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        shift = 0.5 / scale - 0.5
    own = np.array([[1 / scale, 0, shift], [0, 1 / scale, shift]])
    made = np.full((height, width, 3), border, np.uint8)
    made[top : top + inner[1], left : left + inner[0]] = warp.crop(image, own, inner, border=None)
    return made, own - np.array([[0, 0, left], [0, 0, top]]) / scale
