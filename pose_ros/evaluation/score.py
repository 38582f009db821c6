# SPDX-License-Identifier: Apache-2.0
"""Answers of a model against labels: the numbers of a protocol, of each keypoint, and of each subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.convert import conversion
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou, keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Dataset, Sample
from pose_ros.errors import ConfigError
from pose_ros.evaluation import protocol as protocols
from pose_ros.evaluation.estimates import Estimates
from pose_ros.evaluation.predict import judged
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import WHOLEBODY_PARTS, Evaluation, of_keypoints
from pose_ros.metrics.bootstrap import Interval, bootstrap, ratio
from pose_ros.metrics.columns import Predictions
from pose_ros.metrics.distance import distances, mean_error
from pose_ros.metrics.mpjpe import procrustes, rooted
from pose_ros.metrics.nme import area_under_errors, box_size, failure_rate, nme
from pose_ros.metrics.oks import paired_oks
from pose_ros.metrics.pck import Correct, longer_side

#: A subject that overlaps a label by less than this is another one.
_SAME_IOU = 0.1
#: Thresholds of the area under the curve, pixels (mmpose's ``AUC``).
_AUC_PX = np.arange(20) / 20 * 30

#: Of how often each image counts, (I,), to a number.
Statistic = Callable[[np.ndarray], float]


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
    #: (K,) mean over subjects; NaN where nothing is labelled.
    per_keypoint: np.ndarray
    #: What ``per_keypoint`` is.
    per_keypoint_name: str
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


def score(truth: Dataset, estimates: Estimates, own: Skeleton, resamples: int = 1000) -> Scores:
    """Return how good answers are.

    Args:
        truth: The labels; its first images are those of ``estimates``.
        estimates: Answers.
        own: Skeleton of the model.
        resamples: Draws of the bootstrap for the interval of the first measure; 0: no interval. There is none either
            where all subjects are in one image.

    Raises:
        ConfigError: The model does not say what the data set is judged by.
    """
    protocol, skeleton = protocols.of(truth), protocols.labelled(truth, own)
    samples = truth[: len(estimates.counts)]
    for sample in samples:
        if len(sample):
            protocol.check(truth.name, sample)
    poses = estimates.poses(own).to(skeleton)
    shared = np.ones(len(skeleton), bool)
    if own != skeleton:
        way = conversion(own, skeleton)
        shared = ~way.absent
        shared[way.made] = True
    rows = [judged(sample) for sample in samples]
    subjects = np.array([(i, row) for i, which in enumerate(rows) for row in which], np.int64).reshape(-1, 2)
    matches = _matches(samples, rows, estimates)
    judge = {"precision": _precision, "share": _share, "nme": _nme, "space": _space}[protocol.kind]
    statistics, per_keypoint, name, errors, error_name = judge(
        _Case(truth, protocol, samples, estimates, poses, shared, subjects, matches)
    )
    measures = []
    for k, (title, unit, digits, statistic) in enumerate(statistics):
        interval = Interval(statistic(np.ones(len(samples))), np.nan, np.nan)
        if resamples and not k and len(np.unique(subjects[:, 0])) > 1:
            interval = bootstrap(statistic, len(samples), resamples)
        measures.append(Measure(title, *interval, unit, digits))
    per_keypoint = np.where(shared, per_keypoint, np.nan)
    return Scores(measures, skeleton, shared, per_keypoint, name, subjects, errors, error_name, matches, len(samples),
                  poses)


@dataclass(frozen=True, eq=False)
class _Case:
    """What all protocols are given."""

    truth: Dataset
    protocol: Protocol
    samples: Sequence[Sample]
    estimates: Estimates
    poses: Poses
    shared: np.ndarray
    subjects: np.ndarray
    matches: np.ndarray

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

    def by_image(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the subjects of each image, (N, ...) -> (I, ...)."""
        out = np.zeros((len(self.samples), *values.shape[1:]))
        np.add.at(out, self.subjects[:, 0], values)
        return out

    def mean(self, values: np.ndarray) -> Statistic:
        """Return the statistic of the mean of (N, ...) over what is known."""
        known = np.isfinite(values)
        axes = tuple(range(1, values.ndim))
        parts, wholes = (self.by_image(part.sum(axis=axes)) for part in (np.where(known, values, 0.0), known))
        return ratio(parts, wholes)


