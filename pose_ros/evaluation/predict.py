# SPDX-License-Identifier: Apache-2.0
"""A model answers: what every worker runs, in this process, in others or on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Sample
from pose_ros.estimators.base import CropEstimator
from pose_ros.evaluation import judges, protocol
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.job import Job, Shard
from pose_ros.evaluation.judges.base import Runner, judged
from pose_ros.evaluation.regions import true_regions
from pose_ros.models.store import Store


def answers(job: Job, shard: Shard) -> Estimates:
    """Return what a model says about some images; networks are loaded once for each process."""
    runner, truth = _runner(job), job.dataset()
    return concatenate([runner([truth[i] for i in group]) for group in shard])


class Images:
    """A pose model that is asked about pictures, about each as if it were the first one."""

    def __init__(self, job: Job) -> None:
        """Load the networks."""
        store = Store()
        self._boxes, config = job.where(store), job.config(store)
        if self._boxes == "detector":
            self._pipeline = wiring.build(config, store)
        else:
            estimator = wiring.alone(config, store)
            assert isinstance(estimator, CropEstimator)
            self._estimator = estimator
            self._labels: Skeleton = protocol.labelled(job.dataset(), estimator.skeleton)

    def __call__(self, samples: Sequence[Sample]) -> Estimates:
        """Return what is seen in the pictures."""
        return concatenate([Estimates.of(*self.look(sample)) for sample in samples])

    def look(self, sample: Sample) -> tuple[Poses, np.ndarray | None]:
        """Return what is seen in the picture of a sample, and the rows of the labels where it was told to look."""
        image = sample.read()
        if self._boxes == "detector":
            self._pipeline.reset()
            return self._pipeline(Frame(image, 1, camera=sample.camera)).poses, None
        rows = judged(sample)
        boxes = sample.boxes[rows] if self._boxes == "truth" else None
        regions = true_regions(self._estimator, self._labels, sample.keypoints[rows], boxes)
        known = np.isfinite(regions).all(axis=1)
        sides = None if sample.sides is None else sample.sides[rows][known]
        return self._estimator.estimate(image, regions[known], sides), rows[known]


@lru_cache(maxsize=1)
def _runner(job: Job) -> Runner:
    return judges.get(job.protocol().kind).runner(job)
