# SPDX-License-Identifier: Apache-2.0
"""A package of a third party with one estimator that needs no weights."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.estimators.base import ImageEstimator


@dataclass(frozen=True)
class ToyOptions:
    """Options of the toy."""

    delay: float = option(0.0, "Work for this long.", unit="s", low=0.0, high=2.0)


class Toy(ImageEstimator):
    """One person in a bright image, with the nose missing; nobody in a dark one."""

    Options = ToyOptions

    def estimate(self, image):
        time.sleep(self.options.delay)
        if image.mean() < 100:
            return Poses.empty(self.skeleton)
        keypoints = np.tile(np.array([[[10.0, 20.5]]], np.float32), (1, 17, 1))
        keypoints[0, 0] = np.nan
        scores = np.full((1, 17), 0.9, np.float32)
        scores[0, 0] = 0
        boxes, subject_scores = np.array([[1, 2, 30, 40]]), np.array([0.75])
        return Poses(self.skeleton, keypoints, scores, boxes=boxes, subject_scores=subject_scores)
