# SPDX-License-Identifier: Apache-2.0
"""YAML, XML and JSON of OpenCV's FileStorage: what its samples and the tools around it write.

========================================================  ===========================================================
one camera, named after its file                          ``camera_matrix distortion_coefficients image_width
                                                          image_height``, with a pose ``R`` or ``rvec``, ``T`` or
                                                          ``tvec``
a stereo pair (``stereo_calib``), in one or two files     ``M1 D1 M2 D2`` or ``cameraMatrix1 distCoeffs1 ...``, and
                                                          ``R T`` from the first camera to the second
many cameras (EasyMocap's ``intri.yml``, ``extri.yml``)    ``K_<name> dist_<name> R_<name> T_<name>``
many cameras (``ccalib``'s multi-camera calibration)      ``camera_matrix_<i> camera_distortion_<i> camera_pose_<i>``
========================================================  ===========================================================

``x_camera = R x_world + t``. The files do not say the unit of length: it is metres unless another one is given.
``fisheye_model: 1`` (and any ``fisheye`` that is not 0) means OpenCV's fisheye model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.multiview.files.fields import Fields, Found, Given

_MATRIX = re.compile(r"(?:K_|camera_matrix_)(.+)")
_STEREO = (("M{}", "D{}"), ("cameraMatrix{}", "distCoeffs{}"), ("camera_matrix_{}", "distortion_coefficients_{}"),
           ("K{}", "D{}"))  # fmt: skip
_ALONE = ("camera_matrix", "Camera_Matrix", "cameraMatrix", "K")


def read(paths: Mapping[str, Path], where: str, given: Given) -> list[Found]:
    """Read files, by name, that belong to one rig: they say the same keys of different cameras, or different keys."""
    stored = {name: _load(path) for name, path in paths.items()}
    alone = {name: data for name, data in stored.items() if any(key in data for key in _ALONE)}
    if alone:
        return [_single(name, Fields(data, str(paths[name])), given) for name, data in alone.items()]
    merged = Fields({key: value for data in stored.values() for key, value in data.items()}, where)
    for matrix, distortion in _STEREO:
        if all(matrix.format(i) in merged for i in (1, 2)) and ("R" in merged or "T" in merged):
            return _stereo(merged, matrix, distortion, given)
    names = [match[1] for match in map(_MATRIX.fullmatch, merged.data) if match]
    if not names:
        raise ConfigError(where, "expected camera_matrix, M1 and M2, K_<name> or camera_matrix_<i>; found "
                                 f"{', '.join(merged.data) or 'nothing'}")
    return [_one_of_many(name, merged, given) for name in names]


def _single(name: str, fields: Fields, given: Given) -> Found:
    k = fields.array(fields.first(*reversed(_ALONE), "camera_matrix"), (3, 3))
    d = fields.first("Distortion_Coefficients", "distCoeffs", "dist_coeffs", "D", "distortion_coefficients")
    return Found(name, _camera(fields, k, fields.array(d), given), *_pose(fields, given))


def _stereo(fields: Fields, matrix: str, distortion: str, given: Given) -> list[Found]:
    first, second = (
        _camera(fields, fields.array(matrix.format(i), (3, 3)), fields.array(distortion.format(i)), given)
        for i in (1, 2)
    )
    return [Found("cam1", first, np.eye(3), np.zeros(3)), Found("cam2", second, *_pose(fields, given))]


def _one_of_many(name: str, fields: Fields, given: Given) -> Found:
    k = fields.array(fields.first(f"K_{name}", f"camera_matrix_{name}"), (3, 3))
    d = fields.array(fields.first(f"dist_{name}", f"D_{name}", f"camera_distortion_{name}"))
    camera = _camera(fields, k, d, given, name)
    pose = f"camera_pose_{name}"
    if pose in fields:
        matrix = fields.array(pose, (4, 4))
        rotation = Fields({"R": matrix[:3, :3]}, f"{fields.where}: {pose}").rotation("R")
        return Found(name, camera, rotation, matrix[:3, 3] * given.metres("m"))
    return Found(name, camera, *_pose(fields, given, f"_{name}"))


def _pose(fields: Fields, given: Given, suffix: str = "") -> tuple[np.ndarray | None, np.ndarray | None]:
    turn = fields.first(*(f"{key}{suffix}" for key in ("Rot", "R", "rvec", "rotation", "R")))
    shift = fields.first(*(f"{key}{suffix}" for key in ("T", "t", "tvec", "translation", "T")))
    if turn not in fields and shift not in fields:
        return None, None
    return fields.rotation(turn), fields.array(shift, (3,)) * given.metres("m")


def _camera(fields: Fields, k: np.ndarray, d: np.ndarray, given: Given, name: str = "") -> Any:
    data = dict(fields.data)
    width, height = (fields.first(f"{key}_{name}", f"{short}_{name}", f"image_{long}", f"image_{long.title()}")
                     for key, short, long in (("image_width", "W", "width"), ("image_height", "H", "height")))
    if width in fields and height in fields:
        data["image_size"] = [fields.number(width), fields.number(height)]
    size = Fields(data, fields.where).size(fields.first("imageSize", "image_size"), given)
    return fields.camera(k, size, d, fisheye=any(fields.data.get(key) for key in ("fisheye_model", "fisheye")))


def _load(path: Path) -> dict[str, Any]:
    """Return numbers, texts and matrices at the top of a file."""
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root, data = storage.root(), dict[str, Any]()
        for key in root.keys():  # noqa: SIM118 - a FileNode is no mapping
            node = root.getNode(key)
            if node.isInt() or node.isReal():
                data[key] = node.real()
            elif node.isMap() and (matrix := node.mat()) is not None:
                data[key] = matrix
            elif node.isSeq() and all(node.at(i).isInt() or node.at(i).isReal() for i in range(node.size())):
                data[key] = [node.at(i).real() for i in range(node.size())]
        storage.release()
    except (cv2.error, SystemError) as error:
        raise ConfigError(str(path), f"OpenCV cannot read it: {str(error).strip()[:200]}") from error
    return data
