# SPDX-License-Identifier: Apache-2.0
"""InterHand2.6M as published: images and boxes, joints of both hands in the studio, and its cameras.

Each hand is a subject of its own, in the order of everybody's 21 points: there fingers stand from tip to root, and the
wrist last. Files are in millimetres, samples in metres.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.datasets import space
from pose_ros.datasets.base import NOT_LABELLED, VISIBLE, Dataset, Found, Sample
from pose_ros.skeletons import catalogue

#: Joint of the files, for each of the 21 points.
ORDER = (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16)
#: The right hand comes first.
SIDES = (RIGHT, LEFT)


def read(found: Found) -> Dataset:
    """Return one sample for each image."""
    path = found.files[0]
    data, cameras, joints = (json.loads(_beside(path, what).read_bytes()) for what in ("data", "camera", "joint_3d"))
    labels = {row["image_id"]: row for row in data["annotations"]}

    def build(image: dict[str, Any]) -> Sample:
        row, views = labels[image["id"]], cameras[str(image["capture"])]
        name = str(image["camera"])
        (fx, fy), (cx, cy) = views["focal"][name], views["princpt"][name]
        size = int(image["width"]), int(image["height"])
        camera = Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), size)
        rotation = np.array(views["camrot"][name])
        at = space.pose(rotation, -rotation @ np.array(views["campos"][name]) / 1e3)
        moment = joints[str(image["capture"])][str(image["frame_idx"])]
        valid = np.array(row["joint_valid"]).ravel() > 0
        known = valid & (np.array(moment["joint_valid"]).ravel() > 0)
        return hands(
            np.array(moment["world_coord"]) / 1e3, known, valid, camera, at, id=image["id"],
            image=found.images / image["file_name"], size_wh=size, moment=int(image["frame_idx"]), view=name,
            sequence=f"{image['capture']}/{image['seq_name']}", extra={**image, **row},
        )

    return Dataset(found, catalogue.get(found.card.skeleton), data["images"], build)


def hands(
    world: np.ndarray, known: np.ndarray, valid: np.ndarray, camera: Camera, at: np.ndarray, **others: Any
) -> Sample:
    """Return a sample of those hands that have labelled joints.

    Args:
        world: (42, 3), metres, in the frame of the rig.
        known: (42,) bool, whether they are known in metres.
        valid: (42,) bool, whether they are labelled in this image.
        camera: That took it.
        at: (4, 4), the camera from the rig.
        others: Columns of the sample.
    """
    points = np.where(known[:, None], space.moved(at, world), np.nan).reshape(2, 21, 3)[:, ORDER]
    keypoints = camera.project(points)
    labelled = valid.reshape(2, 21)[:, ORDER] & np.isfinite(keypoints).all(axis=2)
    there = labelled.any(axis=1)
    if "boxes" in others:
        others["boxes"] = others["boxes"][there]
    return Sample(
        keypoints=keypoints[there], visibility=np.where(labelled, VISIBLE, NOT_LABELLED)[there], points=points[there],
        sides=np.array(SIDES)[there], ids=np.array(SIDES)[there], tracks=np.array(SIDES)[there], camera=camera,
        T_camera_rig=at, **others,
    )


def _beside(path: Path, what: str) -> Path:
    """Return ``..._camera.json`` of ``..._data.json``."""
    return path.with_name(path.name.replace("data", what))
