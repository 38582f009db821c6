# SPDX-License-Identifier: Apache-2.0
"""Labels and results of images, one after the other, into columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.core.skeleton import Skeleton
from pose_ros.metrics.columns import GroundTruth, Predictions, concatenate

#: Keypoints below this do not count for the score of a subject, as in mmpose (``keypoint_score_thr``).
MIN_KEYPOINT_SCORE = 0.2
#: COCO measures boxes from the edge of the image, half a pixel before the centre of the first pixel.
EDGE_PX = 0.5


class Labelled(Protocol):
    """The columns of one image's labels that are judged by; a Sample of a data set has them."""

    @property
    def keypoints(self) -> np.ndarray:
        """(N, K, 2) pixels."""

    @property
    def visibility(self) -> np.ndarray:
        """(N, K); 0 where not labelled."""

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) xyxy pixels."""

    @property
    def areas(self) -> np.ndarray:
        """(N,) square pixels."""

    @property
    def ignore(self) -> np.ndarray:
        """(N,) bool: who counts neither for nor against."""

    @property
    def crowd(self) -> np.ndarray:
        """(N,) bool: outlines of crowds, to which any number of results may belong."""

    @property
    def categories(self) -> np.ndarray:
        """(N,) int."""


def labels(skeleton: Skeleton, samples: Iterable[tuple[int, Labelled]]) -> GroundTruth:
    """Return the labels of images in columns.

    Args:
        skeleton: Of the labels.
        samples: Number of each image, and what is labelled there.
    """
    parts = [GroundTruth(np.empty(0), np.empty((0, 4)), np.empty(0), np.empty((0, len(skeleton), 2)))]
    parts += [
        GroundTruth(np.full(len(s.boxes), number), s.boxes, s.areas, s.keypoints, s.visibility, s.crowd, s.ignore,
                    s.categories)
        for number, s in samples
    ]  # fmt: skip
    return concatenate(parts)


def poses(skeleton: Skeleton, found: Iterable[tuple[int, Poses]], category: int = 0) -> Predictions:
    """Return the poses of images in columns, with the scores of :func:`ranking`.

    Args:
        skeleton: To which poses are converted.
        found: Number of each image, and what was found there.
        category: Of all.
    """
    parts = [Predictions(np.empty(0), np.empty(0), keypoints=np.empty((0, len(skeleton), 2)))]
    for number, own in found:
        same, n = own.to(skeleton), len(own)
        parts.append(Predictions(np.full(n, number), ranking(same), keypoints=same.keypoints,
                                 categories=np.full(n, category)))  # fmt: skip
    return concatenate(parts)


def boxes(found: Iterable[tuple[int, Detections]], category: int = 0) -> Predictions:
    """Return the boxes of images in columns, in the coordinates of COCO."""
    parts = [Predictions(np.empty(0), np.empty(0), np.empty((0, 4)))]
    for number, own in found:
        n = len(own)
        parts.append(Predictions(np.full(n, number), own.scores, own.boxes.astype(np.float64) + EDGE_PX,
                                 categories=np.full(n, category)))  # fmt: skip
    return concatenate(parts)


def ranking(found: Poses) -> np.ndarray:
    """Return what poses are ranked by: the subject's score times the mean score of its keypoints that count, (N,).

    The protocol of mmpose's ``CocoMetric`` with ``score_mode="bbox_keypoint"``.
    """
    counts = found.scores > MIN_KEYPOINT_SCORE
    total = np.where(counts, found.scores, 0).sum(axis=1, dtype=np.float64)
    return found.subject_scores * total / np.maximum(counts.sum(axis=1), 1)
