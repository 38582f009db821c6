# SPDX-License-Identifier: Apache-2.0
"""Detectors that suppress doubles themselves, as OpenMMLab's mmdeploy exports them: YOLOX, RTMDet and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.detectors.boxes import BoxDetector, BoxOptions
from pose_ros.errors import CardError, ShapeError
from pose_ros.plugin import Model


@dataclass(frozen=True)
class End2EndOptions(BoxOptions):
    """Options of detectors that suppress doubles themselves."""

    nms_iou: float = option(
        1.0, "Of two boxes that overlap by more than this, the better one stays; the network has done so by a rule "
        "of its own before.", low=0.0, high=1.0, live=True,
    )


class End2EndDetector(BoxDetector):
    """Boxes as the network gives them.

    Card outputs: boxes with scores (1, n, 5) in input pixels from the edge of the first one, and classes (1, n). n is
    another one for each image; rows that fill up have score 0 and a class of their own.
    """

    Options = End2EndOptions

    def __init__(self, model: Model, options: End2EndOptions | None = None) -> None:
        """Check the card."""
        super().__init__(model, options)
        if len(self.card.outputs) != 2:
            raise CardError(self.card.name, f"outputs: expected boxes and classes, got {self.card.outputs}")

    def _candidates(self, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, classes = (outputs[name][0] for name in self.card.outputs)
        if found.ndim != 2 or found.shape[1] != 5 or classes.shape != found.shape[:1]:
            raise ShapeError("outputs", "(n, 5) and (n,)", f"{found.shape} and {classes.shape}")
        good = np.isfinite(found).all(axis=1) & (found[:, 4] >= max(self.options.score_threshold, 1e-6))
        good &= np.isin(classes, self._classes) & (found[:, 2:4] >= found[:, :2]).all(axis=1)
        return found[good, :4] - 0.5, found[good, 4], classes[good].astype(np.int64)
