# SPDX-License-Identifier: Apache-2.0
"""CMU Panoptic: joints of people in the dome, and its HD cameras. Files are in centimetres, samples in metres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.datasets import space
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.errors import DatasetError
from pose_ros.skeletons import catalogue

#: The dome sees 30 HD views; there are hundreds of others, which are small.
_TYPE = "hd"
_DIGITS = 8


def read(found: Found) -> Dataset:
    """Return one sample for each HD camera and moment, the cameras of a moment one after another."""
    views: dict[Path, list[Any]] = {}
    entries = []
    for path in found.files:
        take = path.parents[1]
        if take not in views:
            calibrations = sorted(take.glob("calibration_*.json"))
            if not calibrations:
                raise DatasetError(found.card.name, f"expected calibration_*.json in {take}; it is part of each take")
            rows = json.loads(calibrations[0].read_bytes())["cameras"]
            views[take] = [_view(row) for row in rows if row["type"] == _TYPE]
        entries += [(path, *view) for view in views[take]]
    skeleton = catalogue.get(found.card.skeleton)
    return Dataset(found, skeleton, entries, lambda entry: _sample(entry[0], entry[1:], len(skeleton)))


def _view(row: dict[str, Any]) -> tuple[str, Camera, np.ndarray]:
    width, height = row["resolution"]
    camera = Camera(np.array(row["K"]), (int(width), int(height)), np.array(row["distCoef"]), "plumb_bob")
    return row["name"], camera, space.pose(row["R"], np.array(row["t"]) / 100)


def _sample(path: Path, seen_from: tuple[str, Camera, np.ndarray], k: int) -> Sample:
    name, camera, at = seen_from
    bodies = json.loads(path.read_bytes())["bodies"]
    rows = np.array([body["joints19"] for body in bodies], np.float64).reshape(len(bodies), k, 4)
    points = space.moved(at, rows[..., :3] / 100)
    # What was not found has confidence -1.
    points[rows[..., 3] < 0] = np.nan
    keypoints = camera.project(points)
    seen = space.inside(keypoints, camera.size_wh)
    take, moment = path.parents[1], int(path.stem.rpartition("_")[2])
    picture = take / "hdImgs" / name / f"{name}_{moment:0{_DIGITS}d}.jpg"
    video = take / "hdVideos" / f"hd_{name}.mp4"
    as_video = not picture.is_file() and video.is_file()
    return Sample(
        id=f"{take.name}/{name}/{moment}", image=video if as_video else picture, frame=moment if as_video else None,
        keypoints=keypoints, visibility=np.where(seen, VISIBLE, NOT_LABELLED),
        ids=np.array([body["id"] for body in bodies], int), tracks=np.array([body["id"] for body in bodies], int),
        points=points, camera=camera, T_camera_rig=at, size_wh=camera.size_wh, sequence=take.name, moment=moment,
        view=name,
    )
