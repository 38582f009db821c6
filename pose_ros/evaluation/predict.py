# SPDX-License-Identifier: Apache-2.0
"""A model answers: what every worker runs, in this process, in others or on other machines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Sample
from pose_ros.estimators.base import CropEstimator
from pose_ros.evaluation import protocol
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.job import Job
from pose_ros.evaluation.regions import true_regions
from pose_ros.models.store import Store


def answers(job: Job, indices: range) -> Estimates:
    """Return what a model says about some images; networks are loaded once for each process."""
    runner, truth = _runner(job), job.dataset()
    return concatenate([runner(truth[i]) for i in indices])


class Runner:
    """A model that is asked about samples, each as if it were the first one."""

    def __init__(self, job: Job) -> None:
        """Load the networks."""
        store = Store()
        self._boxes, config = job.where(store), job.config(store)
        if self._boxes == "detector":
            self._pipeline = wiring.build(config, store)
        else:
            estimator = wiring.estimator(config, store)
            assert isinstance(estimator, CropEstimator)
            self._estimator = estimator
            self._labels: Skeleton = protocol.labelled(job.dataset(), estimator.skeleton)

    def __call__(self, sample: Sample) -> Estimates:
        """Return what is seen in the picture of a sample."""
        image = sample.read()
        if self._boxes == "detector":
            self._pipeline.reset()
            return Estimates.of(self._pipeline(Frame(image, 1, camera=sample.camera)).poses)
        rows = judged(sample)
        boxes = sample.boxes[rows] if self._boxes == "truth" else None
        regions = true_regions(self._estimator, self._labels, sample.keypoints[rows], boxes)
        known = np.isfinite(regions).all(axis=1)
        sides = None if sample.sides is None else sample.sides[rows][known]
        return Estimates.of(self._estimator.estimate(image, regions[known], sides), rows[known])


def judged(sample: Sample) -> np.ndarray:
    """Return the rows of subjects that somebody could be right or wrong about."""
    return np.flatnonzero((sample.visibility > 0).any(axis=1) & ~sample.ignore)


@lru_cache(maxsize=1)
def _runner(job: Job) -> Runner:
    return Runner(job)
