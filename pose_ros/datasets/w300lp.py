# SPDX-License-Identifier: Apache-2.0
"""300W-LP as published: MATLAB files of landmarks beside folders of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.datasets import files
from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each file; visible landmarks, those of the 2D convention."""

    def build(path: Path) -> Sample:
        keypoints = np.asarray(files.mat(path)["pts_2d"], np.float64)[None]
        name = path.stem.removesuffix("_pts")
        return Sample(id=name, image=found.images / f"{name}.jpg", keypoints=keypoints, visibility=visible(keypoints))

    return Dataset(found, catalogue.get(found.card.skeleton), found.files, build)
