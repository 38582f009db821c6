# SPDX-License-Identifier: Apache-2.0
"""Data of DeepPoseKit (zebras, flies, locusts): one HDF5 file with pictures and the keypoints of their one animal."""

from __future__ import annotations

import numpy as np

from pose_ros.datasets import files, pictures
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each picture."""
    path = found.files[0]
    with files.hdf5(path) as data:
        keypoints, labelled = np.array(data["annotations"], np.float64), np.array(data["annotated"], bool)

    def picture(index: int) -> np.ndarray:
        with files.hdf5(path) as data:
            return pictures.shown(data["images"][index])

    def build(index: int) -> Sample:
        return Sample(id=index, image=path, keypoints=keypoints[None, index],
                      visibility=np.where(labelled[None, index], VISIBLE, NOT_LABELLED), stored=lambda: picture(index))

    return Dataset(found, catalogue.get(found.card.skeleton), range(len(keypoints)), build)
