# SPDX-License-Identifier: Apache-2.0
"""Calibration: cameras out of files, out of a field of view, and of resized images."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose_ros.core import documents
from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError

_HINT = "expected the YAML file that camera_calibration writes"


def read_calibration(path: Path | str) -> Camera:
    """Read a camera from the YAML file that ROS's camera_calibration writes.

    Raises:
        ConfigError: There is no such file, or it does not hold a calibration.
    """
    try:
        data: Any = documents.load(Path(path).expanduser().read_text(encoding="utf-8"))
        return Camera(
            np.array(data["camera_matrix"]["data"], np.float64).reshape(3, 3),
            (int(data["image_width"]), int(data["image_height"])),
            np.array(data["distortion_coefficients"]["data"], np.float64),
            {"fisheye": "equidistant"}.get(data["distortion_model"], data["distortion_model"]),
        )
    except OSError as error:
        raise ConfigError("camera_info", f"'{path}' cannot be read: {error.strerror or error}; {_HINT}") from error
    except KeyError as error:
        raise ConfigError("camera_info", f"'{path}' has no {error}; {_HINT}") from error
    except ConfigError as error:
        raise ConfigError("camera_info", f"'{path}': {error}") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise ConfigError("camera_info", f"'{path}' does not fit: {error}; {_HINT}") from error


def guess_camera(size_wh: tuple[int, int], horizontal_view: float) -> Camera:
    """Return the ideal camera of a horizontal field of view in radians, with square pixels and a centred axis."""
    focal = size_wh[0] / 2 / math.tan(horizontal_view / 2)
    cx, cy = (size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2
    return Camera(np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]]), size_wh)


def resize_camera(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """Return the camera of the same image scaled to another size; distortion does not depend on it."""
    if size_wh == camera.size_wh:
        return camera
    scale = np.array(size_wh) / camera.size_wh
    k = camera.K.copy()
    # Areas scale, and the centre of the first pixel is (0, 0).
    k[:2, 2] = (k[:2, 2] + 0.5) * scale - 0.5
    k[0, :2] *= scale[0]
    k[1, 1] *= scale[1]
    return dataclasses.replace(camera, K=k, size_wh=size_wh)
