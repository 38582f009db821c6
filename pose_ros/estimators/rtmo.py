# SPDX-License-Identifier: Apache-2.0
"""RTMO: one-stage, several people (Lu et al., CVPR 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.decode import rtmo
from pose_ros.errors import CardError, ShapeError
from pose_ros.estimators.base import ImageEstimator
from pose_ros.plugin import Model

#: Grey of the input around the image.
_BORDER = 114


@dataclass(frozen=True)
class RtmoOptions:
    """Options of RTMO."""

    score_threshold: float = option(0.3, "Lowest score of a subject.", low=0.0, high=1.0, live=True)
    nms_iou: float = option(
        0.65, "Of two subjects whose boxes overlap by more than this, the better one stays.", low=0.0, high=1.0,
        live=True,
    )
    max_detections: int = option(100, "Most subjects in one image.", low=1, high=1000, live=True)


class Rtmo(ImageEstimator):
    """Boxes and keypoints from one look at the whole image, which stands in the input's upper left corner.

    Card outputs: boxes, scores, keypoints and visibilities of candidates (our network); or boxes with scores
    (1, n, 5) and keypoints with visibilities (1, n, K, 3) of subjects, as OpenMMLab's files have them.
    """

    Options = RtmoOptions
    options: RtmoOptions

    def __init__(self, model: Model, options: RtmoOptions | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) not in (2, 4):
            raise CardError(
                self.card.name, "outputs: expected boxes, scores, keypoints and visibilities; or boxes with scores and "
                f"keypoints with visibilities; got {self.card.outputs}"
            )

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses in an image; see :class:`ImageEstimator`."""
        check_image(image)
        height, width = image.shape[:2]
        size_wh = self.card.input_wh
        # Pixels are points here: the first one of the input is the first one of the image.
        scale = max(width / size_wh[0], height / size_wh[1])
        matrix = np.array([[scale, 0, 0], [0, scale, 0]])
        crop = warp.crop(image, matrix, size_wh, border=_BORDER)
        found = rtmo.decode(
            *self._columns(crop), min_score=self.options.score_threshold, max_iou=self.options.nms_iou
        )
        boxes, scores, keypoints, visibilities = (x[: self.options.max_detections] for x in found)
        known = np.isfinite(keypoints).all(axis=2) & np.isfinite(visibilities)
        rows = known.any(axis=1)
        return Poses(
            self.skeleton,
            warp.apply(matrix, np.where(known[..., None], keypoints, np.nan))[rows],
            np.where(known, np.clip(visibilities, 0, 1), 0)[rows],
            boxes=warp.apply(matrix, boxes.reshape(-1, 2, 2)).reshape(-1, 4)[rows],
            subject_scores=np.clip(scores, 0, 1)[rows],
        )

    def _columns(self, crop: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return boxes (S, 4), scores (S,), keypoints (S, K, 2) and visibilities (S, K) in input pixels."""
        outputs = self.session.run(self.card.preprocess(crop[None]))
        columns = tuple(outputs[name][0] for name in self.card.outputs)
        if len(columns) == 4:
            return columns
        found, keypoints = columns
        k = len(self.skeleton)
        if found.ndim != 2 or found.shape[1] != 5 or keypoints.shape != (len(found), k, 3):
            raise ShapeError("outputs", f"(n, 5) and (n, {k}, 3)", f"{found.shape} and {keypoints.shape}")
        return found[:, :4], found[:, 4], keypoints[..., :2], keypoints[..., 2]
