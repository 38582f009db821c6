# SPDX-License-Identifier: Apache-2.0
"""Frame: one image of one camera at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.errors import ShapeError


def check_image(image: np.ndarray, name: str = "image") -> np.ndarray:
    """Return ``image`` if it is RGB uint8 (H, W, 3) with at least one pixel.

    Raises:
        ShapeError: Otherwise.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        actual = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ShapeError(name, "uint8 (H, W, 3)", actual)
    if image.size == 0:
        raise ShapeError(name, "at least one pixel", image.shape)
    return image


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera at one moment."""

    #: RGB uint8 (H, W, 3); never written to.
    image: np.ndarray
    #: Capture time, nanoseconds.
    stamp_ns: int = 0
    #: Optical frame of the camera.
    frame_id: str = ""
    #: Calibration, if there is one.
    camera: Camera | None = None
    #: What a depth camera measured at the same moment, if there is one.
    depth: Depth | None = None
    #: Rotation (3, 3) and translation (3,) metres from the optical frame to one that does not move, at this moment:
    #: what a moving camera sees is filtered there. None where the camera stands still.
    fixed: tuple[np.ndarray, np.ndarray] | None = None

    def __post_init__(self) -> None:
        """Check the image."""
        check_image(self.image)

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]
