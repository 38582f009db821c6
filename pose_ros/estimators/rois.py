# SPDX-License-Identifier: Apache-2.0
"""What MediaPipe's landmark networks share: look at rotated regions as its ``ImageToTensorCalculator`` does."""

from __future__ import annotations

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.regions import check_regions
from pose_ros.estimators.base import CropEstimator

#: Nothing is as large or as far away as this, pixels.
_FAR = 1e7
#: Stands in for a region that is undefined, so that N in stays N out.
_NOWHERE = np.array([0, 0, 1, 1, 0], np.float32)


class RoiEstimator(CropEstimator):
    """Base of estimators whose networks see pixels as points, and the image's border repeated around it."""

    def _look(
        self, image: np.ndarray, regions: np.ndarray, padding: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
        """Run the network on all regions.

        Returns:
            Whether each region is defined (N,) bool, the regions that were looked at (N, 5), matrices from pixels of
            the crops to those of the image (N, 2, 3), and the outputs that the card names, in its order, each (N, ...).
        """
        check_image(image)
        regions = check_regions(regions)
        defined = (np.abs(regions) < _FAR).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1)
        size_wh = self.card.input_wh
        regions = warp.fit_aspect(np.where(defined[:, None], regions, _NOWHERE), size_wh, padding)
        matrices = warp.region_matrix(regions, size_wh, "corner")
        crops = np.empty((len(regions), size_wh[1], size_wh[0], 3), np.uint8)
        for crop, matrix in zip(crops, matrices, strict=True):
            warp.crop(image, matrix, size_wh, border=None, out=crop)
        raw = self.session.run(self.card.preprocess(crops))
        return defined, regions, matrices, [raw[name] for name in self.card.outputs]
