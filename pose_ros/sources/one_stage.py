# SPDX-License-Identifier: Apache-2.0
"""One stage: poses from a network that finds the subjects itself."""

from __future__ import annotations

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.estimators.base import ImageEstimator
from pose_ros.sources.options import OneStageOptions


class OneStage:
    """Poses from a one-stage or bottom-up estimator; nothing is remembered."""

    def __init__(self, estimator: ImageEstimator, options: OneStageOptions | None = None) -> None:
        """Wrap an estimator."""
        self.estimator = estimator
        self.options = options or OneStageOptions()
        self.skeleton = estimator.skeleton
        self.name = estimator.card.name
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate all poses in a frame, best first; ``whole`` does not matter."""
        with stages("estimate"):
            poses = self.estimator.estimate(frame.image)
        poses = self.options.without_doubles(poses)
        best = np.argsort(-poses.subject_scores, kind="stable")
        best = best[poses.subject_scores[best] >= self.options.min_subject_score]
        poses = poses.select(best[: self.options.max_subjects])
        return poses.boxed()

    def reset(self) -> None:
        """Nothing is remembered."""
