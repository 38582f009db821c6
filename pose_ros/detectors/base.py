# SPDX-License-Identifier: Apache-2.0
"""Detector: where are the subjects."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.regions import Detections, check_regions
from pose_ros.plugin import NetworkPlugin


class Detector(NetworkPlugin):
    """Find subjects in an image."""

    @abstractmethod
    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects, best first.

        Args:
            image: RGB uint8 (H, W, 3). Not modified.

        Returns:
            N detections in pixels of ``image``; N may be 0. Boxes may reach outside the image.
        """

    def locate(self, image: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Look for one subject inside each of some coarse regions.

        Args:
            image: RGB uint8 (H, W, 3). Not modified.
            regions: (N, 5) float32, in which the subject stands upright; they may reach outside the image.

        Returns:
            (N, 5) float32: the region of the best detection in each, NaN where nothing is found.
        """
        check_image(image)
        regions = check_regions(regions)
        found = np.full((len(regions), 5), np.nan, np.float32)
        size_wh = self.card.input_wh
        for row in np.flatnonzero(np.isfinite(regions).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1)):
            coarse = warp.fit_aspect(regions[row : row + 1], size_wh)[0]
            matrix = warp.region_matrix(coarse, size_wh, "corner")
            for best in self.detect(warp.crop(image, matrix, size_wh)).regions[:1]:
                middle = warp.apply(matrix, best[:2])
                # Angles in (-pi, pi].
                angle = np.pi - (np.pi - best[4] - coarse[4]) % (2 * np.pi)
                found[row] = [*middle, *(best[2:4] * coarse[2:4] / size_wh), angle]
        return found
