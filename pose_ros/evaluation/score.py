# SPDX-License-Identifier: Apache-2.0
"""Answers of a model against labels: the numbers of a protocol, of each keypoint, and of each subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.convert import conversion
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Dataset, Sample
from pose_ros.evaluation import judges
from pose_ros.evaluation import protocol as protocols
from pose_ros.evaluation.case import Case
from pose_ros.evaluation.estimates import Estimates
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics.bootstrap import Interval, bootstrap

#: A subject that overlaps a label by less than this is another one.
_SAME_IOU = 0.1


@dataclass(frozen=True)
class Measure:
    """One number of a table."""

    name: str
    value: float
    #: Limits of the 95 % interval; NaN where none was asked for.
    low: float = float("nan")
    high: float = float("nan")
    unit: str = ""
    digits: int = 3


@dataclass(frozen=True, eq=False)
class Scores:
    """How good a model is on a data set."""

    #: The first one is what the set is judged by.
    measures: list[Measure]
    skeleton: Skeleton
    #: (K,) bool: keypoints that the model knows; only those are judged.
    shared: np.ndarray
    #: (P,) of each part, and their names; NaN where nothing is labelled.
    per_part: np.ndarray
    parts: tuple[str, ...]
    #: What the parts are, such as ``keypoints``, and what is said of them.
    parts_of: str
    part_measure: str
    #: (N, 2) int64: image and row of each judged subject; (N,) its error, the higher the worse.
    subjects: np.ndarray
    errors: np.ndarray
    #: What ``errors`` are.
    error_name: str
    #: (N,) int64: the row of the answers that belongs to it; -1 where it was not found.
    matches: np.ndarray
    images: int
    #: Everything that the model said, in the keypoints of the labels.
    poses: Poses = field(repr=False)

    @property
    def found(self) -> int:
        """How many of the judged subjects were found."""
        return int((self.matches >= 0).sum())


def score(
    truth: Dataset, estimates: Estimates, own: Skeleton, resamples: int = 1000, protocol: Protocol | None = None
) -> Scores:
    """Return how good answers are.

    Args:
        truth: The labels; its first images are those of ``estimates``.
        estimates: Answers.
        own: Skeleton of the model.
        resamples: Draws of the bootstrap for the interval of the first measure; 0: no interval. There is none either
            where all subjects are in one image, or in one video where videos are judged.
        protocol: How to judge; left out: how the set judges estimators.

    Raises:
        ConfigError: The model does not say what the data set is judged by.
    """
    protocol = protocol or protocols.of(truth)
    judge, skeleton = judges.get(protocol.kind), protocols.labelled(truth, own)
    samples = truth[: len(estimates.counts)]
    for sample in samples:
        if len(sample):
            judge.check(protocol, truth.name, sample)
    poses = estimates.poses(own).to(skeleton)
    shared = np.ones(len(skeleton), bool)
    if own != skeleton:
        way = conversion(own, skeleton)
        shared = ~way.absent
        shared[way.made] = True
    rows = judge.rows(protocol, samples)
    subjects = np.array([(i, row) for i, which in enumerate(rows) for row in which], np.int64).reshape(-1, 2)
    matches = _matches(samples, rows, estimates)
    case = Case(truth, protocol, samples, estimates, own, poses, shared, subjects, matches, judge.units(samples))
    judged = judge(case)
    units, measures = int(case.unit.max(initial=-1)) + 1, []
    several = len(np.unique(case.unit[subjects[:, 0]])) > 1
    for k, number in enumerate(judged.numbers):
        interval = Interval(number.statistic(np.ones(units)), np.nan, np.nan)
        if resamples and not k and several:
            interval = bootstrap(number.statistic, units, resamples)
        measures.append(Measure(number.name, *interval, number.unit, number.digits))
    matches = matches if judged.matches is None else judged.matches
    per_part = judged.per_part if judged.parts else np.where(shared, judged.per_part, np.nan)
    return Scores(measures, skeleton, shared, per_part, judged.parts or skeleton.keypoints, judged.parts_of,
                  judged.part_measure, subjects, judged.errors, judged.error_name, matches, len(samples), poses)


def _matches(samples: Sequence[Sample], rows: Sequence[np.ndarray], estimates: Estimates) -> np.ndarray:
    """Return the answer for each judged subject, (N,): the one that was told where to look, else what overlaps most."""
    parts, start, extent = [np.empty(0, np.int64)], 0, estimates.extent
    for sample, which, count in zip(samples, rows, estimates.counts, strict=True):
        told, match = estimates.rows[start : start + count], np.full(len(which), -1, np.int64)
        if (told >= 0).any():
            pairs = np.argwhere(which[:, None] == told)
        else:
            pairs = assign(iou(sample.boxes[which], extent[start : start + count]), _SAME_IOU)
        match[pairs[:, 0]] = start + pairs[:, 1]
        parts.append(match)
        start += count
    return np.concatenate(parts)
