# SPDX-License-Identifier: Apache-2.0
"""Rig: calibrated cameras that look at one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError, ShapeError

#: How far ``rotation @ rotation.T`` may be from the identity.
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False)
class PosedCamera:
    """One camera and where it stands: ``x_camera = rotation @ x_world + translation``.

    Raises:
        ShapeError: When a part has another shape.
        ConfigError: The rotation is none.
    """

    name: str
    camera: Camera
    #: (3, 3), world to optical frame (x right, y down, z forward).
    rotation: np.ndarray
    #: (3,), metres.
    translation: np.ndarray

    def __post_init__(self) -> None:
        """Check the pose."""
        for name, shape in (("rotation", (3, 3)), ("translation", (3,))):
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != shape:
                raise ShapeError(f"{self.name}.{name}", str(shape), value.shape)
            object.__setattr__(self, name, value)
        off = np.abs(self.rotation @ self.rotation.T - np.eye(3)).max()
        if not off < _ROUNDING or np.linalg.det(self.rotation) < 0:
            raise ConfigError(f"{self.name}.rotation", f"expected a rotation matrix, got {self.rotation.tolist()}")

    @property
    def centre(self) -> np.ndarray:
        """Where the camera stands, (3,) metres in the world."""
        return -self.rotation.T @ self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points of the world, (..., 3) metres, to pixels (..., 2); NaN behind the camera."""
        return self.camera.project(np.asarray(points, np.float64) @ self.rotation.T + self.translation)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return the directions (..., 3) in the world in which pixels (..., 2) look, as long as one metre of depth."""
        return self.camera.rays(pixels) @ self.rotation


@dataclass(frozen=True, eq=False)
class Rig:
    """Cameras with different names, in one world.

    Raises:
        ConfigError: Two have one name.
    """

    cameras: Sequence[PosedCamera]
    #: Name of the world frame.
    frame_id: str = "world"
    _parts: dict[tuple[str, ...], Rig] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the names."""
        names = [camera.name for camera in self.cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError("cameras", f"expected different names, got {', '.join(twice)} more than once")

    def __len__(self) -> int:
        """Return how many cameras there are."""
        return len(self.cameras)

    def __iter__(self) -> Iterator[PosedCamera]:
        """Yield the cameras."""
        return iter(self.cameras)

    def of(self, names: Sequence[str]) -> Rig:
        """Return some of the cameras: the same object for the same names, as more is remembered of it elsewhere."""
        key = tuple(names)
        if key not in self._parts:
            cameras = {camera.name: camera for camera in self}
            self._parts[key] = Rig([cameras[name] for name in names], self.frame_id)
        return self._parts[key]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (..., 3) metres into all cameras, (V, ..., 2) pixels."""
        return np.stack([camera.project(points) for camera in self.cameras])
