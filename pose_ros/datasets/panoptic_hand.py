# SPDX-License-Identifier: Apache-2.0
"""CMU Panoptic HandDB as published: a JSON file of one hand beside each picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each file."""

    def build(path: Path) -> Sample:
        hand = json.loads(path.read_bytes())
        triplets = np.array(hand["hand_pts"], np.float64)[None]
        return Sample(
            id=path.stem, image=path.with_suffix(".jpg"), keypoints=triplets[..., :2],
            visibility=np.where(triplets[..., 2] > 0, VISIBLE, NOT_LABELLED),
            sides=np.array([LEFT if hand.get("is_left") else RIGHT]), extra=hand,
        )

    return Dataset(found, catalogue.get(found.card.skeleton), found.files, build)
