# SPDX-License-Identifier: Apache-2.0
"""JSON of data sets: CMU Panoptic, and Shelf and Campus as VoxelPose and mmpose keep them.

Panoptic: a list ``cameras`` with ``name resolution K distCoef R t``, ``x_camera = R x_world + t``, centimetres.

Shelf, Campus: one mapping per camera with ``fx fy cx cy k p R T``, ``x_camera = R (x_world - T)``, millimetres; k are
the three radial coefficients and p the two tangential ones. They do not say how large the images are (Shelf 1032 x
776, Campus 360 x 288).
"""

from __future__ import annotations

import numpy as np

from pose_ros.core import json_text
from pose_ros.errors import ConfigError
from pose_ros.multiview.files.fields import Fields, Found, Given


def read(text: str, where: str, given: Given) -> list[Found]:
    """Read the cameras of a file's text."""
    try:
        data = json_text.load(text)
    except ValueError as error:
        raise ConfigError(where, f"is no JSON: {error}") from error
    if isinstance(data.get("cameras"), list):
        cameras = data["cameras"]
        return [_panoptic(Fields(camera, f"{where}: cameras[{i}]"), given) for i, camera in enumerate(cameras)]
    if not data or not all(isinstance(c, dict) and "fx" in c for c in data.values()):
        found = ", ".join(data)
        raise ConfigError(where, "expected a list 'cameras' (CMU Panoptic) or one mapping with fx, fy, cx, cy, R, T "
                                 f"per camera (Shelf, Campus); found {found[:200] or 'nothing'}")
    return [_shelf(name, Fields(camera, f"{where}: {name}"), given) for name, camera in data.items()]


def _panoptic(fields: Fields, given: Given) -> Found:
    camera = fields.camera(fields.array("K", (3, 3)), fields.size("resolution", given), fields.array("distCoef"))
    rotation, translation = fields.rotation("R"), fields.array("t", (3,)) * given.metres("cm")
    return Found(str(fields.data.get("name", "")), camera, rotation, translation)


def _shelf(name: str, fields: Fields, given: Given) -> Found:
    fx, fy, cx, cy = (fields.number(key) for key in ("fx", "fy", "cx", "cy"))
    radial, tangential = fields.array("k", (3,)), fields.array("p", (2,))
    d = np.concatenate([radial[:2], tangential, radial[2:]])
    camera = fields.camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), fields.size("size", given), d)
    rotation = fields.rotation("R")
    return Found(name, camera, rotation, -rotation @ fields.array("T", (3,)) * given.metres("mm"))
