# SPDX-License-Identifier: Apache-2.0
"""Depth: what a depth camera measured, in whatever units and wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Depth:
    """One depth image: distances along the optical axis (REP-118).

    Raises:
        ShapeError: The image is neither uint16 nor float32 with two axes, or the transform has other shapes.
    """

    #: (H, W) uint16 or float32; 0, NaN and infinity are no measurement.
    image: np.ndarray
    #: Of the depth image. The colour camera's own where depth is registered to it.
    camera: Camera
    #: Metres per unit: 0.001 for 16UC1, 1 for 32FC1.
    scale: float = 1.0
    #: When, nanoseconds.
    stamp_ns: int = 0
    #: (3, 3) and (3,) metres: ``x_colour = rotation @ x_depth + translation``; identity where depth is registered.
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        """Check every shape."""
        image = self.image
        if not isinstance(image, np.ndarray) or image.ndim != 2 or image.dtype not in (np.uint16, np.float32):
            came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ShapeError("depth", "uint16 or float32 (H, W)", came)
        for name, shape in (("rotation", (3, 3)), ("translation", (3,))):
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != shape:
                raise ShapeError(name, str(shape), value.shape)
            object.__setattr__(self, name, value)

    @property
    def registered(self) -> bool:
        """Whether its pixels are those of the colour image, but for the resolution."""
        return not self.translation.any() and np.array_equal(self.rotation, np.eye(3))

    @cached_property
    def grid(self) -> Camera:
        """The camera of this image as it is: where ``camera`` describes another resolution, it is scaled."""
        return scaled(self.camera, (self.image.shape[1], self.image.shape[0]))


def scaled(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """Return the camera of the same view in another resolution; the centre of the first pixel stays (0, 0).

    Args:
        camera: As calibrated.
        size_wh: (width, height) of the resized image, pixels.
    """
    if tuple(camera.size_wh) == tuple(size_wh):
        return camera
    ratio = np.array(size_wh) / camera.size_wh
    matrix = camera.K.copy()
    matrix[:2, 2] += 0.5
    matrix[:2] *= ratio[:, None]
    matrix[:2, 2] -= 0.5
    return Camera(matrix, size_wh, camera.D, camera.model)
