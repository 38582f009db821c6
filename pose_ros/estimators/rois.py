# SPDX-License-Identifier: Apache-2.0
"""What MediaPipe's landmark networks share: look at rotated regions as its ``ImageToTensorCalculator`` does."""

from __future__ import annotations

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.regions import check_regions
from pose_ros.estimators.base import CropEstimator
from pose_ros.plugin import Model

#: Nothing is as large or as far away as this, pixels.
_FAR = 1e7
#: Stands in for a region that is undefined, so that N in stays N out.
_NOWHERE = np.array([0, 0, 1, 1, 0], np.float32)


def look(
    model: Model, image: np.ndarray, regions: np.ndarray, padding: float = 1.0, align: warp.Align = "corner",
    mirrored: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Run a network that sees the image's border repeated around it on all regions.

    Args:
        model: The network.
        image: RGB uint8 (H, W, 3).
        regions: (N, 5).
        padding: How much larger than the regions the crops are.
        align: How pixels of the crops lie in the regions, see :func:`pose_ros.core.warp.region_matrix`.
        mirrored: (N,) bool: which of them are shown to the network in a mirror.

    Returns:
        Whether each region is defined (N,) bool, the regions that were looked at (N, 5), matrices from pixels of the
        crops, as the network saw them, to those of the image (N, 2, 3), and the outputs that the card names, in its
        order, each (N, ...).
    """
    check_image(image)
    regions = check_regions(regions)
    defined = (np.abs(regions) < _FAR).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1)
    size_wh = model.card.input_wh
    regions = warp.fit_aspect(np.where(defined[:, None], regions, _NOWHERE), size_wh, padding)
    matrices = warp.region_matrix(regions, size_wh, align)
    if mirrored is not None:
        # The last column of pixels becomes the first one.
        flip = np.where(mirrored[:, None], matrices[:, :, 0] * (size_wh[0] - 1), 0)
        matrices[:, :, 2] += flip
        matrices[:, :, 0] *= np.where(mirrored, -1, 1)[:, None]
    crops = np.empty((len(regions), size_wh[1], size_wh[0], 3), np.uint8)
    for crop, matrix in zip(crops, matrices, strict=True):
        warp.crop(image, matrix, size_wh, border=None, out=crop)
    raw = model.session.run(model.card.preprocess(crops))
    return defined, regions, matrices, [raw[name] for name in model.card.outputs]


class RoiEstimator(CropEstimator):
    """Base of estimators whose networks see pixels as points, and the image's border repeated around it."""

    def _look(
        self, image: np.ndarray, regions: np.ndarray, padding: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
        """Run the own network on all regions; see :func:`look`."""
        return look(self.model, image, regions, padding)
