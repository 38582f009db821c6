# SPDX-License-Identifier: Apache-2.0
"""Demo: a photograph that hangs on a wall, seen by a slowly moving pinhole camera whose calibration is known.

The photograph is NASA's portrait of Eileen Collins (public domain), which ships with scikit-image. It shows no bare
hand, so the drawing of one is pinned to it.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError
from pose_ros.media.calibration import guess_camera
from pose_ros.media.drawn_hand import drawn_hand
from pose_ros.media.source import Source

SECONDS, FPS, SIZE_WH = 10.0, 30.0, (640, 480)
#: Horizontal field of view of the camera.
_VIEW_RAD = math.radians(60)
#: Height of the photograph on the wall, which makes the person life-size.
_PHOTO_M = 1.1
_WALL_RGB = (150, 146, 140)
#: Where on the photograph the drawing is, and how wide: so large that detectors of palms see it.
_HAND_XY, _HAND_PX = (2, 36), 150
FRAME_ID = "camera_optical_frame"


class Demo(Source):
    """The photograph under the moving camera; the last frame leads back to the first one."""

    def __init__(self, name: str = "demo", seconds: str = "", loop: bool = False) -> None:
        """Read the photograph.

        Raises:
            SourceError: scikit-image is not installed, or ``seconds`` is not a positive number.
        """
        super().__init__(name, loop)
        try:
            duration = float(seconds or SECONDS)
        except ValueError:
            duration = 0.0
        if not 1 / FPS <= duration < 1e6:
            raise SourceError(name, f"expected demo or demo:SECONDS, got '{seconds}' seconds")
        self.fps = FPS
        self._frames = round(duration * FPS)
        self.length = None if loop else self._frames
        self._photo = photograph(name)
        drawing = drawn_hand(_HAND_PX)
        x, y = _HAND_XY
        self._photo[y : y + len(drawing), x : x + _HAND_PX] = drawing
        self.camera = guess_camera(SIZE_WH, _VIEW_RAD)

    def wall_to_camera(self, index: int) -> np.ndarray:
        """Return ``T_camera_wall`` of a frame, (4, 4).

        The wall's axes are those of an optical frame that looks at it: x right, y down, z into the wall; the origin is
        the centre of the photograph.
        """
        phase = 2 * math.pi * index / self._frames * max(1, round(self._frames / FPS / SECONDS))
        yaw, pitch, roll = 0.15 * math.sin(phase), 0.03 * math.sin(2 * phase), 0.06 * math.sin(phase + 1)
        position = np.array([0.10 * math.sin(phase), 0.04 * math.sin(2 * phase) - 0.06, -1.2 - 0.25 * math.cos(phase)])
        rotation = _rotation(0, pitch) @ _rotation(1, yaw) @ _rotation(2, roll)
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = -rotation @ position
        return transform

    def _read(self) -> Iterator[Frame]:
        import cv2

        height, width = self._photo.shape[:2]
        metres = _PHOTO_M / height
        photo_to_wall = np.array(
            [[metres, 0, -metres * (width - 1) / 2], [0, metres, -metres * (height - 1) / 2], [0, 0, 1]]
        )
        for index in range(self._frames):
            transform = self.wall_to_camera(index)
            # A plane z = 0 is seen through the first, second and fourth column.
            homography = self.camera.K @ transform[:3, [0, 1, 3]] @ photo_to_wall
            image = cv2.warpPerspective(
                self._photo, homography, SIZE_WH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                borderValue=_WALL_RGB,
            )
            yield Frame(image, round(index * 1e9 / FPS), FRAME_ID, self.camera)


def photograph(name: str = "demo") -> np.ndarray:
    """Return the photograph, RGB uint8 (512, 512, 3).

    Raises:
        SourceError: scikit-image is not installed.
    """
    import cv2

    # Found without being imported: that would take a second and SciPy for one file.
    package = importlib.util.find_spec("skimage")
    path = Path(package.origin).parent / "data" / "astronaut.png" if package and package.origin else None
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path and path.is_file() else None
    if image is None:
        raise SourceError(name, "needs the photograph in scikit-image: pip install scikit-image, "
                          "or name a video, image or webcam instead")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Return the rotation about axis 0, 1 or 2, (3, 3)."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = math.cos(angle)
    matrix[a, b], matrix[b, a] = -math.sin(angle), math.sin(angle)
    return matrix
