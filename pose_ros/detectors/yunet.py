# SPDX-License-Identifier: Apache-2.0
"""YuNet: a tiny detector of faces with five keypoints (Wu et al., Machine Intelligence Research 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.regions import Detections, nms
from pose_ros.decode import yunet
from pose_ros.decode.rois import aligned_regions
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError
from pose_ros.plugin import Model

_OUTPUTS = 4 * len(yunet.STRIDES)


@dataclass(frozen=True)
class YuNetOptions:
    """Options of YuNet."""

    min_score: float = option(0.6, "Lowest score of a face.", low=0.0, high=1.0, live=True)
    max_iou: float = option(
        0.3, "Of two boxes that overlap by more than this, the better one stays.", low=0.0, high=1.0, live=True
    )
    max_detections: int = option(100, "Most detections in one image.", low=1, high=1000, live=True)


class YuNetDetector(Detector):
    """Boxes from one network call; a face's region stands upright in its own frame.

    The image stands in the upper left corner of the input, which is black around it. Card parameter ``roi``: arguments
    of :func:`pose_ros.decode.rois.aligned_regions`. Card outputs: class probabilities of three strides, objectness of
    each, boxes, keypoints.
    """

    Options = YuNetOptions
    options: YuNetOptions

    def __init__(self, model: Model, options: YuNetOptions | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) != _OUTPUTS:
            problem = f"expected cls, obj, bbox and kps of strides {yunet.STRIDES}, got {self.card.outputs}"
            raise CardError(self.card.name, f"outputs: {problem}")
        if any(size % yunet.STRIDES[-1] for size in self.card.input_wh):
            problem = f"expected multiples of {yunet.STRIDES[-1]}, got {self.card.input_wh}"
            raise CardError(self.card.name, f"input_wh: {problem}")
        try:
            aligned_regions(np.zeros((0, yunet.KEYPOINTS, 2)), np.zeros((0, 4)), **self.card.params["roi"])
        except (KeyError, TypeError) as error:
            raise CardError(self.card.name, f"params.roi: {error}") from error

    def detect(self, image: np.ndarray) -> Detections:
        """Find the faces, best first; see :class:`Detector`."""
        check_image(image)
        size_wh = self.card.input_wh
        matrix = warp.letterbox_matrix((image.shape[1], image.shape[0]), size_wh, centre=False)
        raw = self.session.run(self.card.preprocess(warp.crop(image, matrix, size_wh)[None]))
        outputs = [raw[name][0] for name in self.card.outputs]
        boxes, keypoints, scores = yunet.decode(outputs, size_wh, self.options.min_score)
        keep = nms(boxes, scores, self.options.max_iou)[: self.options.max_detections]
        boxes = warp.apply(matrix, boxes[keep].reshape(-1, 2, 2)).reshape(-1, 4)
        regions = aligned_regions(warp.apply(matrix, keypoints[keep]), boxes, **self.card.params["roi"])
        return Detections(boxes, scores[keep], regions=regions)
