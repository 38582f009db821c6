# SPDX-License-Identifier: Apache-2.0
"""YOLOX: anchor-free detector of many classes (Ge et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.decode import yolox
from pose_ros.detectors.boxes import BoxDetector


class YoloxDetector(BoxDetector):
    """Boxes from the raw output of the three grids."""

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (output,) = outputs.values()
        return yolox.decode(
            output[0], self.card.input_wh, classes=self._classes, min_score=self.options.score_threshold
        )
