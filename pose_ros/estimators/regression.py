# SPDX-License-Identifier: Apache-2.0
"""Networks that say the coordinates of each keypoint outright: DeepPose, RLE, PFLD."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.decode.regression import decode
from pose_ros.errors import CardError
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model

#: Numbers per keypoint.
_NUMBERS = {"constant": 2, "sigma": 4}


@dataclass(frozen=True)
class RegressionParams(CropParams):
    """What a card says in ``params``."""

    scores: str = option(
        "constant", "Where scores come from: always 1, or sigmas that follow x and y of each keypoint.",
        choices=tuple(_NUMBERS),
    )  # fmt: skip


class RegressionEstimator(TopDownEstimator):
    """Estimate keypoints from one output, x and y from 0 to 1 of the crop; a card's ``params``: RegressionParams.

    The output is (N, K, 2) or (N, 2 K) with ``scores: constant``, (N, K, 4) or (N, 4 K) with ``scores: sigma``.
    """

    Params = RegressionParams
    params: RegressionParams

    def __init__(self, model: Model, options: CropOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs.
        """
        super().__init__(model, options)
        k, numbers = len(self.skeleton), _NUMBERS[self.params.scores]
        shapes = [t.shape[1:] for t in self.session.outputs]
        if len(shapes) != 1 or math.prod(shapes[0]) != k * numbers:
            came = ", ".join(str(t.shape) for t in self.session.outputs)
            raise CardError(
                self.card.name, f"expected (N, {k}, {numbers}) or (N, {k * numbers}) as only output, "
                                f"with params.scores: {self.params.scores}; got {came}"
            )  # fmt: skip

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        (values,) = outputs.values()
        points, scores = decode(values, len(self.skeleton))
        # 0 and 1 are the borders of the region, wherever its pixels lie.
        steps = np.array(self.card.input_wh, np.float32) - (self.align == "udp")
        return points * steps - np.float32(0.5 * (self.align == "area")), scores, self.card.input_wh

    def _mirrored(self, outputs: Outputs) -> Outputs:
        ((name, values),) = outputs.items()
        rows = values.reshape(len(values), len(self.skeleton), -1)[:, self.skeleton.flip_index]
        rows[..., 0] = 1 - rows[..., 0]
        if self.align == "corner":  # the first pixel is at 0 and the last one not at 1, but one pixel before it
            rows[..., 0] -= np.float32(1 / self.card.input_wh[0])
        return {name: rows.reshape(values.shape)}
