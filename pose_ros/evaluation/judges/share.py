# SPDX-License-Identifier: Apache-2.0
"""Shares of correct keypoints: PCK, PCKh and errors in pixels."""

from __future__ import annotations

import numpy as np

from pose_ros.datasets import Sample
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.judges.base import Judge
from pose_ros.evaluation.protocol import Protocol, needs_length
from pose_ros.metrics.pck import Correct, longer_side

#: Thresholds of the area under the curve, pixels (mmpose's ``AUC``).
_AUC_PX = np.arange(20) / 20 * 30


class Share(Judge):
    """PCK by the length of the protocol, EPE and the area under the curve; RMSE first where pixels come first."""

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        needs_length(protocol, name, sample)

    def __call__(self, case: Case) -> Judged:
        """Count."""
        protocol, names = case.protocol, case.truth.skeleton.keypoints
        away, lengths = case.away(), case.lengths(longer_side)
        relative = away / np.where(lengths > 0, lengths, np.nan)[:, None]
        labelled = ~np.isnan(relative)
        right = relative <= protocol.threshold if protocol.rule == "<=" else relative < protocol.threshold
        correct, total = case.by_unit(right), case.by_unit(labelled)
        near = np.stack([case.by_unit(away < limit) for limit in _AUC_PX])
        every = case.by_unit(~np.isnan(away))
        counted = np.array([name not in protocol.without for name in names])

        def share(weights: np.ndarray) -> float:
            counts = Correct(weights @ correct, weights @ total)
            counts = counts.of(np.flatnonzero(counted).tolist())
            return float(counts.pooled if protocol.pooled else counts.mean)

        def area(weights: np.ndarray) -> float:
            return float(Correct(weights @ near, weights @ every).mean.mean())

        squares = case.mean(np.square(away))
        title = f"PCK{'h' * (protocol.length == 'head')}@{protocol.threshold:g}"
        numbers = [Number(title, "", 3, share), Number("EPE", "px", 2, case.mean(away)), Number("AUC", "", 3, area)]
        if protocol.length == "nose_eye":
            numbers.append(Number("NME", "", 4, case.mean(relative)))
        if protocol.pixels_first:
            numbers = [Number("RMSE", "px", 2, lambda w: float(np.sqrt(squares(w)))), numbers[1], numbers[0]]
        errors = np.minimum(np.nan_to_num(relative, posinf=1.0), 1.0)  # beyond a whole length it is just wrong
        mean = errors.sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
        shares = Correct(right.sum(axis=0), labelled.sum(axis=0)).per_keypoint
        return Judged(numbers, shares, title, mean, "mean error in lengths, at most 1")
