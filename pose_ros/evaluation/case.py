# SPDX-License-Identifier: Apache-2.0
"""What is counted: labels beside answers, and sums of them that can be drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Dataset, Sample
from pose_ros.evaluation.estimates import Estimates
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics.bootstrap import ratio
from pose_ros.metrics.distance import distances

#: Of how often each unit counts, (U,), to a number.
Statistic = Callable[[np.ndarray], float]


@dataclass(frozen=True, eq=False)
class Number:
    """One column of a table."""

    name: str
    unit: str
    digits: int
    statistic: Statistic


@dataclass(frozen=True, eq=False)
class Judged:
    """What a judge says."""

    #: The first one is what the set is judged by.
    numbers: list[Number]
    #: (P,) a number of each part; NaN where nothing is labelled.
    per_part: np.ndarray
    #: What ``per_part`` is.
    part_measure: str
    #: (N,) of each judged subject, the higher the worse, and what it is.
    errors: np.ndarray
    error_name: str
    #: P names; left out: the keypoints of the labels.
    parts: tuple[str, ...] = ()
    #: What the parts are.
    parts_of: str = "keypoints"
    #: (N,) int64: the answer that belongs to each judged subject, or -1; left out: the one whose box overlaps most.
    matches: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """Labels and answers of I images: what every judge is given."""

    truth: Dataset
    protocol: Protocol
    samples: Sequence[Sample]
    estimates: Estimates
    #: Skeleton of the model.
    own: Skeleton
    #: All answers, in the keypoints of the labels.
    poses: Poses
    #: (K,) bool: keypoints that the model knows.
    shared: np.ndarray
    #: (N, 2) int64: image and row of each judged subject.
    subjects: np.ndarray
    #: (N,) int64: row of the answer that belongs to it, or -1.
    matches: np.ndarray
    #: (I,) int64: what is drawn as one when intervals are made: the image, or the video or moment that it is of.
    unit: np.ndarray

    @property
    def by_id(self) -> np.ndarray:
        """(I,) int64: images in the order of their ids, in which COCO's evaluation counts results of equal score."""
        ids = [sample.id for sample in self.samples]
        return np.argsort(ids, kind="stable") if all(isinstance(one, int) for one in ids) else np.arange(len(ids))

    def labels(self, column: Callable[[Sample], np.ndarray]) -> np.ndarray:
        """Return a column of all judged subjects, (N, ...)."""
        every = np.concatenate([column(sample) for sample in self.samples])
        starts = np.cumsum([0, *(len(sample) for sample in self.samples)])
        return every[starts[self.subjects[:, 0]] + self.subjects[:, 1]]

    def found(self, column: np.ndarray) -> np.ndarray:
        """Return a column of the answers (M, K, D) for each judged subject, (N, K, D); NaN where nobody was found."""
        out = np.full((len(self.matches), *column.shape[1:]), np.nan)
        there = self.matches >= 0
        out[there] = column[self.matches[there]]
        return out

    def away(self) -> np.ndarray:
        """Return the distances of all judged keypoints, (N, K) pixels."""
        visibility = self.labels(lambda s: s.visibility) * self.shared
        return distances(self.found(self.poses.keypoints), self.labels(lambda s: s.keypoints), visibility)

    def lengths(self, boxes: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the length that errors of each subject are measured by, (N,) pixels; ``boxes`` makes it of boxes."""
        name = self.protocol.length
        if name in ("box", "box_size") and not all(name in s.normalisers for s in self.samples if len(s)):
            return boxes(self.labels(lambda s: s.boxes))
        return self.labels(lambda s: s.normalisers[name] if len(s) else np.empty(0))

    def by_unit(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the subjects of each unit, (N, ...) -> (U, ...)."""
        out = np.zeros((int(self.unit.max(initial=-1)) + 1, *values.shape[1:]))
        np.add.at(out, self.unit[self.subjects[:, 0]], values)
        return out

    def mean(self, values: np.ndarray) -> Statistic:
        """Return the statistic of the mean of (N, ...) over what is known."""
        known = np.isfinite(values)
        axes = tuple(range(1, values.ndim))
        parts, wholes = (self.by_unit(part.sum(axis=axes)) for part in (np.where(known, values, 0.0), known))
        return ratio(parts, wholes)

    def repeated(self, values: np.ndarray, of: Callable[[np.ndarray], float]) -> Statistic:
        """Return the statistic that is made of the values (N,) of all subjects, each as often as it was drawn."""
        return lambda weights: of(np.repeat(values, weights[self.unit[self.subjects[:, 0]]].astype(np.int64)))
