# SPDX-License-Identifier: Apache-2.0
"""MHP v2 as published: a MATLAB file for each picture, a variable for each person.

A person has 20 rows of x, y and a flag (0 visible, 1 hidden, 2 outside): 16 keypoints, the corners of the face, and
those of the person.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.datasets import files
from pose_ros.datasets.base import HIDDEN, NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue

_K = 16
_FLAGS = np.array([VISIBLE, HIDDEN, NOT_LABELLED])


def read(found: Found) -> Dataset:
    """Return one sample for each picture."""

    def build(path: Path) -> Sample:
        people = {int(name.rpartition("_")[2]): rows for name, rows in files.mat(path).items()
                  if name.startswith("person_")}
        table = np.array([people[number] for number in sorted(people)], np.float64).reshape(len(people), _K + 4, 3)
        return Sample(
            id=path.stem, image=found.images / f"{path.stem}.jpg", keypoints=table[:, :_K, :2],
            visibility=_FLAGS[np.clip(table[:, :_K, 2].astype(int), 0, 2)],
            boxes=table[:, _K + 2 :, :2].reshape(len(people), 4), ids=np.array(sorted(people), int),
            extra={"face_boxes": table[:, _K : _K + 2, :2].reshape(len(people), 4)},
        )

    return Dataset(found, catalogue.get(found.card.skeleton), found.files, build)