_Judged = tuple[list[tuple[str, str, int, Statistic]], np.ndarray, str, np.ndarray, str]


def _matches(samples: Sequence[Sample], rows: Sequence[np.ndarray], estimates: Estimates) -> np.ndarray:
    """Return the answer for each judged subject, (N,): the one that was told where to look, else what overlaps most."""
    parts, start, extent = [np.empty(0, np.int64)], 0, keypoints_to_boxes(estimates.keypoints)
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


def _precision(case: _Case) -> _Judged:
    truth, poses, estimates, shared = case.truth, case.poses, case.estimates, case.shared
    skeleton = poses.skeleton
    labels = gather.labels(skeleton, enumerate(case.samples))
    if truth.name == "crowdpose":
        # CrowdPose counts only keypoints that can be seen (xtcocotools).
        hidden = ~(labels.visibility == 2).any(axis=1)  # type: ignore[union-attr]
        labels = replace(labels, ignore=labels.ignore | hidden)
    categories = np.zeros(len(poses), np.int64)
    if (estimates.rows >= 0).all() and len(truth.categories) > 1:
        starts = np.cumsum([0, *(len(sample) for sample in case.samples)])
        categories = np.concatenate([s.categories for s in case.samples])[starts[estimates.image] + estimates.rows]
    else:  # whoever found a subject was not asked of what kind it is
        labels = replace(labels, categories=np.zeros(len(labels), np.int64))
    found = Predictions(estimates.image, gather.ranking(poses), keypoints=poses.keypoints, categories=categories)
    sigmas = np.array(skeleton.sigmas)
    if not shared.all():
        labels, found = labels.part(shared), found.part(shared)
    whole = of_keypoints(labels, found, sigmas[shared].tolist())

    def statistic(evaluation: Evaluation, name: str, weights: np.ndarray) -> float:
        return evaluation.summary(weights[evaluation.images], [name])[name]

    names = ("AP", "AP50", "AP75", "APm", "APl", "AR")
    statistics: list[tuple[str, str, int, Statistic]] = [
        (name, "", 3, partial(statistic, whole, name)) for name in names]
    if skeleton.name == "wholebody133" and shared.all():
        for part, where in WHOLEBODY_PARTS.items():
            if part != "wholebody":
                evaluation = of_keypoints(labels.part(where), found.part(where), skeleton.sigmas[where])
                statistics.append((f"AP {part}", "", 3, partial(statistic, evaluation, "AP")))
    crowd = np.array([sample.extra.get("crowdIndex", np.nan) for sample in case.samples], np.float64)
    if truth.name == "crowdpose" and np.isfinite(crowd).all():
        for level in ("APeasy", "APmedium", "APhard"):
            statistics.append((level, "", 3, partial(_by_crowd, whole, crowd, level)))
    areas, visibility = case.labels(lambda s: s.areas), case.labels(lambda s: s.visibility) * shared
    keypoints, answers = case.labels(lambda s: s.keypoints), case.found(poses.keypoints)
    one = np.arange(len(keypoints))
    similarity = paired_oks(answers, keypoints, visibility, areas, skeleton.sigmas, None, one, one)
    squares = np.square(answers - keypoints).sum(axis=2) / (2 * np.square(2 * sigmas)) / areas[:, None]
    alike = np.where(visibility > 0, np.nan_to_num(np.exp(-squares)), np.nan)
    return statistics, mean_error(alike, axis=0), "keypoint similarity", 1 - similarity, "1 - OKS"


def _by_crowd(evaluation: Evaluation, crowd: np.ndarray, level: str, _: np.ndarray) -> float:
    return evaluation.by_crowd(crowd[evaluation.images])[level]


