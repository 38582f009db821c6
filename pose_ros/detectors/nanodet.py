# SPDX-License-Identifier: Apache-2.0
"""NanoDet and NanoDet-Plus: small anchor-free detectors of many classes (Lyu, 2020 and 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.decode import nanodet
from pose_ros.detectors.boxes import BoxDetector, BoxParams


@dataclass(frozen=True)
class NanoDetParams(BoxParams):
    """What a card says in ``params``."""

    levels: int = option(4, "Number of grids: 4 of NanoDet-Plus, 3 of NanoDet.", low=1, high=5)
    reg_max: int = option(7, "Largest distance of a side, in cells.", low=1, high=32)
    centre: float = option(0.0, "Where in a cell its point is: 0 of NanoDet-Plus, 0.5 of NanoDet.", low=0.0, high=1.0)


class NanoDetDetector(BoxDetector):
    """Boxes from the joined output of all grids."""

    Params = NanoDetParams
    params: NanoDetParams

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (output,) = outputs.values()
        return nanodet.decode(
            output[0], self.card.input_wh, levels=self.params.levels, reg_max=self.params.reg_max,
            centre=self.params.centre, classes=self._classes, min_score=self.options.score_threshold,
        )  # fmt: skip
