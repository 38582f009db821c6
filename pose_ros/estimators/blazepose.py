# SPDX-License-Identifier: Apache-2.0
"""BlazePose: 33 keypoints, their visibility and metric positions (Bazarevsky et al. 2020).

Every rule is that of MediaPipe's ``pose_landmark`` graph (Apache-2.0), without its smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.decode.activation import sigmoid
from pose_ros.decode.refine import refine
from pose_ros.decode.rois import aligned_regions, turned
from pose_ros.errors import CardError
from pose_ros.estimators.rois import RoiEstimator
from pose_ros.plugin import Model

#: Landmarks behind the skeleton's: the middle of the body and a point on the circle around it.
_EXTRA = 2
#: The heatmap is read in a window of this many cells around each landmark. The graph's source says 7, but the option
#: does not reach MediaPipe 0.10.21, which was seen to use its default.
_KERNEL = 9
#: Without a peak of this probability in the window a landmark keeps its regressed place.
_MIN_CONFIDENCE = 0.5
#: The network sees this much more than the circle around the body.
_PADDING = 1.25
#: Landmarks lie inside the body: its box is larger than theirs by this part of it on every side.
_BOX_MARGIN = 0.1


@dataclass(frozen=True)
class BlazePoseOptions:
    """Options of BlazePose."""

    refine: bool = option(True, "Refine keypoints by the network's heatmap, as MediaPipe does.", live=True)


class BlazePose(RoiEstimator):
    """One pose for each region, and the square around the body's circle as the region in which to look next.

    ``scores`` are visibilities: the probability that a keypoint lies in the image and is not covered; a covered
    keypoint has a low score and a guessed place. ``subject_scores`` is the probability that the region shows a body.
    ``local_points`` are metres around the middle of the hips. Of an undefined region everything is NaN.

    Card outputs: landmarks, presence of a body, heat maps, world landmarks.
    """

    Options = BlazePoseOptions
    options: BlazePoseOptions

    def __init__(self, model: Model, options: BlazePoseOptions | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) != 4:
            raise CardError(
                self.card.name,
                f"outputs: expected landmarks, presence, heat maps, world landmarks; got {self.card.outputs}",
            )

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        defined, regions, matrices, (landmarks, flag, heatmap, world) = self._look(image, regions, _PADDING)
        if not len(regions):
            return Poses.empty(self.skeleton)
        size_wh, k = self.card.input_wh, len(self.skeleton)
        landmarks = landmarks.reshape(len(regions), -1, 5)[:, : k + _EXTRA]
        sound = defined[:, None] & np.isfinite(landmarks).all(axis=2)
        points = np.where(sound[..., None], landmarks[..., :2] / size_wh, np.nan)
        if self.options.refine:
            points = refine(points, heatmap, _KERNEL, _MIN_CONFIDENCE)
        pixels = warp.apply(matrices, points * size_wh)
        world = world.reshape(len(regions), -1, 3)[:, :k]
        world = np.where(sound[:, :k, None] & np.isfinite(world), world, np.nan)
        boxes = keypoints_to_boxes(pixels[:, :k])
        margin = _BOX_MARGIN * (boxes[:, 2:] - boxes[:, :2])
        return Poses(
            self.skeleton,
            pixels[:, :k],
            np.where(sound, sigmoid(landmarks[..., 3]), 0)[:, :k],
            boxes=boxes + np.concatenate([-margin, margin], axis=1),
            subject_scores=np.where(defined, np.nan_to_num(flag.reshape(-1)).clip(0, 1), 0),
            local_points=turned(world, regions[:, 4]),
            regions=aligned_regions(pixels[:, k:], start=0, end=1),
        )
