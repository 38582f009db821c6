# SPDX-License-Identifier: Apache-2.0
"""MacaquePose as published: a table with a row for each picture, whose cells are JSON."""

from __future__ import annotations

import csv
import json
from typing import Any

import numpy as np

from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue

#: Outlines of many animals are longer than what Python takes for a cell.
_LONGEST_CELL = 2**27


def read(found: Found) -> Dataset:
    """Return one sample for each picture; boxes and areas are those of the outlines."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        with found.files[0].open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
    finally:
        csv.field_size_limit(before)
    skeleton = catalogue.get(found.card.skeleton)
    return Dataset(found, skeleton, rows, lambda row: _sample(found, row, len(skeleton)))


def _sample(found: Found, row: list[str], k: int) -> Sample:
    name, animals, outlines = row[0], json.loads(row[1]), json.loads(row[2])
    positions = [[point["position"] or (np.nan, np.nan) for point in animal] for animal in animals]
    keypoints = np.array(positions, np.float64).reshape(len(animals), k, 2)
    edges = [np.array(outline[0]["segment"], np.float64) for outline in outlines]
    return Sample(
        id=name, image=found.images / name, keypoints=keypoints, visibility=visible(keypoints),
        boxes=np.array([[*edge.min(axis=0), *edge.max(axis=0)] for edge in edges]).reshape(len(animals), 4),
        areas=np.array([_area(edge) for edge in edges]),
    )


def _area(edge: np.ndarray) -> Any:
    """Return what a polygon (N, 2) covers, square pixels."""
    x, y = edge.T
    return 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))
