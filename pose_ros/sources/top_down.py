# SPDX-License-Identifier: Apache-2.0
"""Top-down: a detector finds the subjects, an estimator looks at each; from image to image they are followed."""

from __future__ import annotations

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.estimators.base import CropEstimator
from pose_ros.sources.by_keypoints import ByKeypoints
from pose_ros.sources.by_regions import ByRegions
from pose_ros.sources.following import Following, Look
from pose_ros.sources.options import TopDownOptions


class TopDown:
    """Detect subjects, or follow them from the last frame, and estimate each one.

    An estimator that says itself where to look next, and whether anybody is there, is believed
    (:class:`~pose_ros.sources.by_regions.ByRegions`). With any other one the keypoints frame the subjects from one
    image to the next (:class:`~pose_ros.sources.by_keypoints.ByKeypoints`).
    """

    def __init__(self, detector: Detector, estimator: CropEstimator, options: TopDownOptions | None = None) -> None:
        """Join a detector and an estimator."""
        self.detector, self.estimator = detector, estimator
        self.options = options or TopDownOptions()
        self.skeleton = estimator.skeleton
        self.name = f"{detector.card.name}+{estimator.card.name}"
        self.device = f"{estimator.session.runtime} on {estimator.session.device}"
        # Whoever knows one class alone did not choose it, and says nothing by it.
        classes = detector.card.classes if len(detector.card.classes) > 1 else ()
        #: What the detector's classes are called; the last one stands for those that have no name.
        self.names = np.array([*classes, ""])
        #: How often the detector ran.
        self.detections = 0
        self.reset()

    def reset(self) -> None:
        """Forget the subjects of the last frame."""
        self._following: Following = ByRegions(self.estimator.steady)

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        """Estimate all poses in a frame; followed subjects come first, in their old order; ``whole`` is not used."""
        look = Look(self, frame, stages)
        regions, labels, found = self._following.expected(look, self.options)
        poses = look.estimate(regions).replace(labels=labels)
        # The first subjects show which kind of estimator this is; of nobody, the others tell no regions either.
        if poses.regions is None and len(poses) and isinstance(self._following, ByRegions):
            self._following = ByKeypoints(frame.stamp_ns)
        return self._following.seen(look, poses, found, self.options)
