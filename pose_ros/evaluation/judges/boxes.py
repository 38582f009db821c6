# SPDX-License-Identifier: Apache-2.0
"""Average precision of boxes (IoU): detectors alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros import wiring
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.datasets import Sample
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import Judge, Runner, all_it_says
from pose_ros.evaluation.judges.precision import statistic
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import of_boxes, paired_iou
from pose_ros.metrics.columns import Predictions
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store

if TYPE_CHECKING:
    from pose_ros.evaluation.job import Job

#: Ours -> the statistic of COCO.
_NAMES = {"AP": "AP", "AP50": "AP50", "AP75": "AP75", "APs": "APs", "APm": "APm", "APl": "APl", "AR": "AR100"}


class Boxes(Judge):
    """AP, AP50, AP75, of small, medium and large ones, and AR, over the kinds that set and detector both know."""

    boxes = "detector"

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        if np.array_equal(sample.boxes, keypoints_to_boxes(sample.keypoints), equal_nan=True):
            raise ConfigError("--data", f"{name} has no boxes, by which detectors are judged: those of {sample.where} "
                                        "just contain its keypoints")

    def rows(self, protocol: Protocol, samples: Sequence[Sample]) -> list[np.ndarray]:
        """Return also who has no labelled keypoint, of the kinds that are judged."""
        return [np.flatnonzero(~s.ignore & _wanted(protocol, s.categories)) for s in samples]

    def options(self, detector: ModelCard | None, card: ModelCard) -> dict[str, Any]:
        """Return options of the detector."""
        return {"detector": all_it_says(card)}

    def runner(self, job: Job) -> Runner:
        """Return who detects."""
        return _Detects(job)

    def __call__(self, case: Case) -> Judged:
        """Count."""
        estimates, truth, kinds = case.estimates, case.truth, case.protocol.kinds
        order = case.by_id
        labels = gather.labels(truth.skeleton, ((n, case.samples[i]) for n, i in enumerate(order)))
        labels = labels.select(_wanted(case.protocol, labels.categories))
        if not kinds:
            labels = replace(labels, categories=np.zeros(len(labels), np.int64))
        boxes = estimates.boxes.astype(np.float64) + gather.EDGE_PX
        found = Predictions(np.argsort(order)[estimates.image], estimates.subject_scores, boxes,
                            categories=estimates.categories)
        whole = of_boxes(labels, found)
        numbers = [Number(name, "", 3, partial(statistic, whole, order, theirs)) for name, theirs in _NAMES.items()]
        own, answers = case.labels(lambda s: s.boxes), np.nan_to_num(case.found(estimates.boxes))
        alike = paired_iou(answers, own, np.zeros(len(own), bool))
        each = whole.by_category()
        names = tuple(truth.categories[kind] for kind in kinds) or (truth.skeleton.subject,)
        values = np.array([each.get(kind, np.nan) for kind in kinds or (0,)])
        return Judged(numbers, values, "AP", 1 - alike, "1 - IoU", names, "categories")


def _wanted(protocol: Protocol, categories: np.ndarray) -> np.ndarray:
    return np.isin(categories, protocol.kinds) if protocol.kinds else np.ones(len(categories), bool)


class _Detects:
    """Runs a detector on each picture."""

    def __init__(self, job: Job) -> None:
        store, truth = Store(), job.dataset()
        detector = wiring.alone(job.config(store), store)
        assert isinstance(detector, Detector)
        self._detector, classes = detector, detector.card.classes
        kinds = {classes.index(truth.categories[kind]): kind for kind in job.protocol(store).kinds}
        #: Category of each class of the detector; -1 where the set does not have it.
        self._category = np.full(len(classes), -1)
        for index, kind in (kinds or {classes.index(truth.skeleton.subject): 0}).items():
            self._category[index] = kind

    def __call__(self, samples: Sequence[Sample]) -> Estimates:
        said = []
        for sample in samples:
            found = self._detector.detect(sample.read())
            found = found.select(self._category[found.classes] >= 0)
            said.append(Estimates.detected(found, self._category[found.classes]))
        return concatenate(said)
