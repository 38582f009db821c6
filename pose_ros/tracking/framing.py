# SPDX-License-Identifier: Apache-2.0
"""Framing: where a subject is in the next image, from its keypoints in this one.

A detector's box is larger than the box around the keypoints (hair, hands, feet), and smaller where a network guesses
legs behind a table. By how much is learnt when the detector looks, and holds until it looks again: networks go on
seeing such boxes as they were trained with.
"""

from __future__ import annotations

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.regions import keypoints_to_boxes

#: A keypoint frames its subject if its score is at least this part of the subject's best one.
_SURE = 0.3
#: A subject is gone when its keypoints have lost more than this part of their score, ...
_LOST = 0.5
#: ... or when it has become this many times as wide or high, or as narrow or low, as the detector saw it.
_GROWTH = 2.5


class Framing:
    """The boxes of N subjects between two looks of a detector; rows stand in one order all the time."""

    def __init__(self, poses: Poses, boxes: np.ndarray) -> None:
        """Learn how the boxes are framed.

        Args:
            poses: N subjects as an estimator saw them in the boxes.
            boxes: (N, 4), xyxy in pixels, of the detector.
        """
        sure = np.isfinite(poses.keypoints).all(axis=2) & (poses.scores > 0)
        self._sure = sure & (poses.scores >= _SURE * poses.scores.max(axis=1, keepdims=True, initial=0))
        self._score, self._size = self._scores(poses), _size(boxes)
        extents = self._extents(poses)
        #: Of each edge, in sizes of the box around the keypoints: (N, 4).
        self._margins = (boxes - extents) / self._scale(extents)

    def boxes(self, poses: Poses) -> np.ndarray:
        """Return the boxes of the same subjects as they are seen now, (N, 4); NaN for those that are gone."""
        extents = self._extents(poses)
        boxes = (extents + self._margins * self._scale(extents)).astype(np.float32)
        growth = _size(boxes) / self._size
        here = (self._scores(poses) >= _LOST * self._score) & ((growth < _GROWTH) & (growth > 1 / _GROWTH)).all(axis=1)
        return np.where(here[:, None], boxes, np.float32(np.nan))

    def _extents(self, poses: Poses) -> np.ndarray:
        """Return the boxes around the keypoints that were sure when the detector looked."""
        return keypoints_to_boxes(np.where(self._sure[..., None], poses.keypoints, np.nan))

    def _scores(self, poses: Poses) -> np.ndarray:
        return np.asarray((poses.scores * self._sure).sum(axis=1) / np.maximum(self._sure.sum(axis=1), 1))

    @staticmethod
    def _scale(extents: np.ndarray) -> np.ndarray:
        """Return what margins are measured in: the longer side, (N, 1); the shorter one changes with every step."""
        return _size(extents).max(axis=1, keepdims=True)


def _size(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], np.float32(1))
