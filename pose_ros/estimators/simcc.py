# SPDX-License-Identifier: Apache-2.0
"""Networks that tell each keypoint's column and row by two vectors: SimCC, RTMPose, RTMW, DWPose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.decode import simcc
from pose_ros.errors import CardError
from pose_ros.estimators.top_down import CropOptions, CropParams, Outputs, TopDownEstimator
from pose_ros.plugin import Model


@dataclass(frozen=True)
class SimccParams(CropParams):
    """What a card says in ``params``."""

    split: float = option(2.0, "Bins of the vectors for each pixel of the input.", low=0.5, high=16.0)
    score: str = option("min", "What the score of a keypoint is, see decode.simcc.", choices=simcc.SCORES)
    refine: str = option("none", "How a keypoint is refined, see decode.simcc.", choices=simcc.REFINEMENTS)
    sigma: float = option(
        0.0, "Of the Gaussians that the network was trained with; 0 takes RTMPose's rule, sqrt(side / 8).",
        unit="bins", low=0.0, high=99.0,
    )
    beta: float = option(10.0, "Of the score 'softmax', as in the loss of the training.", low=0.0)
    flip_shift: int = option(
        0, "Bins by which the vector of a mirrored crop moves left. mmpose moves none; mirrored pixels lie "
           "split - 1 bins off.", low=0, high=15,
    )


@dataclass(frozen=True)
class SimccOptions(CropOptions):
    """Options of :class:`SimccEstimator`."""

    score: str = option(
        "", "What the score of a keypoint is: the smaller or the mean of its two largest values, how likely it is near "
            "them, or how sharp they are; empty takes the model's own.", choices=("", *simcc.SCORES), live=True,
    )
    refine: str = option(
        "", "How a keypoint is refined beyond the largest value; empty takes the model's own.",
        choices=("", *simcc.REFINEMENTS), live=True,
    )


class SimccEstimator(TopDownEstimator):
    """Estimate keypoints from two vectors each; a card's ``params`` are those of :class:`SimccParams`.

    The network has two outputs, x (N, K, W * split) and y (N, K, H * split), in this order or in that of the card's
    ``outputs``. The largest values that are scores by ``min`` and ``mean`` may exceed 1 in some networks; the score is
    then 1.
    """

    Options = SimccOptions
    Params = SimccParams
    options: SimccOptions
    params: SimccParams

    def __init__(self, model: Model, options: SimccOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the network has other outputs than two vectors per keypoint.
        """
        super().__init__(model, options)
        k, split = len(self.skeleton), self.params.split
        expected = [(-1, k, round(side * split)) for side in self.card.input_wh]
        shapes = [t.shape for t in self.session.outputs]
        if len(shapes) != 2 or not all(map(_fits, shapes, expected)):
            raise CardError(
                self.card.name, f"expected the outputs x (N, {k}, {expected[0][2]}) and y (N, {k}, {expected[1][2]}), "
                                f"got {', '.join(f'{t.name} {t.shape}' for t in self.session.outputs)}"
            )
        width, height = self.card.input_wh
        rule = (round((width / 8) ** 0.5, 2), round((height / 8) ** 0.5, 2))
        self._sigma_xy = (self.params.sigma, self.params.sigma) if self.params.sigma else rule

    def _decode(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        x, y = outputs.values()
        found = simcc.decode(
            x,
            y,
            split=self.params.split,
            score=self.options.score or self.params.score,
            refine=self.options.refine or self.params.refine,
            sigma_xy=self._sigma_xy,
            beta=self.params.beta,
        )
        return *found, self.card.input_wh

    def _mirrored(self, outputs: Outputs) -> Outputs:
        x, y = outputs.values()
        vectors = simcc.mirrored(x, y, self.skeleton.flip_index, self.params.flip_shift)
        return dict(zip(outputs, vectors, strict=True))


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(s in (-1, e) for s, e in zip(shape, expected, strict=True))