def _lengths(case: _Case, boxes: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the length that errors of each subject are measured by, (N,) pixels."""
    name = case.protocol.length
    if name in ("box", "box_size") and not all(name in sample.normalisers for sample in case.samples if len(sample)):
        return boxes(case.labels(lambda s: s.boxes))
    return case.labels(lambda s: s.normalisers[name] if len(s) else np.empty(0))


def _away(case: _Case) -> np.ndarray:
    """Return the distances of all judged keypoints, (N, K) pixels."""
    visibility = case.labels(lambda s: s.visibility) * case.shared
    return distances(case.found(case.poses.keypoints), case.labels(lambda s: s.keypoints), visibility)


def _share(case: _Case) -> _Judged:
    protocol, names = case.protocol, case.truth.skeleton.keypoints
    away, lengths = _away(case), _lengths(case, longer_side)
    relative = away / np.where(lengths > 0, lengths, np.nan)[:, None]
    labelled = ~np.isnan(relative)
    right = relative <= protocol.threshold if protocol.rule == "<=" else relative < protocol.threshold
    correct, total = case.by_image(right), case.by_image(labelled)
    near = np.stack([case.by_image(away < limit) for limit in _AUC_PX])
    every = case.by_image(~np.isnan(away))
    counted = np.array([name not in protocol.without for name in names])

    def share(weights: np.ndarray) -> float:
        counts = Correct(weights @ correct, weights @ total)
        counts = counts.of(np.flatnonzero(counted).tolist())
        return float(counts.pooled if protocol.pooled else counts.mean)

    def area(weights: np.ndarray) -> float:
        return float(Correct(weights @ near, weights @ every).mean.mean())

    squares = case.mean(np.square(away))
    title = f"PCK{'h' * (protocol.length == 'head')}@{protocol.threshold:g}"
    statistics: list[tuple[str, str, int, Statistic]] = [
        (title, "", 3, share), ("EPE", "px", 2, case.mean(away)), ("AUC", "", 3, area)]
    if protocol.length == "nose_eye":
        statistics.append(("NME", "", 4, case.mean(relative)))
    if protocol.pixels_first:
        statistics = [("RMSE", "px", 2, lambda w: float(np.sqrt(squares(w)))), statistics[1], statistics[0]]
    errors = np.minimum(np.nan_to_num(relative, posinf=1.0), 1.0)  # beyond a whole length it is just wrong
    mean = errors.sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    shares = Correct(right.sum(axis=0), labelled.sum(axis=0)).per_keypoint
    return statistics, shares, title, mean, "mean error in lengths, at most 1"


def _nme(case: _Case) -> _Judged:
    away, lengths, limit = _away(case), _lengths(case, box_size), case.protocol.threshold
    errors = nme(away, lengths)

    def of_failures(weights: np.ndarray) -> float:
        return _repeated(weights, case, errors, partial(failure_rate, limit=limit))

    def of_area(weights: np.ndarray) -> float:
        return _repeated(weights, case, errors, partial(area_under_errors, limit=limit))

    statistics: list[tuple[str, str, int, Statistic]] = [
        ("NME", "", 4, case.mean(errors)), (f"FR@{limit:g}", "", 3, of_failures), (f"AUC@{limit:g}", "", 3, of_area)]
    relative = away / np.where(lengths > 0, lengths, np.nan)[:, None]
    return statistics, mean_error(relative, axis=0), "NME", np.nan_to_num(errors, nan=np.inf), "NME"


def _repeated(weights: np.ndarray, case: _Case, values: np.ndarray, of: Callable[[np.ndarray], float]) -> float:
    return of(np.repeat(values, weights[case.subjects[:, 0]].astype(np.int64)))


def _space(case: _Case) -> _Judged:
    root = case.truth.skeleton.root
    if not case.shared[root]:
        raise ConfigError("--model", f"the model does not know '{case.truth.skeleton.keypoints[root]}', around which "
                                     f"poses of {case.truth.name} are compared")
    assert case.poses.local_points is not None
    truth, found = case.labels(lambda s: _metres(s, len(case.truth.skeleton))), case.found(case.poses.local_points)
    if len(found) and not np.isfinite(found).any() and (case.matches >= 0).any():
        raise ConfigError("--model", f"{case.truth.name} is judged in metres, which the model does not say; take one "
                                     "that does, or with boxes of a detector add --set lifting.model=NAME")
    truth = np.where(case.shared[:, None], truth, np.nan)
    at_root = distances(rooted(found, root), rooted(truth, root)) * 1e3
    aligned = distances(procrustes(found, truth), truth) * 1e3
    each = mean_error(at_root, axis=1)
    statistics: list[tuple[str, str, int, Statistic]] = [
        ("MPJPE", "mm", 1, case.mean(each)), ("P-MPJPE", "mm", 1, case.mean(mean_error(aligned, axis=1)))]
    return statistics, mean_error(at_root, axis=0), "error, mm", np.nan_to_num(each, nan=np.inf), "MPJPE, mm"


def _metres(sample: Sample, k: int) -> np.ndarray:
    return np.empty((0, k, 3)) if sample.points is None else sample.points
