# SPDX-License-Identifier: Apache-2.0
"""AssemblyHands as published: the views of a headset, and hands as in InterHand2.6M."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.datasets import space
from pose_ros.datasets.base import Dataset, Found, Sample
from pose_ros.datasets.interhand import hands
from pose_ros.skeletons import catalogue

#: What names of cameras end with in the calibration.
_ENDING = "_mono10bit"


def read(found: Found) -> Dataset:
    """Return one sample for each image."""
    path = found.files[0]
    data = json.loads(path.read_bytes())
    cameras = json.loads(path.with_name(path.name.replace("data", "calib")).read_bytes())["calibration"]
    joints = json.loads(path.with_name(path.name.replace("ego_data", "joint_3d")).read_bytes())["annotations"]
    labels = {row["image_id"]: row for row in data["annotations"]}

    def build(image: dict[str, Any]) -> Sample:
        row, take, name = labels[image["id"]], str(image["seq_name"]), image["camera"] + _ENDING
        frame, size = f"{image['frame_idx']:06d}", (int(image["width"]), int(image["height"]))
        matrix = np.array(cameras[take]["intrinsics"][name], np.float64)[:3, :3]
        outside = np.array(cameras[take]["extrinsics"][frame][name], np.float64)
        valid = np.array(row["joint_valid"]).ravel() > 0
        boxes = np.array([row["bbox"][side] or [np.nan] * 4 for side in ("right", "left")], np.float64)
        return hands(
            np.array(joints[take][frame]["world_coord"]) / 1e3, valid, valid, Camera(matrix, size),
            space.pose(outside[:3, :3], outside[:3, 3] / 1e3), id=image["id"], boxes=boxes, size_wh=size, view=name,
            image=found.images / image["file_name"], moment=int(image["frame_idx"]), sequence=take, extra=image,
        )

    return Dataset(found, catalogue.get(found.card.skeleton), data["images"], build)
