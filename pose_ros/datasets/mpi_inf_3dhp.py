# SPDX-License-Identifier: Apache-2.0
"""MPI-INF-3DHP: the tables that mmpose's script makes of it, and the authors' MATLAB files with videos and frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.datasets import files, space
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue

#: Of the 28 joints of the training set, in the order of the test set.
_OF_28 = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
#: Cameras at the height of people; the others look down from the ceiling.
_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)


def read(found: Found) -> Dataset:
    """Return one sample for each frame of each camera at the height of people."""
    skeleton, path = catalogue.get(found.card.skeleton), found.files[0]
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as table:
            columns = {key: table[key] for key in ("imgname", "center", "scale", "part", "S")}
        beside = path.parent / f"cameras_{'test' if 'test' in path.stem else 'train'}.json"
        cameras = json.loads(beside.read_bytes()) if beside.is_file() else {}
        return Dataset(found, skeleton, range(len(columns["imgname"])), lambda i: _row(found, columns, i, cameras))
    test = path.name == "annot_data.mat"
    entries = [entry for path in found.files for entry in (_test(path) if test else _train(path))]
    return Dataset(found, skeleton, entries, lambda entry: _sample(*entry))


def _row(found: Found, columns: dict[str, np.ndarray], i: int, cameras: dict[str, Any]) -> Sample:
    name = str(columns["imgname"][i])
    take, _, frame = Path(name).stem.rpartition("_")
    known = cameras.get(take)
    camera = space.camera(known) if known else None
    points, pixels = columns["S"][i], columns["part"][i]
    return _sample(found.images / name, None, take, int(frame), "", pixels[:, :2], points[:, :3], camera,
                   pixels[:, 2] > 0)


def _sample(
    image: Path, frame: int | None, sequence: str, moment: int, view: str, keypoints: np.ndarray, points: np.ndarray,
    camera: Any, seen: np.ndarray,
) -> Sample:
    return Sample(
        id=f"{sequence}/{view}/{moment}" if view else f"{sequence}/{moment}", image=image, frame=frame,
        keypoints=keypoints[None], visibility=np.where(seen, VISIBLE, NOT_LABELLED)[None], points=points[None],
        camera=camera, size_wh=None if camera is None else camera.size_wh, sequence=sequence, moment=moment, view=view,
    )


def _train(path: Path) -> list[tuple[Any, ...]]:
    """Return all frames of a take, of the cameras at the height of people: their videos lie beside the labels."""
    data, cameras = files.mat(path), _calibration(path.parent / "camera.calibration")
    sequence, entries = "_".join(path.parts[-3:-1]), []
    for number in _CAMERAS:
        pixels = np.asarray(data["annot2"][number], np.float64).reshape(-1, 28, 2)[:, _OF_28]
        points = np.asarray(data["annot3"][number], np.float64).reshape(-1, 28, 3)[:, _OF_28] / 1e3
        camera, video = cameras.get(number), path.parent / "imageSequence" / f"video_{number}.avi"
        size = camera.size_wh if camera else (2048, 2048)
        entries += [(video, i, sequence, i, str(number), pixels[i], points[i], camera, space.inside(pixels[i], size))
                    for i in range(len(pixels))]
    return entries


def _calibration(path: Path) -> dict[int, Any]:
    """Return the cameras of ``camera.calibration``: lines of a name and numbers, seven for each camera."""
    cameras: dict[int, Any] = {}
    number, size = 0, (0, 0)
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        word, *numbers = line.split() or [""]
        if word == "name":
            number = int(numbers[0])
        elif word == "size":
            size = int(float(numbers[0])), int(float(numbers[1]))
        elif word == "intrinsic":
            k = np.array(numbers, np.float64).reshape(4, 4)
            row = {"f": (k[0, 0], k[1, 1]), "c": (k[0, 2], k[1, 2]), "w": size[0], "h": size[1]}
            cameras[number] = space.camera(row)
    return cameras


def _test(path: Path) -> list[tuple[Any, ...]]:
    """Return the frames of a test take that its authors call valid; cameras are not published for them."""
    with files.hdf5(path) as data:
        pixels = np.array(data["annot2"]).reshape(-1, 17, 2)
        points = np.array(data["annot3"]).reshape(-1, 17, 3) / 1e3
        valid = np.flatnonzero(np.array(data["valid_frame"]).ravel())
    take, folder = path.parent.name, path.parent / "imageSequence"
    return [(folder / f"img_{i + 1:06d}.jpg", None, take, int(i), "", pixels[i], points[i], None,
             np.ones(17, bool)) for i in valid]
