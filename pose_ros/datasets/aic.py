# SPDX-License-Identifier: Apache-2.0
"""AI Challenger 2017 as published: a list of images, each with boxes and keypoints of people by name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pose_ros.datasets.base import HIDDEN, NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue

#: What the third number of a keypoint means: visible, hidden, not labelled.
_FLAGS = np.array([NOT_LABELLED, VISIBLE, HIDDEN, NOT_LABELLED])


def read(found: Found) -> Dataset:
    """Return what the file says; areas are not given."""
    skeleton = catalogue.get(found.card.skeleton)
    entries = json.loads(found.files[0].read_bytes())
    return Dataset(found, skeleton, entries, lambda entry: _sample(found, entry, len(skeleton)))


def _sample(found: Found, entry: dict[str, Any], k: int) -> Sample:
    people = sorted(entry["keypoint_annotations"])
    triplets = np.array([entry["keypoint_annotations"][p] for p in people], np.float64).reshape(len(people), k, 3)
    return Sample(
        id=entry["image_id"],
        image=found.images / f"{entry['image_id']}.jpg",
        keypoints=triplets[..., :2],
        visibility=_FLAGS[triplets[..., 2].astype(int)],
        boxes=np.array([entry["human_annotations"][p] for p in people], np.float64).reshape(len(people), 4),
        extra={"names": people},
    )
