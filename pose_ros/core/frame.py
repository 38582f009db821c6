# SPDX-License-Identifier: Apache-2.0
"""Frame: one image of one camera at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.core.stages import Stages
from pose_ros.errors import ShapeError

#: Rotation (3, 3) and translation (3,) metres from a camera's optical frame to one that does not move.
Fixed = tuple[np.ndarray, np.ndarray]


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
    #: Where the camera stands at this moment: what a moving camera sees is filtered in a frame that does not move. None
    #: where it stands still.
    fixed: Fixed | None = None
    #: Returns the frame with what often comes later than its image, such as depth. It is asked when keypoints are
    #: known, as it may have to wait.
    late: Callable[[Frame], Frame] | None = None

    def __post_init__(self) -> None:
        """Check the image."""
        check_image(self.image)

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def complete(self, stages: Stages) -> Frame:
        """Return the frame with what comes later than the image; ``stages`` takes the time that waiting for it took."""
        if self.late is None:
            return self
        with stages("match"):
            return self.late(replace(self, late=None))
