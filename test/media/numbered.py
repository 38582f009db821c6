# SPDX-License-Identifier: Apache-2.0
"""Images that carry a number, and all frames of a source."""

from __future__ import annotations

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.media.sources import open_source


def ramp(index: int, size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Return an image whose brightness says its number; coarse, because videos are lossy."""
    return np.full((size_wh[1], size_wh[0], 3), 20 * index + 10, np.uint8)


def number(image: np.ndarray) -> int:
    """Return the number that :func:`ramp` wrote."""
    return round((float(image.mean()) - 10) / 20)


def frames_of(spec: object, **arguments: object) -> list[Frame]:
    """Open a source, read all of it, close it."""
    with open_source(str(spec), **arguments) as source:
        return list(source)
