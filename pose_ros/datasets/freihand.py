# SPDX-License-Identifier: Apache-2.0
"""FreiHAND as published: lists of joints in metres and of camera matrices, in the order of the pictures."""

from __future__ import annotations

import json

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue

_SIZE_WH = (224, 224)
#: Each training hand is shown before so many backgrounds, one set of pictures after another.
_BACKGROUNDS = 4


def read(found: Found) -> Dataset:
    """Return one sample for each picture; pixels are projections, so nobody says what is hidden."""
    hands = np.array(json.loads(found.files[0].read_bytes()), np.float64)
    matrices = np.array(json.loads((found.files[0].parent / f"{found.split}_K.json").read_bytes()), np.float64)
    again = (found.images / f"{len(hands):08d}.jpg").is_file()

    def build(index: int) -> Sample:
        points, camera = hands[None, index % len(hands)], Camera(matrices[index % len(hands)], _SIZE_WH)
        keypoints = camera.project(points)
        return Sample(id=index, image=found.images / f"{index:08d}.jpg", keypoints=keypoints,
                      visibility=visible(keypoints), points=points, camera=camera, size_wh=_SIZE_WH)

    count = len(hands) * (_BACKGROUNDS if again else 1)
    return Dataset(found, catalogue.get(found.card.skeleton), range(count), build)
