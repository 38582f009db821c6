# SPDX-License-Identifier: Apache-2.0
"""Cameras: sensor_msgs/CameraInfo <-> Camera (REP-104)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header

#: Other names in use for REP-104's distortion models.
_ALIASES = {"fisheye": "equidistant", "radtan": "plumb_bob"}
_CALIBRATE = "calibrate it (ros2 run camera_calibration cameracalibrator), or give the driver its camera_info_url"


def camera_from_info(
    info: CameraInfo, size_wh: tuple[int, int] | None = None, *, rectified: bool = False
) -> Camera:
    """Return the camera that took the image which came with ``info``.

    Binning and the region of interest are applied. Binning joins pixels, and the centre of the first pixel is (0, 0):
    ``cx' = (cx - x_offset + 0.5) / binning_x - 0.5`` (image_geometry leaves the halves out).

    Args:
        info: sensor_msgs/CameraInfo, or anything with its fields.
        size_wh: Size of the image, (width, height) in pixels; checked when given. Nothing is scaled to fit: who
            resizes an image has to publish the CameraInfo of the smaller one.
        rectified: The image is rectified: use P and no distortion, instead of K and D.

    Raises:
        ConfigError: The camera is not calibrated, the model is unknown, or the sizes do not fit; says what to do.
    """
    intrinsics = np.array(info.p if rectified else info.k, np.float64).reshape(3, -1)
    field = "camera_info.p" if rectified else "camera_info.k"
    if not np.isfinite(intrinsics).all() or intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0:
        raise ConfigError(field, f"expected positive focal lengths, got {intrinsics[0, 0]:g} and {intrinsics[1, 1]:g}: "
                                 f"the camera is not calibrated; {_CALIBRATE}")
    if rectified and intrinsics[:, 3].any():
        raise ConfigError(field, f"expected a single camera or the left one of a pair, got an offset of "
                                 f"{intrinsics[0, 3]:g} px m; use the left camera or the raw image")
    matrix = intrinsics[:, :3]
    width, height = _operate(info, matrix)
    if size_wh is not None and (width, height) != tuple(size_wh):
        raise ConfigError("camera_info", f"describes images of {width}x{height}, got one of {size_wh[0]}x{size_wh[1]}; "
                                         f"the topic belongs to another camera, or its image was resized")
    coefficients = np.zeros(0) if rectified else np.array(info.d, np.float64)
    if not coefficients.any():
        return Camera(matrix, (width, height))
    return Camera(matrix, (width, height), coefficients, _ALIASES.get(info.distortion_model, info.distortion_model))


def _operate(info: CameraInfo, matrix: np.ndarray) -> tuple[int, int]:
    """Apply region of interest and binning to ``matrix``, in place; return the size of the image."""
    roi = info.roi
    offset = np.array([roi.x_offset, roi.y_offset])
    # 0 means the whole image, and no binning (sensor_msgs/CameraInfo).
    size = np.array([roi.width or info.width - roi.x_offset, roi.height or info.height - roi.y_offset])
    binning = np.maximum([info.binning_x, info.binning_y], 1)
    if (size < binning).any() or (offset + size > (info.width, info.height)).any():
        raise ConfigError("camera_info", f"expected a region inside {info.width}x{info.height} pixels, got "
                                         f"{roi.width}x{roi.height} at {roi.x_offset}, {roi.y_offset}, binned by "
                                         f"{binning.tolist()}; check the camera driver")
    matrix[:2, 2] = (matrix[:2, 2] - offset + 0.5) / binning - 0.5
    matrix[0, :2] /= binning[0]
    matrix[1, 1] /= binning[1]
    width, height = size // binning
    return int(width), int(height)


def camera_to_info(camera: Camera, header: Header) -> CameraInfo:
    """Return the CameraInfo of a camera; the header is taken as it is."""
    from sensor_msgs.msg import CameraInfo

    # Tools expect a model even of an ideal camera.
    ideal = camera.ideal
    return CameraInfo(
        header=header,
        width=int(camera.size_wh[0]),
        height=int(camera.size_wh[1]),
        distortion_model="plumb_bob" if ideal else camera.model,
        d=[0.0] * 5 if ideal else camera.D.tolist(),
        k=camera.K.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([camera.K, np.zeros((3, 1))]).ravel(),
    )
