# SPDX-License-Identifier: Apache-2.0
"""How often actions are named rightly: the confusion matrix, and what is read from it (as mmaction2 does)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.errors import ConfigError, ShapeError

#: In ``found``: nothing was said. Counts as wrong.
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of labels and answers; those of several data sets or processes add up."""

    #: (C, C + 1): row the labelled class, column the answer; the last column is for no answer.
    counts: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of right answers (top-1)."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    @property
    def recall(self) -> np.ndarray:
        """Accuracy of each class, (C,); NaN where none is labelled."""
        return _divided(np.diagonal(self.counts), self.counts.sum(axis=1))

    @property
    def precision(self) -> np.ndarray:
        """Share of right ones among the answers of each class, (C,); NaN where there are none."""
        return _divided(np.diagonal(self.counts), self.counts[:, :-1].sum(axis=0))

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall of each class, (C,); NaN where it is neither labelled nor said."""
        both = self.counts.sum(axis=1) + self.counts[:, :-1].sum(axis=0)
        return _divided(2 * np.diagonal(self.counts), both)

    @property
    def mean_class_accuracy(self) -> float:
        """Mean of ``recall`` over the classes that are labelled."""
        known = self.recall[~np.isnan(self.recall)]
        return float(known.mean()) if len(known) else float("nan")

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)


def confusion(truth: np.ndarray, found: np.ndarray, classes: int) -> Confusion:
    """Count which class is taken for which.

    Args:
        truth: (N,) classes 0 .. ``classes`` - 1.
        found: (N,) the same, or :data:`NOTHING`.
        classes: C.

    Raises:
        ShapeError: They are not as many.
        ConfigError: A class does not exist.
    """
    truth, found = np.asarray(truth, np.int64), np.asarray(found, np.int64)
    if truth.ndim != 1 or truth.shape != found.shape:
        raise ShapeError("found", f"as many as labels, {truth.shape}", found.shape)
    for name, values, least in (("truth", truth, 0), ("found", found, NOTHING)):
        if len(values) and not least <= values.min() <= values.max() < classes:
            raise ConfigError(name, f"expected classes {least} .. {classes - 1}, got {values.min()} .. {values.max()}")
    column = np.where(found == NOTHING, classes, found)
    counts = np.bincount(truth * (classes + 1) + column, minlength=classes * (classes + 1))
    return Confusion(counts.reshape(classes, classes + 1))


def top_k_accuracy(truth: np.ndarray, scores: np.ndarray, k: int = 5) -> float:
    """Return the share of labels (N,) among the k classes with the highest scores, (N, C)."""
    if not len(scores):
        return float("nan")
    best = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(truth)[:, None]).any(axis=1).mean())


def _divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
