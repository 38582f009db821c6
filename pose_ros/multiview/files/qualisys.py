# SPDX-License-Identifier: Apache-2.0
"""Qualisys Track Manager's exported calibration (``.qca.txt``, XML).

Lengths are millimetres, ``x y z`` is where the camera stands, and ``r11 .. r33``, row by row, turn the world into a
camera frame of x right, y up, z backwards. Focal length and centre are 1/64 of a pixel
of the sensor; the distortion coefficients are those of OpenCV and have no unit, so they are taken as they are. Some
converters divide them by 64 too, which leaves almost none of the distortion.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.multiview.files.fields import Fields, Found, Given

_SUBPIXELS = 64
#: Turns y up, z backwards into y down, z forward.
_FLIP = np.diag([1.0, -1.0, -1.0])


def read(root: ET.Element, where: str, given: Given) -> list[Found]:
    """Read the active cameras of a file's root."""
    # The model behind these numbers is not published; a guess would put every keypoint in a wrong place.
    if "fisheye" in root.get("type", "").lower():
        raise ConfigError(f"{where}: calibration.type", "expected a calibration of ordinary lenses, got that of "
                                                        "fisheye lenses; calibrate them with a board instead")
    found = [_camera(camera, where, given) for camera in root.iter("camera") if camera.get("active", "1") != "0"]
    if not found:
        raise ConfigError(where, "expected active <camera> elements, found none")
    return found


def _camera(element: ET.Element, where: str, given: Given) -> Found:
    name = element.get("serial", "")
    where = f"{where}: camera {name}"
    if "fisheye" in element.get("model", "").lower():
        raise ConfigError(f"{where}: model", f"expected an ordinary lens, got '{element.get('model')}'; calibrate it "
                                             "with a board instead")
    intrinsic, transform, fov = (_child(element, tag, where) for tag in ("intrinsic", "transform", "fov_video"))
    left, top, right, bottom = (fov.number(side) for side in ("left", "top", "right", "bottom"))
    whole = _child(element, "fov_video_max", where).number("right") + 1
    # A video of half the sensor's resolution has pixels twice as large.
    binning = max(1, round(intrinsic.number("sensorMaxU") / _SUBPIXELS / whole))
    fx, fy, cx, cy = (
        intrinsic.number(key) / _SUBPIXELS / binning
        for key in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    )
    d = [intrinsic.number(key) for key in ("radialDistortion1", "radialDistortion2", "tangentalDistortion1",
                                           "tangentalDistortion2", "radialDistortion3")]  # fmt: skip
    k = np.array([[fx, 0, cx - left], [0, fy, cy - top], [0, 0, 1]])
    camera = intrinsic.camera(k, (round(right - left + 1), round(bottom - top + 1)), np.array(d))
    rows = {"r": [transform.number(f"r{i}{j}") for i in (1, 2, 3) for j in (1, 2, 3)]}
    rotation = _FLIP @ Fields(rows, f"{where}: transform").rotation("r")
    centre = np.array([transform.number(axis) for axis in "xyz"]) * given.metres("mm")
    return Found(name, camera, rotation, -rotation @ centre)


def _child(element: ET.Element, tag: str, where: str) -> Fields:
    child = element.find(tag)
    if child is None:
        known = ", ".join(other.tag for other in element) or "nothing"
        raise ConfigError(f"{where}: <{tag}>", f"expected this element, found only {known}")
    return Fields(child.attrib, f"{where}: {tag}")
