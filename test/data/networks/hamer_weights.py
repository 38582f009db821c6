# SPDX-License-Identifier: Apache-2.0
"""Random weights with which HaMeR sees hands of a possible size, and the boxes in which it is compared. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from weights import random_crops

#: A picture, and boxes in it: of two sides, over the border, and one that is smoothed because it is so large.
IMAGE_WH = (900, 700)
BOXES = np.float32([[300.5, 200, 420, 330.25], [100, 60, 260, 140], [820, -30, 930, 70], [150, 100, 550, 520]])
RIGHT = np.array([1, 0, 1, 0])


def image() -> np.ndarray:
    """Return the picture, RGB uint8."""
    return random_crops(1, IMAGE_WH, seed=3)[0]


def tune(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights whose camera stays near that of the mean hand: in front, and the hand in the middle."""
    found = {**weights, "mano_head.init_cam": np.float32([[0.9, 0, 0]])}
    found["mano_head.deccam.weight"] = found["mano_head.deccam.weight"] * np.float32(0.02)
    return found
