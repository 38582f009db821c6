# SPDX-License-Identifier: Apache-2.0
"""Lifters: how does a body stand in space, by its 2D keypoints over time."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.skeletons import catalogue


class Lifter(NetworkPlugin):
    """Lift the keypoints of subjects; it keeps nothing between calls, the caller keeps their past."""

    #: Skeleton of the results; the card's.
    skeleton: Skeleton
    #: Skeleton of the keypoints that it takes.
    takes: Skeleton
    #: How many moments it sees, T, and how many of them come after the one that it lifts.
    window: int
    ahead: int
    #: Time between two moments, seconds; 0 where it sees but one.
    step_s: float

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Keep the network, the options and the card's skeleton."""
        super().__init__(model, options)
        self.skeleton = catalogue.get(model.card.skeleton)

    def metres_per_pixel(self, size_wh: tuple[int, int]) -> float:
        """Return the scale of results whose x and y are as seen in the image, and z in the same scale.

        Such results are no shape yet: what is nearer looks larger. 0 where they are, as for most lifters.
        """
        return 0.0

    @abstractmethod
    def lift(self, keypoints: np.ndarray, scores: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
        """Lift N subjects with one batched call of the network.

        Args:
            keypoints: (N, T, K, 2) pixels of an undistorted image, of ``takes``; finite, the caller fills gaps.
            scores: (N, T, K) in [0, 1].
            size_wh: Of the image, pixels.

        Returns:
            (N, K', 3) float32 metres, origin at the root of ``skeleton``, axes of the optical frame.
        """
