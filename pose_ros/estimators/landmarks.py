# SPDX-License-Identifier: Apache-2.0
"""Landmarks of a hand or a face in a region that stands upright (Zhang et al. 2020; Kartynnik et al. 2019).

Every rule is that of MediaPipe's ``hand_landmark`` and ``face_landmark`` graphs (Apache-2.0), without smoothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pose_ros.core import warp
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.decode.activation import sigmoid
from pose_ros.decode.rois import aligned_regions, enclosing_regions, turned
from pose_ros.errors import CardError
from pose_ros.estimators.rois import RoiEstimator
from pose_ros.plugin import Model


class Landmarks(RoiEstimator):
    """One set of landmarks for each region, and the region in which to look next.

    ``subject_scores`` is the probability that the region shows such a subject; the networks say no more of single
    landmarks, so it is their ``scores`` too. Hands have ``sides`` and ``local_points``: metres around their middle.

    Card outputs: landmarks in pixels of the crop, (N, 3 K) in any shape; presence; and of hands the probability of a
    right one (MediaPipe takes images for mirrored ones, and calls it left), and world landmarks. Card parameters:
    ``presence``: probability or logit; ``roi``: arguments of :func:`pose_ros.decode.rois.enclosing_regions` for the
    region in the next image, or without ``points`` of :func:`pose_ros.decode.rois.aligned_regions` with the upright box
    around all landmarks.
    """

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        params = self.card.params
        if len(self.card.outputs) not in (2, 4):
            expected = "landmarks, presence, and of hands handedness and world landmarks"
            raise CardError(self.card.name, f"outputs: expected {expected}; got {self.card.outputs}")
        if params.get("presence") not in ("probability", "logit"):
            problem = f"expected probability or logit, got {params.get('presence')!r}"
            raise CardError(self.card.name, f"params.presence: {problem}")
        try:
            self._next(np.zeros((0, len(self.skeleton), 2), np.float32))
        except (KeyError, TypeError, IndexError) as error:
            raise CardError(self.card.name, f"params.roi: {error}") from error

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        defined, regions, matrices, (landmarks, presence, *hand) = self._look(image, regions, 1.0)
        n, k = len(regions), len(self.skeleton)
        landmarks = landmarks.reshape(n, k, 3)
        sound = defined[:, None] & np.isfinite(landmarks).all(axis=2)
        keypoints = warp.apply(matrices, np.where(sound[..., None], landmarks[..., :2], np.nan))
        presence = presence.reshape(n)
        if self.card.params["presence"] == "logit":
            presence = sigmoid(presence)
        presence = np.where(defined, np.nan_to_num(presence).clip(0, 1), 0)
        columns: dict[str, Any] = {}
        if hand:
            right = np.nan_to_num(hand[0].reshape(n), nan=0.5).clip(0, 1)
            world = hand[1].reshape(n, k, 3)
            world = np.where(defined[:, None, None] & np.isfinite(world), world, np.nan)
            columns["sides"] = np.where(right > 0.5, RIGHT, LEFT)
            columns["side_scores"] = np.maximum(right, 1 - right)
            columns["local_points"] = turned(world, regions[:, 4])
        return Poses(
            self.skeleton,
            keypoints,
            np.where(sound, presence[:, None], 0),
            boxes=keypoints_to_boxes(keypoints),
            subject_scores=presence,
            regions=self._next(keypoints),
            **columns,
        )

    def _next(self, keypoints: np.ndarray) -> np.ndarray:
        roi = self.card.params["roi"]
        if "points" in roi:
            return enclosing_regions(keypoints, **roi)
        return aligned_regions(keypoints, keypoints_to_boxes(keypoints), **roi)
