# SPDX-License-Identifier: Apache-2.0
"""COFW as published: landmarks and pictures in one MATLAB file of version 7.3, which is HDF5."""

from __future__ import annotations

import numpy as np

from pose_ros.datasets import files, pictures
from pose_ros.datasets.base import HIDDEN, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each face; MATLAB counts pixels from 1 and turns pictures on their side."""
    path, ending = found.files[0], "Tr" if "train" in found.files[0].name else "T"
    with files.hdf5(path) as data:
        # (3 K, faces): all x, all y, whether hidden.
        faces = np.array(data[f"phis{ending}"], np.float64)
        boxes = np.array(data[f"bboxes{ending}"], np.float64)
    rows = faces.reshape(3, -1, faces.shape[1]).transpose(2, 1, 0)

    def picture(index: int) -> np.ndarray:
        with files.hdf5(path) as data:
            stored = np.array(data[data[f"Is{ending}"][0, index]])
            return pictures.shown(stored.transpose(2, 1, 0) if stored.ndim == 3 else stored.T)

    def build(index: int) -> Sample:
        x, y, width, height = boxes[:, index]
        return Sample(
            id=index, image=path, keypoints=rows[None, index, :, :2] - 1,
            visibility=np.where(rows[None, index, :, 2] > 0, HIDDEN, VISIBLE),
            boxes=np.array([[x - 1, y - 1, x - 1 + width, y - 1 + height]]), stored=lambda: picture(index),
        )

    return Dataset(found, catalogue.get(found.card.skeleton), range(len(rows)), build)
