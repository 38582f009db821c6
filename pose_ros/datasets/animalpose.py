# SPDX-License-Identifier: Apache-2.0
"""Animal-Pose as published: like COCO, but pictures are a mapping, boxes are xyxy and keypoints are lists of three."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np

from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue


def read(found: Found) -> Dataset:
    """Return one sample for each picture."""
    data = json.loads(found.files[0].read_bytes())
    kinds = sorted(data["categories"], key=lambda row: row["id"])
    order = {row["id"]: i for i, row in enumerate(kinds)}
    labels: dict[str, list[Any]] = defaultdict(list)
    for row in data["annotations"]:
        labels[str(row["image_id"])].append(row)

    def build(entry: tuple[str, str]) -> Sample:
        number, name = entry
        rows = labels[number]
        triplets = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), 20, 3)
        return Sample(
            id=number, image=found.images / name, keypoints=triplets[..., :2],
            visibility=np.where(triplets[..., 2] > 0, VISIBLE, NOT_LABELLED),
            boxes=np.array([row["bbox"] for row in rows], np.float64).reshape(len(rows), 4),
            categories=np.array([order[row["category_id"]] for row in rows], int),
        )

    skeleton = catalogue.get(found.card.skeleton)
    return Dataset(found, skeleton, list(data["images"].items()), build, [row["name"] for row in kinds])
