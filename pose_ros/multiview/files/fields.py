# SPDX-License-Identifier: Apache-2.0
"""Fields: numbers out of a calibration file, or a message that names file, key, what was expected and what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError

#: Metres in one unit of length.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclass(frozen=True)
class Given:
    """What the user says beside the file, for formats that do not say it themselves."""

    #: One of UNITS, or empty: that of the format.
    unit: str = ""
    #: (width, height) in pixels of cameras whose file has no size.
    size_wh: tuple[int, int] | None = None

    def metres(self, unit: str) -> float:
        """Return the metres in one unit of length of a file whose format has this one."""
        unit = self.unit or unit
        if unit not in UNITS:
            raise ConfigError("unit", f"expected one of {', '.join(UNITS)}; got '{unit}'")
        return UNITS[unit]


@dataclass(frozen=True, eq=False)
class Found:
    """One camera of a file; rotation (3, 3) and translation (3,) in metres are None where the file has no pose."""

    name: str
    camera: Camera
    rotation: np.ndarray | None = None
    translation: np.ndarray | None = None


class Fields:
    """A mapping of a file and the way to it."""

    def __init__(self, data: Any, where: str) -> None:
        """Check that it is a mapping; ``where`` is the file and the keys that lead there."""
        if not isinstance(data, Mapping):
            raise ConfigError(where, f"expected a mapping, got {type(data).__name__} {str(data)[:60]!r}")
        self.data, self.where = data, where

    def __contains__(self, key: str) -> bool:
        """Whether there is a value."""
        return self.data.get(key) is not None

    def first(self, *keys: str) -> str:
        """Return the first of several keys that is there; the last one where none is."""
        return next((key for key in keys if key in self), keys[-1])

    def at(self, key: str) -> Fields:
        """Return the mapping below a key."""
        return Fields(self._value(key), f"{self.where}: {key}")

    def array(self, key: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Return finite numbers in a shape; one dimension of any length without a shape.

        Raises:
            ConfigError: They are not there, not numbers, or not so many.
        """
        value = self._value(key)
        try:
            array = np.asarray(value, np.float64).reshape(shape or -1)
        except (TypeError, ValueError):
            array = np.full(1, np.nan)
        if not np.isfinite(array).all():
            wanted = f"{' x '.join(map(str, shape))} finite numbers" if shape else "finite numbers"
            raise ConfigError(f"{self.where}: {key}", f"expected {wanted}, got {' '.join(str(value).split())[:80]}")
        return array

    def number(self, key: str) -> float:
        """Return one finite number."""
        return float(self.array(key, (1,))[0])

    def size(self, key: str, given: Given) -> tuple[int, int]:
        """Return (width, height) in pixels, from the file or as given."""
        if key not in self and given.size_wh is not None:
            return given.size_wh
        if key not in self:
            raise ConfigError(f"{self.where}: {key}", "this file does not say how large the images are; give their "
                                                      "size, such as --size 1920x1080")
        width, height = self.array(key, (2,)).astype(int).tolist()
        return width, height

    def rotation(self, key: str) -> np.ndarray:
        """Return a rotation matrix, from nine numbers or from three of Rodrigues' axis and angle in radians."""
        numbers = self.array(key)
        if len(numbers) not in (3, 9):
            raise ConfigError(f"{self.where}: {key}", f"expected 3 x 3 or 3 numbers, got {len(numbers)}")
        matrix = numbers.reshape(3, 3) if len(numbers) == 9 else cv2.Rodrigues(numbers)[0]
        # Files keep a few digits; the nearest rotation is what they mean, if there is one near.
        nearest = quaternion.to_matrices(quaternion.from_matrices(matrix))
        return nearest if np.abs(nearest - matrix).max() < 1e-3 else matrix

    def camera(self, k: np.ndarray, size_wh: tuple[int, int], d: np.ndarray, *, fisheye: bool = False) -> Camera:
        """Return a camera of OpenCV's distortion coefficients, and name the file where they do not fit."""
        d = np.asarray(d, np.float64).reshape(-1)
        if fisheye and len(d) == 5 and d[4] == 0:  # as anipose writes four
            d = d[:4]
        if not d.any() and not fisheye:
            d = np.zeros(0)
        if len(d) in (1, 2, 3) and not fisheye:
            d = np.concatenate([d, np.zeros(4 - len(d))])
        model = "equidistant" if fisheye else "" if not len(d) else "plumb_bob" if len(d) < 6 else "rational_polynomial"
        try:
            return Camera(k, size_wh, d, model)
        except ConfigError as error:
            raise ConfigError(self.where, str(error)) from error

    def _value(self, key: str) -> Any:
        if key not in self:
            known = ", ".join(map(str, self.data)) or "nothing"
            raise ConfigError(f"{self.where}: {key}", f"expected this key, found only {known[:300]}")
        return self.data[key]
