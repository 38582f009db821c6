# SPDX-License-Identifier: Apache-2.0
"""What every judge can do; most kinds of protocols differ in the counting alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros import wiring
from pose_ros.datasets import Sample
from pose_ros.evaluation.estimates import Estimates
from pose_ros.models.card import ModelCard

if TYPE_CHECKING:
    from pose_ros.evaluation.case import Case, Judged
    from pose_ros.evaluation.job import Job
    from pose_ros.evaluation.protocol import Protocol

#: Answers for samples that belong together: a count for each of them.
Runner = Callable[[Sequence[Sample]], Estimates]


class Judge(ABC):
    """How models are asked by a kind of protocol, and how what they say is counted."""

    #: Who says where subjects are unless told otherwise, see :class:`pose_ros.evaluation.job.Job`.
    boxes = "truth"
    #: Whether models may be told where subjects are.
    tells = True

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """Check that labels of the data set ``name`` say what it is judged by.

        Raises:
            ConfigError: They do not.
        """
        return

    def together(self, sample: Sample) -> Hashable | None:
        """Return what samples that are asked together have in common, in the order of their moments; None: alone."""
        return None

    def units(self, samples: Sequence[Sample]) -> np.ndarray:
        """Return what of each sample is drawn as one when intervals are made, (I,) from 0 on."""
        keys = [(i if (key := self.together(sample)) is None else key) for i, sample in enumerate(samples)]
        number = {key: n for n, key in enumerate(dict.fromkeys(keys))}
        return np.array([number[key] for key in keys], np.int64)

    def rows(self, protocol: Protocol, samples: Sequence[Sample]) -> list[np.ndarray]:
        """Return for each sample the rows of subjects that somebody could be right or wrong about."""
        return [judged(sample) for sample in samples]

    def options(self, detector: ModelCard | None, card: ModelCard) -> dict[str, Any]:
        """Return the configuration of a pipeline that looks at each image as if it were the first one."""
        return {"track": False, "smooth": False, "top_down": {"follow": False, "max_subjects": 100},
                "estimator": wiring.known_options(card, {"follow": False})}

    def runner(self, job: Job) -> Runner:
        """Return who asks the model."""
        from pose_ros.evaluation.predict import Images

        return Images(job)

    @abstractmethod
    def __call__(self, case: Case) -> Judged:
        """Count.

        Raises:
            ConfigError: The model does not say what is judged.
        """


def judged(sample: Sample) -> np.ndarray:
    """Return the rows of subjects that have a label and are not to be ignored."""
    return np.flatnonzero((sample.visibility > 0).any(axis=1) & ~sample.ignore)


def all_it_says(detector: ModelCard) -> dict[str, Any]:
    """Return options by which a detector says nearly all it has: average precision weighs its doubts itself."""
    return wiring.known_options(detector, {"score_threshold": 0.01, "nms_iou": 0.65, "max_detections": 100})
