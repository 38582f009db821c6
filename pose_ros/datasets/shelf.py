# SPDX-License-Identifier: Apache-2.0
"""Shelf and Campus: joints of people in metres from actorsGT.mat, cameras from the JSON of voxelpose-pytorch.

Options: ``pictures`` (a template), ``calibration`` (a file), ``test`` (ranges of frames that are judged).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.datasets import files, space
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.errors import DatasetError
from pose_ros.skeletons import catalogue

_K = 14


def read(found: Found) -> Dataset:
    """Return one sample for each camera and frame, the cameras of a frame one after another."""
    options = found.only("pictures", "calibration", "test")
    calibration = found.folder / options["calibration"]
    if not calibration.is_file():
        raise DatasetError(found.card.name,
                           f"expected {calibration}; get it from github.com/microsoft/voxelpose-pytorch")
    cameras = {name: _camera(row) for name, row in json.loads(calibration.read_bytes()).items()}
    people = _people(files.package("scipy.io", "actorsGT.mat").loadmat(found.files[0])["actor3D"])
    ranges = options["test"] if found.split == "test" else [(0, people.shape[1])]
    frames = [frame for start, end in ranges for frame in range(start, min(end, people.shape[1]))]
    entries = [(frame, name, *cameras[name]) for frame in frames for name in sorted(cameras)]

    def build(entry: tuple[int, str, Camera, np.ndarray]) -> Sample:
        frame, name, camera, at = entry
        there = np.flatnonzero(np.isfinite(people[:, frame]).any(axis=(1, 2)))
        points = space.moved(at, people[there, frame])
        keypoints = camera.project(points)
        return Sample(
            id=f"{name}/{frame}", image=found.images / options["pictures"].format(camera=name, frame=frame),
            keypoints=keypoints, visibility=np.where(np.isfinite(keypoints).all(axis=2), VISIBLE, NOT_LABELLED),
            ids=there, tracks=there, points=points, camera=camera, T_camera_rig=at, sequence=found.card.name,
            moment=frame, view=name,
        )

    return Dataset(found, catalogue.get(found.card.skeleton), entries, build)


def _people(cells: Any) -> np.ndarray:
    """Return (people, frames, K, 3) of nested MATLAB cells, NaN where somebody is not there."""
    while cells.size == 1:
        cells = cells.ravel()[0]
    frames = [[_joints(cell) for cell in actor.ravel()] for actor in cells.ravel()]
    return np.array(frames)


def _joints(cell: Any) -> np.ndarray:
    """Return (K, 3) of what may be in several cells; empty ones and other sizes are of nobody."""
    while cell.dtype == object and cell.size == 1:
        cell = cell.ravel()[0]
    return np.asarray(cell, np.float64) if cell.shape == (_K, 3) else np.full((_K, 3), np.nan)


def _camera(row: dict[str, Any]) -> tuple[Camera, np.ndarray]:
    """Return a camera and (4, 4) from the rig: a point is at R (X - T) in front of it, T in millimetres."""
    # The size of the pictures is not said; the principal point is near their middle.
    size = (round(2 * row["cx"]), round(2 * row["cy"]))
    camera = space.camera({"f": (row["fx"], row["fy"]), "c": (row["cx"], row["cy"]), "w": size[0], "h": size[1],
                           "k": row["k"], "p": row["p"]})
    rotation = np.array(row["R"], np.float64)
    return camera, space.pose(rotation, -rotation @ np.ravel(row["T"]) / 1e3)
