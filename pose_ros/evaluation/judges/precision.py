# SPDX-License-Identifier: Apache-2.0
"""Average precision by the similarity of keypoints (OKS): COCO and its like."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.judges.base import Judge, all_it_says
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import WHOLEBODY_PARTS, Evaluation, of_keypoints
from pose_ros.metrics.columns import Predictions
from pose_ros.metrics.distance import mean_error
from pose_ros.metrics.oks import paired_oks
from pose_ros.models.card import ModelCard

_NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR")


class Precision(Judge):
    """AP, AP50, AP75, APm, APl, AR; of whole bodies each part; of CrowdPose easy, medium and hard images."""

    boxes = "detector"

    def options(self, detector: ModelCard | None, card: ModelCard) -> dict[str, Any]:
        """Return also options of the detector."""
        return super().options(detector, card) | ({} if detector is None else {"detector": all_it_says(detector)})

    def __call__(self, case: Case) -> Judged:
        """Count."""
        truth, poses, estimates, shared = case.truth, case.poses, case.estimates, case.shared
        skeleton = poses.skeleton
        order = case.by_id
        labels = gather.labels(skeleton, ((n, case.samples[i]) for n, i in enumerate(order)))
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
        found = Predictions(np.argsort(order)[estimates.image], gather.ranking(poses), keypoints=poses.keypoints,
                            categories=categories)
        sigmas = np.array(skeleton.sigmas)
        if not shared.all():
            labels, found = labels.part(shared), found.part(shared)
        whole = of_keypoints(labels, found, sigmas[shared].tolist())
        numbers = [Number(name, "", 3, partial(statistic, whole, order, name)) for name in _NAMES]
        if skeleton.name == "wholebody133" and shared.all():
            for part, where in WHOLEBODY_PARTS.items():
                if part != "wholebody":
                    evaluation = of_keypoints(labels.part(where), found.part(where), skeleton.sigmas[where])
                    numbers.append(Number(f"AP {part}", "", 3, partial(statistic, evaluation, order, "AP")))
        crowd = np.array([sample.extra.get("crowdIndex", np.nan) for sample in case.samples], np.float64)
        if truth.name == "crowdpose" and np.isfinite(crowd).all():
            for level in ("APeasy", "APmedium", "APhard"):
                numbers.append(Number(level, "", 3, partial(_by_crowd, whole, crowd[order], level)))
        similarity, alike = similarities(case)
        return Judged(numbers, mean_error(alike, axis=0), "keypoint similarity", 1 - similarity, "1 - OKS")


def similarities(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return how alike judged subjects and their answers are, (N,), and each of their keypoints, (N, K)."""
    sigmas = np.array(case.poses.skeleton.sigmas)
    areas, visibility = case.labels(lambda s: s.areas), case.labels(lambda s: s.visibility) * case.shared
    keypoints, answers = case.labels(lambda s: s.keypoints), case.found(case.poses.keypoints)
    one = np.arange(len(keypoints))
    similarity = paired_oks(answers, keypoints, visibility, areas, sigmas.tolist(), None, one, one)
    squares = np.square(answers - keypoints).sum(axis=2) / (2 * np.square(2 * sigmas)) / areas[:, None]
    return similarity, np.where(visibility > 0, np.nan_to_num(np.exp(-squares)), np.nan)


def statistic(evaluation: Evaluation, order: np.ndarray, name: str, weights: np.ndarray) -> float:
    """Return a number of an evaluation whose images are those of the weights, in that order."""
    return evaluation.summary(weights[order][evaluation.images], [name])[name]


def _by_crowd(evaluation: Evaluation, crowd: np.ndarray, level: str, _: np.ndarray) -> float:
    return evaluation.by_crowd(crowd[evaluation.images])[level]
