# SPDX-License-Identifier: Apache-2.0
"""Landmarks of a hand or a face in a region that stands upright (Zhang et al. 2020; Kartynnik et al. 2019).

Every rule is that of MediaPipe's ``hand_landmark`` and ``face_landmark`` graphs (Apache-2.0), without smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_ros.anatomy.face_size import face_scales, iris_diameters
from pose_ros.core import warp
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.decode.activation import sigmoid
from pose_ros.decode.rois import aligned_regions, enclosing_regions, turned
from pose_ros.errors import CardError
from pose_ros.estimators.eyes import Eyes
from pose_ros.estimators.rois import RoiEstimator
from pose_ros.plugin import Model


@dataclass(frozen=True)
class LandmarksOptions:
    """Options of the estimator."""

    refine_eyes: bool = option(
        True, "Where the model has a network for irises: let it move the eyelids and brows too.", live=True
    )


class Landmarks(RoiEstimator):
    """One set of landmarks for each region, and the region in which to look next.

    ``subject_scores`` is the probability that the region shows such a subject; the networks say no more of single
    landmarks, so it is their ``scores`` too. Hands have ``sides`` and ``local_points``: metres around their middle.
    Faces have ``local_points`` around their ``root`` where the skeleton says where its points lie in an average face
    (``rigid``). The network knows the shape of a face and not its size: that is an average adult's, or where the rings
    of irises are known, what they say (:mod:`pose_ros.anatomy.face_size`).

    Card outputs: landmarks in pixels of the crop, (N, 3 K) in any shape; presence; and of hands the probability of a
    right one (MediaPipe takes images for mirrored ones, and calls it left), and world landmarks. Card parameters:
    ``presence``: probability or logit; ``roi``: arguments of :func:`pose_ros.decode.rois.enclosing_regions` for the
    region in the next image, or without ``points`` of :func:`pose_ros.decode.rois.aligned_regions` with the upright box
    around all landmarks. ``needs``: ``iris``, a network for the last landmarks of a face, those of its irises; see
    :class:`pose_ros.estimators.eyes.Eyes`.
    """

    Options = LandmarksOptions
    options: LandmarksOptions

    # As in MediaPipe's graphs: hands move faster than bodies, and smoothed regions fall behind them.
    steady = False

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        params = self.card.params
        if len(self.card.outputs) not in (2, 4):
            expected = "landmarks, presence, and of hands handedness and world landmarks"
            raise CardError(self.card.name, f"outputs: expected {expected}; got {self.card.outputs}")
        if params.get("presence") not in ("probability", "logit"):
            problem = f"params.presence: expected probability or logit, got {params.get('presence')!r}"
            raise CardError(self.card.name, problem + "; a network that does not say is a part of others (needs)")
        try:
            self._next(np.zeros((0, len(self.skeleton), 2), np.float32), np.zeros((0, 4), np.float32))
        except (KeyError, TypeError, IndexError) as error:
            raise CardError(self.card.name, f"params.roi: {error}") from error
        self._eyes = Eyes(model.needs["iris"], self.skeleton) if "iris" in model.needs else None
        rigid = self.skeleton.rigid
        self._rigid = np.array(list(rigid), np.int64)
        self._spread = _spread(np.array([list(rigid.values())])) if rigid else np.nan
        # Irises are the last points, and the network's own ones come before.
        self._own = len(self.skeleton) - (self._eyes.irises.size if self._eyes else 0)

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        defined, regions, matrices, (landmarks, presence, *hand) = self._look(image, regions, 1.0)
        n, k = len(regions), self._own
        landmarks = landmarks.reshape(n, k, 3)
        finite = np.isfinite(landmarks)
        sound = finite[..., 0] & finite[..., 1] & finite[..., 2] & defined[:, None]
        keypoints = warp.apply(matrices, landmarks[..., :2])
        if not sound.all():
            keypoints[~sound] = np.nan
        presence = presence.reshape(n)
        if self.card.params["presence"] == "logit":
            presence = sigmoid(presence)
        presence = np.where(defined & (presence > 0), np.minimum(presence, 1), 0)
        own = keypoints_to_boxes(keypoints)
        following = self._next(keypoints, own)
        columns: dict[str, Any] = {}
        if hand:
            right = np.nan_to_num(hand[0].reshape(n), nan=0.5).clip(0, 1)
            world = hand[1].reshape(n, k, 3)
            world = np.where(defined[:, None, None] & np.isfinite(world), world, np.nan)
            columns["sides"] = np.where(right > 0.5, RIGHT, LEFT)
            columns["side_scores"] = np.maximum(right, 1 - right)
            columns["local_points"] = turned(world, regions[:, 4])
        elif self.skeleton.rigid:
            # As deep as wide: z is in pixels of the crop too.
            depths = landmarks[..., 2] * (regions[:, 2] / self.card.input_wh[0])[:, None]
            if self._eyes:
                keypoints, depths = self._with_eyes(image, keypoints, np.where(sound, depths, np.nan))
                sound = np.isfinite(keypoints).all(axis=2)
            columns["local_points"] = self._metres(keypoints, depths)
        return Poses(
            self.skeleton,
            keypoints,
            np.where(sound, presence[:, None], 0),
            # Irises lie inside.
            boxes=own,
            subject_scores=presence,
            regions=following,
            **columns,
        )

    def _with_eyes(
        self, image: np.ndarray, keypoints: np.ndarray, depths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints (N, K, 2) and depths (N, K) in pixels with irises, and if wanted, with finer eyelids."""
        assert self._eyes is not None
        n, k, eyes = len(keypoints), len(self.skeleton), self._eyes
        contours, irises = eyes(image, keypoints)
        more = np.full((n, k - self._own), np.nan)
        keypoints = np.concatenate([keypoints, np.stack([more, more], axis=2)], axis=1)
        depths = np.concatenate([depths, more], axis=1)
        depths[:, eyes.irises] = depths[:, eyes.lids].mean(axis=2, keepdims=True)
        keypoints[:, eyes.irises] = irises
        if self.options.refine_eyes:
            keypoints[:, eyes.contours] = np.where(np.isfinite(contours), contours, keypoints[:, eyes.contours])
        return keypoints, depths

    def _metres(self, keypoints: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """Return the points (N, K, 3) of faces in metres around their root, as large as their irises say."""
        points = np.concatenate([keypoints, depths[..., None]], axis=2)
        # The spread of points does not depend on how they are turned.
        spread = _spread(points[:, self._rigid])
        metres = np.divide(self._spread, spread, out=np.full(len(points), np.nan), where=spread > 0)
        if self._eyes:
            irises = [self.skeleton.roles.get(f"{side}_iris", ()) for side in ("left", "right")]
            px = np.stack([iris_diameters(keypoints, iris) for iris in irises], axis=1)
            metres *= face_scales(px * metres[:, None], px)
        root = self.skeleton.root
        points -= points[:, root : root + 1]
        points *= metres[:, None, None]
        return points

    def _next(self, keypoints: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        roi = self.card.params["roi"]
        if "points" in roi:
            return enclosing_regions(keypoints, **roi)
        return aligned_regions(keypoints, boxes, **roi)


def _spread(points: np.ndarray) -> np.ndarray:
    """Return the root mean square distance (N,) of points (N, P, 3) from their middle."""
    count = points.shape[1]
    away = points - points.sum(axis=1, keepdims=True) / count
    return np.sqrt((away * away).sum(axis=(1, 2)) / count)
