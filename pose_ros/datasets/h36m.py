# SPDX-License-Identifier: Apache-2.0
"""Human3.6M: the tables that mmpose's script makes of it, and the authors' CDF files with their videos.

Of the 32 joints there are the 17 that everybody measures. ``cameras.pkl`` of mmpose is a pickle and is not opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.datasets import files, space
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample, visible
from pose_ros.skeletons import catalogue

#: Of the 32 joints of a CDF file, in the order of the skeleton.
_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
_NAME = re.compile(r"(?P<subject>S\d+)_(?P<action>.+)\.(?P<camera>\d+)_(?P<frame>\d+)\.jpg$")


def read(found: Found) -> Dataset:
    """Return one sample for each frame of each camera; cameras where cameras.json is there."""
    skeleton = catalogue.get(found.card.skeleton)
    if found.files[0].suffix == ".cdf":
        return Dataset(found, skeleton, _Frames(found.files), lambda entry: _frame(found, *entry))
    with np.load(found.files[0], allow_pickle=False) as table:
        columns = {key: table[key] for key in ("imgname", "center", "scale", "part", "S")}
    beside = found.files[0].parents[1] / "cameras.json"
    cameras = json.loads(beside.read_bytes()) if beside.is_file() else {}
    return Dataset(found, skeleton, range(len(columns["imgname"])), lambda i: row(found, columns, i, cameras))


def row(found: Found, columns: dict[str, np.ndarray], i: int, cameras: dict[str, Any]) -> Sample:
    """Return one row of a table of mmpose; its points are in the frame of the camera, metres."""
    path = str(columns["imgname"][i])
    said = _NAME.search(path)
    keypoints, points = columns["part"][i : i + 1], columns["S"][i : i + 1]
    centre, half = np.ravel(columns["center"][i]), float(columns["scale"][i]) * 100
    known = cameras.get(f"{said['subject']}.{said['camera']}") if said else None
    seen = keypoints[..., 2] > 0
    return Sample(
        id=path,
        image=found.images / path,
        keypoints=keypoints[..., :2],
        visibility=np.where(seen, VISIBLE, NOT_LABELLED),
        boxes=np.concatenate([centre - half, centre + half])[None],
        points=np.where((points[..., 3:] > 0), points[..., :3], np.nan),
        camera=space.camera(known) if known else None,
        size_wh=(int(known["w"]), int(known["h"])) if known else None,
        sequence=f"{said['subject']}_{said['action']}" if said else "",
        moment=int(said["frame"]) if said else i,
        view=said["camera"] if said else "",
    )


class _Frames(Sequence[Any]):
    """All frames of CDF files; a file is opened when one of its frames is asked for, and the last one kept."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self._file: tuple[Path, np.ndarray, np.ndarray] | None = None
        self._ends = np.cumsum([_poses(path).shape[0] for path in paths])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: Any) -> tuple[Path, int, np.ndarray, np.ndarray]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        number = int(np.searchsorted(self._ends, index, side="right"))
        path, frame = self.paths[number], index - int(self._ends[number - 1] if number else 0)
        if self._file is None or self._file[0] != path:
            flat = path.parents[1] / "D2_Positions" / path.name
            self._file = path, _poses(flat).reshape(-1, 32, 2), _poses(path).reshape(-1, 32, 3)
        return path, frame, self._file[1][frame], self._file[2][frame]


def _poses(path: Path) -> np.ndarray:
    """Return (frames, numbers) of the variable Pose."""
    return np.asarray(files.package("cdflib", path.name).CDF(path).varget("Pose"))[0]


def _frame(found: Found, path: Path, frame: int, keypoints: np.ndarray, points: np.ndarray) -> Sample:
    keypoints, points = keypoints[None, _OF_32], points[None, _OF_32] / 1e3
    action, view = path.stem.rsplit(".", 1)
    return Sample(
        id=f"{found.split}/{path.stem}/{frame}", image=found.images / f"{path.stem}.mp4", frame=frame,
        keypoints=keypoints, visibility=visible(keypoints), points=points, sequence=f"{found.split}_{action}",
        moment=frame, view=view,
    )
