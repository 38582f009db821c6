# SPDX-License-Identifier: Apache-2.0
"""Where exactly the subject is in a coarse region: MediaPipe Holistic's re-crop of hands (Grishchenko et al. 2020).

Every rule is that of MediaPipe's ``hand_recrop_by_roi`` graph (Apache-2.0).
"""

from __future__ import annotations

import numpy as np

from pose_ros.core import warp
from pose_ros.core.poses import Poses
from pose_ros.core.regions import check_sides
from pose_ros.decode.rois import aligned_regions
from pose_ros.errors import CardError
from pose_ros.estimators.rois import RoiEstimator
from pose_ros.plugin import Model


class Recrop(RoiEstimator):
    """The circle around each subject: its middle and a point on it that tells the direction.

    ``regions`` is the square around the circle, in which the subject stands upright. The network does not say whether
    there is a subject at all.

    Card outputs: points in pixels of the crop, (N, 2 K) in any shape. Card parameters: ``roi``: arguments of
    :func:`pose_ros.decode.rois.aligned_regions` for the square.
    """

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) != 1:
            raise CardError(self.card.name, f"outputs: expected one, the points; got {self.card.outputs}")
        try:
            aligned_regions(np.zeros((0, len(self.skeleton), 2), np.float32), **self.card.params["roi"])
        except (KeyError, TypeError, IndexError) as error:
            raise CardError(self.card.name, f"params.roi: {error}") from error

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one circle per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        defined, regions, matrices, (points,) = self._look(image, regions, 1.0)
        points = points.reshape(len(regions), len(self.skeleton), 2)
        sound = defined[:, None] & np.isfinite(points).all(axis=2)
        keypoints = warp.apply(matrices, np.where(sound[..., None], points, np.nan))
        return Poses(
            self.skeleton,
            keypoints,
            sound.astype(np.float32),
            sides=check_sides(sides, len(regions)),
            regions=aligned_regions(keypoints, **self.card.params["roi"]),
        )
