# SPDX-License-Identifier: Apache-2.0
"""Landmarks of one face in a .pts file, as 300-W and 300VW publish them; they count pixels from 1.

Options: ``video`` (a file beside the folder of the .pts files, whose names are the numbers of its frames, from 1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.errors import DatasetError
from pose_ros.skeletons import catalogue

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def points(path: Path) -> np.ndarray:
    """Return (K, 2) pixels counted from 0 of a .pts file.

    Raises:
        DatasetError: It is none.
    """
    _, opened, rest = path.read_text("utf-8").partition("{")
    inside, closed, _ = rest.partition("}")
    if not opened or not closed:
        raise DatasetError(str(path), "expected points between { and }, as in a .pts file")
    return np.array(inside.split(), np.float64).reshape(-1, 2) - 1


def read(found: Found) -> Dataset:
    """Return one sample for each .pts file."""
    video = found.only("video").get("video")

    def build(path: Path) -> Sample:
        keypoints = points(path)[None]
        beside = [path.with_suffix(suffix) for suffix in _SUFFIXES if path.with_suffix(suffix).is_file()]
        clip = path.parents[1]
        return Sample(
            id=f"{clip.name}/{path.stem}" if video else path.stem,
            image=clip / video if video else next(iter(beside), path.with_suffix(_SUFFIXES[0])),
            frame=int(path.stem) - 1 if video else None,
            keypoints=keypoints, visibility=visible(keypoints),
            sequence=clip.name if video else "", moment=int(path.stem) - 1 if video else 0,
        )

    return Dataset(found, catalogue.get(found.card.skeleton), found.files, build)
