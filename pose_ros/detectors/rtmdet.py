# SPDX-License-Identifier: Apache-2.0
"""RTMDet: anchor-free detector of many classes (Lyu et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.decode import rtmdet
from pose_ros.detectors.boxes import BoxDetector, BoxOptions
from pose_ros.errors import CardError
from pose_ros.plugin import Model


class RtmDetDetector(BoxDetector):
    """Boxes from the raw outputs of the three grids. Card outputs: distances, logits."""

    def __init__(self, model: Model, options: BoxOptions | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) != 2:
            raise CardError(self.card.name, f"outputs: expected distances and logits, got {self.card.outputs}")

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        distances, logits = (outputs[name][0] for name in self.card.outputs)
        return rtmdet.decode(
            distances, logits, self.card.input_wh, classes=self._classes, min_score=self.options.score_threshold
        )
