# SPDX-License-Identifier: Apache-2.0
"""What a model said about images, in columns that files keep."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Estimates:
    """M subjects of I images, one image after the other, in the keypoints of the model."""

    #: (I,) int64: how many subjects each image has.
    counts: np.ndarray
    #: (M, K, 2) float32 pixels; NaN where missing.
    keypoints: np.ndarray
    #: (M, K) float32.
    scores: np.ndarray
    #: (M,) float32.
    subject_scores: np.ndarray
    #: (M,) int64: row of the label that the model was told to look at; -1 where it found the subject itself.
    rows: np.ndarray
    #: (M, K, 3) float32 metres, in the optical frame or around the root; NaN where the model does not say.
    points: np.ndarray
    #: (M, 4) float32, xyxy pixels; NaN where the model does not say.
    boxes: np.ndarray
    #: (M,) int64: of its track; 0 where nobody is followed.
    ids: np.ndarray
    #: (M,) int64, into the categories of the data set, where the model tells kinds apart.
    categories: np.ndarray

    @classmethod
    def of(cls, poses: Poses, rows: np.ndarray | None = None) -> Estimates:
        """Return those of one image."""
        n, k = poses.scores.shape
        points = poses.points if poses.local_points is None else poses.local_points
        return cls(
            np.array([n], np.int64), poses.keypoints, poses.scores, poses.subject_scores,
            np.full(n, -1, np.int64) if rows is None else rows,
            np.full((n, k, 3), np.nan, np.float32) if points is None else points,
            poses.boxes, poses.ids, np.zeros(n, np.int64),
        )

    @classmethod
    def detected(cls, found: Detections, categories: np.ndarray) -> Estimates:
        """Return boxes of one image, with no keypoints."""
        n = len(found)
        return cls(
            np.array([n], np.int64), np.empty((n, 0, 2), np.float32), np.empty((n, 0), np.float32), found.scores,
            np.full(n, -1, np.int64), np.empty((n, 0, 3), np.float32), found.boxes, np.zeros(n, np.int64), categories,
        )

    @property
    def image(self) -> np.ndarray:
        """(M,) int64: which image, counted from 0."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def extent(self) -> np.ndarray:
        """(M, 4) xyxy pixels: around the keypoints, or what a detector says."""
        return keypoints_to_boxes(self.keypoints) if self.keypoints.shape[1] else self.boxes

    def poses(self, skeleton: Skeleton) -> Poses:
        """Return all of them in one; ``local_points`` are whatever metres are known."""
        shape, columns = (len(self.rows), len(skeleton)), (self.keypoints, self.scores, self.points)
        if not self.keypoints.shape[1]:  # said no keypoints: columns of nothing that take no memory
            columns = tuple(np.broadcast_to(np.float32(value), (*shape, *more))  # type: ignore[assignment]
                            for value, more in ((np.nan, (2,)), (0, ()), (np.nan, (3,))))
        keypoints, scores, points = columns
        return Poses(skeleton, keypoints, scores, self.boxes, self.subject_scores, ids=self.ids, local_points=points)

    def select(self, images: np.ndarray) -> Estimates:
        """Return those of some images, in that order."""
        starts = np.cumsum([0, *self.counts])
        rows = np.concatenate([np.empty(0, np.int64), *(np.arange(starts[i], starts[i + 1]) for i in images)])
        each = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "counts"}
        return Estimates(self.counts[images], **each)

    def save(self, path: Path) -> None:
        """Write a file that is there as a whole or not at all, whatever happens meanwhile."""
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with open(unfinished, "wb") as file:
            np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> Estimates:
        """Read a file.

        Raises:
            ConfigError: It is none of ours, or cut off.
        """
        try:
            with open(path, "rb") as kept, np.load(kept, allow_pickle=False) as file:
                return cls(**{f.name: file[f.name] for f in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigError("--resume", f"{path}: expected answers of a model, got something else ({error}); remove "
                                          "the file to have them made again") from error


def concatenate(parts: Sequence[Estimates]) -> Estimates:
    """Return those of all parts, in that order; there is at least one."""
    return Estimates(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Estimates)})
