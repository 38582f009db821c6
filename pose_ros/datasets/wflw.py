# SPDX-License-Identifier: Apache-2.0
"""WFLW as published: a line for each face with 98 landmarks, a box, six attributes and the picture."""

from __future__ import annotations

import numpy as np

from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue

_K = 98
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")


def read(found: Found) -> Dataset:
    """Return one sample for each face; several may be of one picture. Attributes are in ``extra``."""
    lines = found.files[0].read_text("utf-8").splitlines()

    def build(entry: tuple[int, str]) -> Sample:
        number, line = entry
        words = line.split(maxsplit=2 * _K + 4 + len(ATTRIBUTES))
        keypoints = np.array(words[: 2 * _K], np.float64).reshape(1, _K, 2)
        flags = map(int, words[2 * _K + 4 : -1])
        return Sample(
            id=number, image=found.images / words[-1], keypoints=keypoints, visibility=visible(keypoints),
            boxes=np.array(words[2 * _K : 2 * _K + 4], np.float64)[None],
            extra=dict(zip(ATTRIBUTES, flags, strict=True)),
        )

    return Dataset(found, catalogue.get(found.card.skeleton), list(enumerate(filter(None, lines))), build)
