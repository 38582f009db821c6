# SPDX-License-Identifier: Apache-2.0
"""Estimators: where are the keypoints of the subjects."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.skeletons import catalogue


class _Estimator(NetworkPlugin):
    """What both kinds of estimators share."""

    #: Skeleton of all results.
    skeleton: Skeleton

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Keep the network, the options and the card's skeleton."""
        super().__init__(model, options)
        self.skeleton = catalogue.get(model.card.skeleton)


class ImageEstimator(_Estimator):
    """Find subjects and their keypoints in one go (bottom-up, one-stage)."""

    @abstractmethod
    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses in an image, best first.

        Args:
            image: RGB uint8 (H, W, 3). Not modified.

        Returns:
            N poses in pixels of ``image``; N may be 0. A keypoint that was not found is NaN with score 0.
        """


class CropEstimator(_Estimator):
    """Find the keypoints of subjects whose place is known (top-down)."""

    #: Whether the regions of followed subjects are smoothed over time. Bodies are calmer for it; hands outrun it.
    steady: ClassVar[bool] = True

    @abstractmethod
    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region, in the order of the regions, with one batched call of the network.

        Args:
            image: RGB uint8 (H, W, 3). Not modified.
            regions: (N, 5) float32: cx, cy, width, height, angle in pixels and radians; N may be 0. They may reach
                outside the image. The estimator applies its own padding.
            sides: (N,) uint8, what is known of each subject: 0 nothing, 1 left, 2 right. A network that knows only one
                side of a body sees the other one in a mirror; a network that tells the side itself does not care.

        Returns:
            N poses in pixels of ``image``. A keypoint that was not found is NaN with score 0. ``subject_scores``
            says whether there is a subject in the region at all, where the network tells (1 otherwise). An estimator
            that can follow a subject without a detector fills ``regions``: where to look in the next image.
        """
