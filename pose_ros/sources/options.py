# SPDX-License-Identifier: Apache-2.0
"""What sources can be told: how many subjects, which of them are doubles, and how to follow them."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.nms import oks_nms
from pose_ros.core.options import option
from pose_ros.core.poses import Poses


@dataclass(frozen=True)
class _SubjectOptions:
    """What all pipelines can say about doubles, except among subjects that are followed."""

    max_oks: float = option(
        0.9, "Of two poses that are more alike than this (object keypoint similarity), the better one stays; 1 keeps "
        "all.", low=0.1, high=1.0, live=True,
    )
    soft_oks: bool = option(
        False, "Lower the scores of poses that are alike instead of removing them, by exp(-oks^2 / max_oks).", live=True
    )

    def without_doubles(self, poses: Poses) -> Poses:
        """Return poses as these options want them."""
        return oks_nms(poses, self.max_oks, self.soft_oks) if self.max_oks < 1 or self.soft_oks else poses


@dataclass(frozen=True)
class OneStageOptions(_SubjectOptions):
    """Options of pipelines whose estimator finds the subjects itself."""

    max_subjects: int = option(30, "Most subjects in one image, the best ones.", low=1, high=1000, live=True)
    min_subject_score: float = option(
        0.0, "Subjects below this are left out; the estimator has a threshold of its own.", low=0.0, high=1.0, live=True
    )


@dataclass(frozen=True)
class TopDownOptions(_SubjectOptions):
    """Options of the top-down pipeline."""

    max_subjects: int = option(5, "Most subjects in one image.", low=1, high=100, live=True)
    follow: bool = option(
        True, "Look where the subjects were in the last image, and detect only when needed.", live=True
    )
    detect_every: float = option(
        0.5, "While subjects are followed, look for new ones this often; 0: in every image.", unit="s", low=0.0,
        high=60.0, live=True,
    )
    min_subject_score: float = option(
        0.5, "Below this an estimator's own 'nobody here' is believed.", low=0.0, high=1.0, live=True
    )
