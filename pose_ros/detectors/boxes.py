# SPDX-License-Identifier: Apache-2.0
"""What detectors of named classes share: fit the image into the input, choose classes, suppress doubles, map back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.regions import Detections, nms, soft_nms
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError, UnknownNameError
from pose_ros.plugin import Model, read_params

#: Most candidates that suppression of doubles looks at; its cost grows with their square.
_MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class BoxParams:
    """What a card says in ``params``."""

    fit: str = option(
        "corner", "How the image gets into the input: in its upper left corner, in its middle, or stretched.",
        choices=("corner", "centre", "stretch"),
    )
    border: int = option(114, "Grey of the input around the image.", low=0, high=255)
    find: tuple[str, ...] = option((), "Classes that are found where the user names none; empty: all.")


@dataclass(frozen=True)
class BoxOptions:
    """Options of detectors of named classes."""

    score_threshold: float = option(0.3, "Lowest score of a detection.", low=0.0, high=1.0, live=True)
    nms_iou: float = option(
        0.45, "Of two boxes that overlap by more than this, the better one stays.", low=0.0, high=1.0, live=True
    )
    soft_nms: bool = option(
        False, "Lower the scores of overlapping boxes instead of removing them: keeps people in a crowd.", live=True
    )
    classes: tuple[str, ...] = option((), "Classes to find, such as [cat, dog]; empty takes the model's own.")
    max_detections: int = option(100, "Most detections in one image.", low=1, high=1000, live=True)


class BoxDetector(Detector):
    """Base of the detectors of named classes."""

    Options = BoxOptions
    Params: ClassVar[type[BoxParams]] = BoxParams
    options: BoxOptions

    def __init__(self, model: Model, options: BoxOptions | None = None) -> None:
        """Read the card and look up the classes.

        Raises:
            CardError: The card names no classes, or a parameter does not fit.
            UnknownNameError: A class that the network does not know.
        """
        super().__init__(model, options)
        self.params = read_params(self.Params, self.card)
        if not self.card.classes:
            raise CardError(self.card.name, "classes: expected the names of the network's classes")
        index = {name: i for i, name in enumerate(self.card.classes)}
        names = self.options.classes or self.params.find or self.card.classes
        for name in names:
            if name not in index:
                raise UnknownNameError(f"class of '{self.card.name}'", name, index)
        #: Wanted classes, sorted.
        self._classes = np.array(sorted({index[name] for name in names}))

    @abstractmethod
    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes (B, 4), scores (B,) and classes (B,) of one image, before doubles are suppressed.

        Boxes are xyxy in input pixels with the centre of the first pixel at (0, 0), finite, of wanted classes, with
        scores of at least ``options.score_threshold``. ``outputs`` are those of the session, each (1, ...).
        """

    def detect(self, image: np.ndarray) -> Detections:
        """Find the subjects; see :class:`Detector`."""
        check_image(image)
        size_wh = self.card.input_wh
        matrix = self._matrix((image.shape[1], image.shape[0]))
        crop = warp.crop(image, matrix, size_wh, border=self.params.border)
        boxes, scores, classes = self._candidates(self.session.run(self.card.preprocess(crop[None])))
        best = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
        boxes, scores, classes = boxes[best], scores[best], classes[best]
        # Across classes: a subject that looks like two of them is still one subject.
        if self.options.soft_nms:
            scores = soft_nms(boxes, scores)
            keep = np.argsort(-scores, kind="stable")
            keep = keep[scores[keep] >= self.options.score_threshold]
        else:
            keep = nms(boxes, scores, self.options.nms_iou)
        keep = keep[: self.options.max_detections]
        corners = warp.apply(matrix, boxes[keep].reshape(-1, 2, 2))
        return Detections(corners.reshape(-1, 4), np.clip(scores[keep], 0, 1), classes[keep])

    def _matrix(self, image_wh: tuple[int, int]) -> np.ndarray:
        size_wh = self.card.input_wh
        if self.params.fit != "stretch":
            return warp.letterbox_matrix(image_wh, size_wh, centre=self.params.fit == "centre")
        width, height = image_wh
        return warp.region_matrix(np.array([(width - 1) / 2, (height - 1) / 2, width, height, 0]), size_wh)
