# SPDX-License-Identifier: Apache-2.0
"""Projects of DeepLabCut and Lightning Pose: tables of labels, with up to four lines of headings.

The skeleton is the project's own: the body parts of the tables in their order, and the lines of ``config.yaml``.
Animals of a multi-animal project are subjects; parts that only the ``single`` individual has are its.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from pose_ros.core import documents
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets.base import Dataset, Found, Sample, visible
from pose_ros.errors import DatasetError


def read(found: Found) -> Dataset:
    """Return one sample for each labelled picture of all tables."""
    tables = [_table(path) for path in found.files]
    parts = list(dict.fromkeys(part for heading, _ in tables for _, part in heading[::2]))
    animals = list(dict.fromkeys(animal for heading, _ in tables for animal, _ in heading[::2]))
    entries = [(heading, name, row) for heading, rows in tables for name, row in rows]

    def build(entry: tuple[list[tuple[str, str]], str, np.ndarray]) -> Sample:
        heading, name, row = entry
        keypoints = np.full((len(animals), len(parts), 2), np.nan)
        for column, (animal, part) in enumerate(heading):
            keypoints[animals.index(animal), parts.index(part), column % 2] = row[column]
        there = np.isfinite(keypoints).all(axis=2).any(axis=1)
        digits = re.findall(r"\d+", Path(name).stem)
        return Sample(
            id=name, image=found.images / name, keypoints=keypoints[there], visibility=visible(keypoints[there]),
            ids=np.flatnonzero(there), tracks=np.flatnonzero(there), sequence=str(Path(name).parent),
            moment=int(digits[-1]) if digits else 0, extra={"individuals": [animals[i] for i in np.flatnonzero(there)]},
        )

    return Dataset(found, _skeleton(found, parts), entries, build, ["animal"])


def _table(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, np.ndarray]]]:
    """Return (individual, body part) of each column, x and y in turn, and (picture, numbers) of each row."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    headings = {line[0]: line for line in lines[:4] if line and line[0] in ("individuals", "bodyparts", "coords")}
    if not headings.keys() >= {"bodyparts", "coords"}:
        raise DatasetError(str(path), "expected the headings bodyparts and coords, as in DeepLabCut's CollectedData")
    # A path is one cell, or one cell each for folder, video and picture.
    start = headings["coords"].index("x")
    columns = [c for c in range(start, len(headings["coords"])) if headings["coords"][c] in ("x", "y")]
    animals = headings.get("individuals", [""] * len(headings["coords"]))
    heading = [(animals[c], headings["bodyparts"][c]) for c in columns]
    rows = []
    for line in lines[lines.index(headings["coords"]) + 1 :]:
        # Projects that were labelled on Windows say so in their paths.
        name = PureWindowsPath(*filter(None, line[:start])).as_posix()
        rows.append((name, np.array([line[c] or "nan" for c in columns], np.float64)))
    return heading, rows


def _skeleton(found: Found, parts: list[str]) -> Skeleton:
    config = found.folder / "config.yaml"
    said: Any = documents.load(config.read_text("utf-8")) if config.is_file() else {}
    index = {part: i for i, part in enumerate(parts)}
    lines = [(index[a], index[b]) for a, b in (said.get("skeleton") or []) if a in index and b in index]
    return Skeleton(name=found.folder.resolve().name, keypoints=tuple(parts), edges=tuple(lines),
                    joints=tuple(f"animal/{part}" for part in parts), source=f"the project {found.folder.name}")
