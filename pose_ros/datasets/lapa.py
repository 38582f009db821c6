# SPDX-License-Identifier: Apache-2.0
"""LaPa as published: a text file of landmarks for each picture, their number first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each file."""

    def build(path: Path) -> Sample:
        count, *numbers = path.read_text("utf-8").split()
        keypoints = np.array(numbers, np.float64).reshape(1, int(count), 2)
        return Sample(id=path.stem, image=found.images / f"{path.stem}.jpg", keypoints=keypoints,
                      visibility=visible(keypoints))

    return Dataset(found, catalogue.get(found.card.skeleton), found.files, build)
