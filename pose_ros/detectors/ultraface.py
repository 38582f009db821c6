# SPDX-License-Identifier: Apache-2.0
"""UltraFace: a very small detector of faces (Linzaer, 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.decode import ultraface
from pose_ros.detectors.boxes import BoxDetector, BoxOptions
from pose_ros.errors import CardError


@dataclass(frozen=True)
class UltraFaceOptions(BoxOptions):
    """Options of UltraFace; the defaults are its authors'."""

    score_threshold: float = option(0.7, "Lowest score of a detection.", low=0.0, high=1.0, live=True)
    nms_iou: float = option(
        0.3, "Of two boxes that overlap by more than this, the better one stays.", low=0.0, high=1.0, live=True
    )


class UltraFaceDetector(BoxDetector):
    """Boxes of faces. Card outputs: scores, boxes."""

    Options = UltraFaceOptions

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if len(outputs) != 2:
            raise CardError(self.card.name, f"outputs: expected scores and boxes, got {tuple(outputs)}")
        scores, boxes = (values[0] for values in outputs.values())
        boxes, scores = ultraface.decode(scores, boxes, self.card.input_wh, self.options.score_threshold)
        return boxes, scores, np.zeros(len(boxes), np.int64)
