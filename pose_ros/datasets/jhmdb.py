# SPDX-License-Identifier: Apache-2.0
"""JHMDB as published: one MATLAB file for each clip, with the joints of its one person in all frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.datasets import files
from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each frame; boxes are those of the keypoints, as puppets are left where they are."""
    entries = []
    for path in found.files:
        # (2, K, frames), MATLAB's pixels, which count from 1.
        positions = np.asarray(files.mat(path)["pos_img"], np.float64).reshape(2, 15, -1) - 1
        entries += [(path, frame, positions[:, :, frame].T[None]) for frame in range(positions.shape[2])]
    return Dataset(found, catalogue.get(found.card.skeleton), entries, lambda entry: _sample(found, *entry))


def _sample(found: Found, path: Path, frame: int, keypoints: np.ndarray) -> Sample:
    action, clip = path.parts[-3:-1]
    return Sample(
        id=f"{clip}/{frame + 1:05d}",
        image=found.images / action / clip / f"{frame + 1:05d}.png",
        keypoints=keypoints,
        visibility=visible(keypoints),
        tracks=np.zeros(1, int),
        sequence=clip,
        moment=frame,
        extra={"action": action},
    )
