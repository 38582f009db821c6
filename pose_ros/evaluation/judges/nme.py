# SPDX-License-Identifier: Apache-2.0
"""Normalised mean errors of faces, failures, and the area under the curve of errors."""

from __future__ import annotations

from functools import partial

import numpy as np

from pose_ros.datasets import Sample
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.judges.base import Judge
from pose_ros.evaluation.protocol import Protocol, needs_length
from pose_ros.metrics.distance import mean_error
from pose_ros.metrics.nme import area_under_errors, box_size, failure_rate, nme


class Nme(Judge):
    """NME by the length of the protocol, failures above its threshold, and the area under the errors up to there."""

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        needs_length(protocol, name, sample)

    def __call__(self, case: Case) -> Judged:
        """Count."""
        away, lengths, limit = case.away(), case.lengths(box_size), case.protocol.threshold
        errors = nme(away, lengths)
        numbers = [
            Number("NME", "", 4, case.mean(errors)),
            Number(f"FR@{limit:g}", "", 3, case.repeated(errors, partial(failure_rate, limit=limit))),
            Number(f"AUC@{limit:g}", "", 3, case.repeated(errors, partial(area_under_errors, limit=limit))),
        ]
        relative = away / np.where(lengths > 0, lengths, np.nan)[:, None]
        return Judged(numbers, mean_error(relative, axis=0), "NME", np.nan_to_num(errors, nan=np.inf), "NME")
