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

    @classmethod
    def of(cls, poses: Poses, rows: np.ndarray | None = None) -> Estimates:
        """Return those of one image."""
        n, k = poses.scores.shape
        points = poses.points if poses.local_points is None else poses.local_points
        return cls(
            np.array([n], np.int64), poses.keypoints, poses.scores, poses.subject_scores,
            np.full(n, -1, np.int64) if rows is None else rows,
            np.full((n, k, 3), np.nan, np.float32) if points is None else points,
        )

    @property
    def image(self) -> np.ndarray:
        """(M,) int64: which image, counted from 0."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def poses(self, skeleton: Skeleton) -> Poses:
        """Return all of them in one; ``local_points`` are whatever metres are known."""
        return Poses(skeleton, self.keypoints, self.scores, subject_scores=self.subject_scores,
                     local_points=self.points)

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
