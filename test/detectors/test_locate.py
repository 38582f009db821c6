# SPDX-License-Identifier: Apache-2.0
"""Looking for a subject inside a coarse region: what is found there comes back as a region of the image."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pose_ros.core.regions import Detections
from pose_ros.detectors.base import Detector
from pose_ros.errors import ShapeError

IMAGE = np.zeros((300, 400, 3), np.uint8)
cv2.circle(IMAGE, (250, 120), 12, (255, 255, 255), -1)


class Spots(Detector):
    """Finds white spots, and says that they are turned by 0.2; of several the first is the best."""

    def __init__(self, width: int = 64, height: int = 64) -> None:
        self.card: Any = SimpleNamespace(input_wh=(width, height))

    def detect(self, image: np.ndarray) -> Detections:
        assert image.shape[1::-1] == self.card.input_wh
        white = image[..., 0] > 127
        if not white.any():
            return Detections.empty()
        y, x = np.nonzero(white)
        size = 2 * np.sqrt(len(x) / np.pi)
        region = np.array([[x.mean(), y.mean(), size, size, 0.2], [0, 0, 9, 9, 0]])
        return Detections(np.tile([0, 0, 1, 1], (2, 1)), [0.9, 0.8], regions=region)


@pytest.mark.parametrize("angle", [0.0, 1.0, -3.1])
@pytest.mark.parametrize("width", [64, 96])
def test_comes_back_to_the_image(angle, width):
    found = Spots(width).locate(IMAGE, np.array([[240, 125, 120, 120, angle]]))
    np.testing.assert_allclose(found[0, :2], [250, 120], atol=1)
    np.testing.assert_allclose(found[0, 2:4], 24, rtol=0.05)
    turned = np.exp(1j * (angle + 0.2 - found[0, 4]))
    np.testing.assert_allclose(turned, 1, atol=1e-5)
    assert -np.pi < found[0, 4] <= np.pi


def test_each_region_for_itself():
    regions = np.array([[60, 60, 50, 50, 0], [250, 120, 60, 60, 0], [np.nan] * 5, [250, 120, 0, 60, 0]])
    found = Spots().locate(IMAGE, regions)
    assert np.isfinite(found).all(axis=1).tolist() == [False, True, False, False]
    assert np.isnan(found[[0, 2, 3]]).all()


def test_no_region_no_work():
    assert Spots().locate(IMAGE, np.empty((0, 5))).shape == (0, 5)


def test_refuses_what_is_no_region():
    with pytest.raises(ShapeError, match="regions"):
        Spots().locate(IMAGE, np.zeros((2, 4)))
