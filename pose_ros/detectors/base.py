# SPDX-License-Identifier: Apache-2.0
"""Detector: where are the subjects."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pose_ros.core.regions import Detections
from pose_ros.plugin import Plugin


class Detector(Plugin):
    """Find subjects in an image."""

    @abstractmethod
    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects, best first.

        Args:
            image: RGB uint8 (H, W, 3). Not modified.

        Returns:
            N detections in pixels of ``image``; N may be 0. Boxes may reach outside the image.
        """
