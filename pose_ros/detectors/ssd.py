# SPDX-License-Identifier: Apache-2.0
"""SSD detector with keypoints: MediaPipe's pose, palm and face detection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.regions import Detections, boxes_to_regions, check_regions, keypoints_to_boxes, regions_to_boxes
from pose_ros.decode import ssd
from pose_ros.decode.rois import aligned_regions
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError
from pose_ros.plugin import Model


@dataclass(frozen=True)
class SsdOptions:
    """Options of the SSD detector."""

    min_score: float = option(0.5, "Lowest score of a detection.", low=0.0, high=1.0, live=True)
    max_iou: float = option(0.3, "Boxes that overlap by more than this are one subject.", low=0.0, high=1.0, live=True)


class SsdDetector(Detector):
    """Boxes and alignment keypoints from one network call; a subject's region stands upright in its own frame.

    Card parameters: ``strides`` of the layers; anchors ``per_layer`` (see :func:`pose_ros.decode.ssd.anchors`);
    ``roi``: arguments of :func:`pose_ros.decode.rois.aligned_regions`; ``subject``: ``box`` where the network's box
    covers the subject, ``keypoints`` where its region is to be laid around the keypoints instead, or ``circle`` where
    the box covers only a part (the head) and the subject fills the circle around the start keypoint; ``cover``: where
    the network's box covers only a part (the palm), which part of the region's side the subject fills: boxes go around
    that; ``upright``: whether regions are those boxes, for estimators that pad them. Card outputs: boxes, scores.
    """

    Options = SsdOptions
    options: SsdOptions

    def __init__(self, model: Model, options: SsdOptions | None = None) -> None:
        """Lay out the anchors."""
        super().__init__(model, options)
        params = self.card.params
        if len(self.card.outputs) != 2:
            raise CardError(self.card.name, f"outputs: expected boxes and scores, got {self.card.outputs}")
        if params.get("subject") not in ("box", "keypoints", "circle"):
            problem = f"expected box, keypoints or circle, got {params.get('subject')!r}"
            raise CardError(self.card.name, f"params.subject: {problem}")
        self._anchors = ssd.anchors(self.card.input_wh, params["strides"], params.get("per_layer", 2))

    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects, best first; see :class:`Detector`."""
        check_image(image)
        # MediaPipe takes pixels as points: the image reaches from 0 to its width.
        height, width = image.shape[:2]
        return self._look(image, np.array([width / 2, height / 2, width, height, 0]))

    def locate(self, image: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Look for one subject inside each of some coarse regions; see :class:`Detector`."""
        check_image(image)
        regions = check_regions(regions)
        found = np.full((len(regions), 5), np.nan, np.float32)
        for row in np.flatnonzero(np.isfinite(regions).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1)):
            for best in self._look(image, regions[row]).regions[:1]:
                found[row] = best
        return found

    def _look(self, image: np.ndarray, region: np.ndarray) -> Detections:
        """Return what is inside a region (5,), best first."""
        size_wh = self.card.input_wh
        matrix = warp.region_matrix(warp.fit_aspect(region[None], size_wh)[0], size_wh, "corner")
        batch = self.card.preprocess(warp.crop(image, matrix, size_wh)[None])
        raw = self.session.run(batch)
        values, logits = (raw[name][0] for name in self.card.outputs)
        found = ssd.decode(values, logits, self._anchors, size_wh, self.options.min_score)
        boxes, keypoints, scores = ssd.weighted_nms(*found, self.options.max_iou)
        to_image = matrix * np.array([*size_wh, 1])
        corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        boxes = keypoints_to_boxes(warp.apply(to_image, corners))
        keypoints = warp.apply(to_image, keypoints)
        params = self.card.params
        cover = params.get("cover", 0.0)
        if params["subject"] == "circle":
            regions, cover = aligned_regions(keypoints, **params["roi"]), cover or 1.0
        else:
            around = boxes if params["subject"] == "box" else keypoints_to_boxes(keypoints)
            regions = aligned_regions(keypoints, around, **params["roi"])
        if cover:
            # Not turned: nobody knows where in the region the subject's corners are.
            boxes = regions_to_boxes(regions * [1, 1, cover, cover, 0])
        return Detections(boxes, scores, regions=boxes_to_regions(boxes) if params.get("upright") else regions)
