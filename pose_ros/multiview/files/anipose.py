# SPDX-License-Identifier: Apache-2.0
"""TOML of Anipose, Caliscope and Pose2Sim: one table per camera.

::

    [cam_0]
    name = "left"                   # else the name of the table
    size = [1280, 720]              # width, height
    matrix = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    distortions = [k1, k2, p1, p2, k3]
    rotation = [rx, ry, rz]         # Rodrigues, or 3 x 3 as older versions of Caliscope write it
    translation = [x, y, z]
    fisheye = false                 # true: four coefficients of OpenCV's fisheye model

``x_camera = R x_world + t``. Caliscope and Pose2Sim write metres; Anipose writes the unit in which its board was
measured and does not say which: ``[metadata] units`` (m, cm, mm) is read where it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.multiview.files.fields import Fields, Found, Given
from pose_ros.multiview.rig import Rig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(text: str, where: str, given: Given) -> list[Found]:
    """Read the cameras of a file's text; those that Caliscope was told to ignore are left out."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(where, f"is no calibration file of a known kind; read as TOML: {error}") from error
    said = str(data.get("metadata", {}).get("units", "m"))
    scale = given.metres({"meters": "m", "centimeters": "cm", "millimeters": "mm"}.get(said, said))
    found = [_camera(name, Fields(table, f"{where}: {name}"), scale, given) for name, table in _tables(data)]
    if not found:
        raise ConfigError(where, "expected tables with 'matrix' and 'distortions', one per camera; found "
                                 f"{', '.join(data) or 'nothing'}")
    return found


def write(rig: Rig) -> str:
    """Return the text of a file that Anipose, Caliscope and Pose2Sim read, in metres."""
    lines = []
    for number, posed in enumerate(rig):
        camera, fisheye = posed.camera, posed.camera.model == "equidistant"
        d = camera.D if len(camera.D) else np.zeros(4 if fisheye else 5)
        lines += [
            f"[cam_{number}]",
            f'name = "{posed.name}"',
            f"size = {list(map(int, camera.size_wh))}",
            f"matrix = {camera.K.tolist()}",
            f"distortions = {d.tolist()}",
            f"rotation = {cv2.Rodrigues(posed.rotation)[0].ravel().tolist()}",
            f"translation = {posed.translation.tolist()}",
            f"fisheye = {str(fisheye).lower()}",
            "",
        ]
    return "\n".join([*lines, "[metadata]", 'units = "m"', ""])


def _tables(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in data.items():
        if isinstance(table, Mapping) and "matrix" in table and not table.get("ignore", False):
            yield prefix + name, table
        elif name == "cameras" and isinstance(table, Mapping):
            yield from _tables(table, "cam_")


def _camera(name: str, table: Fields, scale: float, given: Given) -> Found:
    camera = table.camera(
        table.array("matrix", (3, 3)),
        table.size("size", given),
        table.array("distortions") if "distortions" in table else np.zeros(0),
        fisheye=bool(table.data.get("fisheye", False)),
    )
    name = str(table.data.get("name", name))
    if "rotation" not in table and "translation" not in table:
        return Found(name, camera)
    return Found(name, camera, table.rotation("rotation"), table.array("translation", (3,)) * scale)
