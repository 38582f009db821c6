# SPDX-License-Identifier: Apache-2.0
"""UltraFace: a very small detector of faces (Linzaer, 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.decode import ultraface
from pose_ros.detectors.boxes import BoxDetector
from pose_ros.errors import CardError


class UltraFaceDetector(BoxDetector):
    """Boxes of faces. Card outputs: scores, boxes."""

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if len(outputs) != 2:
            raise CardError(self.card.name, f"outputs: expected scores and boxes, got {tuple(outputs)}")
        scores, boxes = (values[0] for values in outputs.values())
        boxes, scores = ultraface.decode(scores, boxes, self.card.input_wh, self.options.score_threshold)
        return boxes, scores, np.zeros(len(boxes), np.int64)
