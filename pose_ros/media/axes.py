# SPDX-License-Identifier: Apache-2.0
"""Draw coordinate frames into an image as a camera sees them: x red, y green, z blue."""

from __future__ import annotations

import numpy as np

from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.media.draw import canvas

#: RGB of x, y and z, as in RViz.
AXES = ((255, 0, 0), (0, 255, 0), (0, 80, 255))
_DARK = (20, 20, 20)
#: The farthest pixel that is drawn to.
_FAR_PX = 1e6
#: Points on each axis: a lens bends it.
_POINTS = 9
#: Fractional bits of OpenCV's drawing coordinates.
_SHIFT = 3


def draw_axes(
    image: np.ndarray,
    frames: np.ndarray,
    camera: Camera,
    length_m: float = 0.1,
    *,
    axes: str = "xyz",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image with the axes of frames drawn into it.

    Args:
        image: RGB uint8 (H, W, 3). Not modified.
        frames: (N, 7) x, y, z in metres and the quaternion x, y, z, w in the optical frame of ``camera``, such as one
            column of ``Poses.frames``; rows with NaN, and axes that reach behind the camera, are left out.
        camera: That took the image.
        length_m: Of the axes, metres.
        axes: Which of them.
        out: Where to draw, (H, W, 3) uint8, contiguous, such as an image that was drawn into before.

    Returns:
        RGB uint8 (H, W, 3).
    """
    import cv2

    out, thickness = canvas(image, out)
    along = np.linspace(0, length_m, _POINTS)[:, None]
    for frame in frames:
        directions = quaternion.to_matrices(frame[3:])
        # What is far away first.
        wanted = ["xyz".index(axis) for axis in axes]
        for axis in sorted(wanted, key=list(-directions[2]).__getitem__):
            pixels = camera.project(frame[:3] + along * directions[:, axis])
            if not np.isfinite(pixels).all() or np.abs(pixels).max() > _FAR_PX:
                continue
            line = [np.rint(pixels * (1 << _SHIFT)).astype(np.int32)]
            cv2.polylines(out, line, False, _DARK, thickness + 2, cv2.LINE_AA, _SHIFT)
            cv2.polylines(out, line, False, AXES[axis], thickness, cv2.LINE_AA, _SHIFT)
    return out
