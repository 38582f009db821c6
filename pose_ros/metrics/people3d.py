# SPDX-License-Identifier: Apache-2.0
"""Several people in one room: who is nearest to whom, recall, and average precision by distance.

As VoxelPose evaluates CMU Panoptic, Shelf and Campus (Tu et al., ECCV 2020): an answer and a label are as far apart as
their joints on average, in place; every label takes the answer that is nearest and every answer the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.metrics.distance import distances, mean_error

#: Metres: somebody who is found within this is found at all.
NEAR = 0.5
#: Metres: distances at which average precision is told.
LIMITS = (0.025, 0.05, 0.075, 0.1, 0.125, 0.15)
#: Answers that have less of the labelled joints are nowhere.
_LEAST_KNOWN = 0.5


@dataclass(frozen=True, eq=False)
class People:
    """N labels and M answers of U moments."""

    #: (N,) int64: nearest answer of the same moment, -1 where there is none, and metres to it, infinite then.
    answer: np.ndarray
    error: np.ndarray
    #: (M,) int64 and metres: the same of each answer.
    label: np.ndarray
    off: np.ndarray
    #: (M,): answers are ranked by it.
    scores: np.ndarray
    #: (N,) and (M,) int64: moments.
    label_moment: np.ndarray
    moment: np.ndarray

    def precision(self, limit: float, weights: np.ndarray) -> float:
        """Return the average precision.

        Args:
            limit: Metres within which an answer is right; but one for each label is.
            weights: (U,) how often each moment counts.
        """
        order = np.argsort(-self.scores, kind="stable")
        near = order[self.off[order] < limit]
        _, first = np.unique(self.label[near], return_index=True)
        right = np.zeros(len(order))
        right[near[first]] = 1
        often = weights[self.moment[order]]
        hits, total = np.cumsum(right[order] * often), weights[self.label_moment].sum()
        if not total:
            return float("nan")
        said = np.cumsum(often)
        precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(hits, prepend=0) * best).sum() / total)


def nearest(
    found: np.ndarray, moment: np.ndarray, truth: np.ndarray, label_moment: np.ndarray, scores: np.ndarray
) -> People:
    """Return who is nearest to whom.

    Args:
        found: (M, K, 3) metres; NaN where missing.
        moment: (M,) int64 from 0 on.
        truth: (N, K, 3) metres in the same frame; NaN where not labelled.
        label_moment: (N,) int64.
        scores: (M,) of the answers.
    """
    answer, error = np.full(len(truth), -1), np.full(len(truth), np.inf)
    label, off = np.full(len(found), -1), np.full(len(found), np.inf)
    for number in np.intersect1d(moment, label_moment):
        rows, columns = np.flatnonzero(moment == number), np.flatnonzero(label_moment == number)
        shape = (len(rows), len(columns), *truth.shape[1:])
        away = distances(np.broadcast_to(found[rows, None], shape), np.broadcast_to(truth[columns], shape))
        known = np.isfinite(away).sum(axis=2) >= _LEAST_KNOWN * (~np.isnan(away)).sum(axis=2)
        metres = np.where(known, np.nan_to_num(mean_error(away, axis=2), nan=np.inf), np.inf)
        best, theirs = metres.argmin(axis=0), metres.argmin(axis=1)
        error[columns], off[rows] = metres.min(axis=0), metres.min(axis=1)
        answer[columns] = np.where(np.isfinite(error[columns]), rows[best], -1)
        label[rows] = np.where(np.isfinite(off[rows]), columns[theirs], -1)
    return People(answer, error, label, off, np.asarray(scores, np.float64), label_moment, moment)
