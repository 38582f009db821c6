# SPDX-License-Identifier: Apache-2.0
"""AFLW with 19 landmarks: AFLWinfo_release.mat of Zhu et al. (CVPR 2016), on which everybody measures."""

from __future__ import annotations

import numpy as np

from pose_ros.datasets import files
from pose_ros.datasets.base import HIDDEN, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue

_K = 19
#: So many of the shuffled faces are for training, the others for the test.
_TRAIN = 20000


def read(found: Found) -> Dataset:
    """Return one sample for each face of the split; ``box_size`` is the root of its box's area."""
    data = files.mat(found.files[0])
    order = np.asarray(data["ra"], int) - 1
    order = order[:_TRAIN] if found.split.startswith("train") else order[_TRAIN:]
    points, hidden = np.asarray(data["data"], np.float64), np.asarray(data["mask_new"]) == 0
    edges = np.asarray(data["bbox"], np.float64)

    def build(index: int) -> Sample:
        left, right, top, bottom = edges[index]
        return Sample(
            id=int(index), image=found.images / str(data["nameList"][index]),
            keypoints=points[index].reshape(1, 2, _K).transpose(0, 2, 1),
            visibility=np.where(hidden[None, index], HIDDEN, VISIBLE),
            boxes=np.array([[left, top, right, bottom]]),
            normalisers={"box_size": np.sqrt([(right - left) * (bottom - top)])},
        )

    return Dataset(found, catalogue.get(found.card.skeleton), order.tolist(), build)
