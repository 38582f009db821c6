# SPDX-License-Identifier: Apache-2.0
"""Projects of SLEAP (.slp): an HDF5 file whose tables name one another by row, and JSON that says what they are.

The skeleton is the project's own. Keypoints that SLEAP calls invisible are hidden. Pictures are those of the videos,
which are looked for by name beside the project, or those inside the file (.pkg.slp).
"""

from __future__ import annotations

import json
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import files, pictures
from pose_ros.datasets.base import HIDDEN, NOT_LABELLED, VISIBLE, Dataset, Found, Sample

_LABELLED, _PREDICTED = 0, 1
#: Before this version of the format, the first pixel's centre was at 0.5.
_CENTRED = 1.1
#: Type of a link between a keypoint and its mirror image.
_SYMMETRY = 2


def read(found: Found) -> Dataset:
    """Return one sample for each frame; ``user``: those that people labelled, ``all``: also what networks found."""
    path = found.files[0]
    with files.hdf5(path) as data:
        tables = {name: data[name][:] for name in ("frames", "instances", "points", "pred_points", "videos_json")}
        meta = data["metadata"].attrs
        said, shift = json.loads(meta["json"]), 0.5 if float(meta.get("format_id", 1.0)) < _CENTRED else 0.0
    videos = [json.loads(text)["backend"] for text in tables["videos_json"]]
    skeleton = _skeleton(path.name, said)
    instances, everything = tables["instances"], found.split != "user"
    entries = []
    for frame in tables["frames"]:
        rows = instances[int(frame["instance_id_start"]) : int(frame["instance_id_end"])]
        labelled = rows[rows["instance_type"] == _LABELLED]
        replaced = set(labelled["from_predicted"].tolist())
        others = [row for row in rows[rows["instance_type"] == _PREDICTED] if row["instance_id"] not in replaced]
        chosen = [*labelled, *(others if everything else [])]
        if chosen:
            entries.append((frame, chosen))

    def build(entry: tuple[Any, list[Any]]) -> Sample:
        frame, rows = entry
        n, k = len(rows), len(skeleton)
        keypoints, visibility = np.full((n, k, 2), np.nan), np.zeros((n, k), np.uint8)
        for i, row in enumerate(rows):
            points = tables["points" if row["instance_type"] == _LABELLED else "pred_points"]
            points = points[int(row["point_id_start"]) : int(row["point_id_end"])]
            keypoints[i] = np.stack([points["x"], points["y"]], axis=1) - shift
            visibility[i] = np.where(points["visible"], VISIBLE, HIDDEN)
        visibility[~np.isfinite(keypoints).all(axis=2)] = NOT_LABELLED
        tracks = np.array([row["track"] for row in rows], int)
        number, index = int(frame["video"]), int(frame["frame_idx"])
        video = videos[number]
        inside = video.get("filename") == "."
        name = PureWindowsPath(video.get("filename", "")).name
        return Sample(
            id=f"{number}/{index}", image=path if inside else _beside(found.folder, name),
            frame=None if inside else index, keypoints=keypoints, visibility=visibility,
            ids=np.array([row["instance_id"] for row in rows], int), tracks=tracks if (tracks >= 0).all() else None,
            sequence=name, moment=index, stored=(lambda: _embedded(path, number, index)) if inside else None,
        )

    return Dataset(found, skeleton, entries, build, ["animal"])


def _skeleton(name: str, said: dict[str, Any]) -> Skeleton:
    graph = said["skeletons"][0]
    names = [said["nodes"][node["id"]]["name"] for node in graph["nodes"]]
    place = {node["id"]: i for i, node in enumerate(graph["nodes"])}
    edges, flip, kinds = [], list(range(len(names))), dict[int, int]()
    for link in graph["links"]:
        kind = link["type"]
        if "py/reduce" in kind:
            number = kind["py/reduce"][1]["py/tuple"][0]
            kinds[len(kinds) + 1] = number
        else:
            number = kinds[kind["py/id"]]
        a, b = place[link["source"]], place[link["target"]]
        if number == _SYMMETRY:
            flip[a], flip[b] = b, a
        else:
            edges.append((a, b))
    return Skeleton(name=Path(name).stem, keypoints=tuple(names), edges=tuple(edges), flip=tuple(flip),
                    joints=tuple(f"animal/{n}" for n in names), source=f"the project {name}")


def _beside(folder: Path, name: str) -> Path:
    """Return the video of that name below the folder: projects travel, and their paths do not."""
    return next(iter(sorted(folder.rglob(name))), folder / name) if name else folder


def _embedded(path: Path, video: int, index: int) -> np.ndarray:
    with files.hdf5(path) as data:
        group = data[f"video{video}"]
        row = int(np.flatnonzero(group["frame_numbers"][:] == index)[0])
        stored = group["video"][row]
        return pictures.shown(stored) if stored.ndim == 3 else pictures.decode(stored, f"{path.name}, frame {index}")
