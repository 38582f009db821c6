# SPDX-License-Identifier: Apache-2.0
"""YOLOX: anchor-free detector of many classes (Ge et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.regions import Detections, nms
from pose_ros.decode import yolox
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError, UnknownNameError
from pose_ros.plugin import Model

#: Grey around the image that the family was trained with.
_BORDER = 114
#: Most candidates that suppression of doubles looks at; its cost grows with their square.
_MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class YoloxOptions:
    """Options of :class:`YoloxDetector`."""

    score_threshold: float = option(0.3, "Lowest score of a detection.", low=0.0, high=1.0, live=True)
    nms_iou: float = option(
        0.45, "Of two boxes that overlap by more than this, the better one stays.", low=0.0, high=1.0, live=True
    )
    classes: str = option("person", "Names of the classes to find, separated by commas, such as 'cat, dog'.")
    max_detections: int = option(100, "Most detections in one image.", low=1, high=1000, live=True)


class YoloxDetector(Detector):
    """Detect subjects of named classes."""

    Options = YoloxOptions
    options: YoloxOptions

    def __init__(self, model: Model, options: YoloxOptions | None = None) -> None:
        """Look up the classes.

        Raises:
            CardError: The card names no classes.
            UnknownNameError: A class that the network does not know.
        """
        super().__init__(model, options)
        if not self.card.classes:
            raise CardError(self.card.name, "classes: expected the names of the network's outputs")
        index = {name: i for i, name in enumerate(self.card.classes)}
        wanted = [name.strip() for name in self.options.classes.split(",")]
        for name in wanted:
            if name not in index:
                raise UnknownNameError(f"class of '{self.card.name}'", name, index)
        self._classes = np.array(sorted({index[name] for name in wanted}))

    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects; see :class:`Detector`."""
        check_image(image)
        size_wh = self.card.input_wh
        matrix = warp.letterbox_matrix((image.shape[1], image.shape[0]), size_wh, centre=False)
        crop = warp.crop(image, matrix, size_wh, border=_BORDER)
        (output,) = self.session.run(self.card.preprocess(crop[None])).values()
        boxes, scores, classes = yolox.decode(
            output[0], size_wh, classes=self._classes, min_score=self.options.score_threshold
        )
        best = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
        # Across classes: a subject that looks like two of them is still one subject.
        keep = best[nms(boxes[best], scores[best], self.options.nms_iou)[: self.options.max_detections]]
        corners = warp.apply(matrix, boxes[keep].reshape(-1, 2, 2))
        return Detections(corners.reshape(-1, 4), np.clip(scores[keep], 0, 1), classes[keep])
