# SPDX-License-Identifier: Apache-2.0
"""What sets with metres have in common: cameras as tables of numbers, and samples whose pixels are projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pose_ros.core.camera import Camera


def camera(row: Mapping[str, Any]) -> Camera:
    """Return the camera of a table of mmpose: f, c, w, h, and k (3), p (2) with distortion."""
    (fx, fy), (cx, cy) = np.ravel(row["f"]), np.ravel(row["c"])
    d = np.zeros(0)
    if "k" in row:
        k, p = np.ravel(row["k"]), np.ravel(row["p"])
        d = np.array([k[0], k[1], p[0], p[1], k[2]])
    return Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), (int(row["w"]), int(row["h"])), d,
                  "plumb_bob" if len(d) else "")


def pose(rotation: Any, translation: Any) -> np.ndarray:
    """Return (4, 4) of a rotation (3, 3) and a translation of three numbers, metres."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation, np.ravel(translation)
    return made


def moved(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (..., 3) in the target frame of a (4, 4)."""
    return points @ transform[:3, :3].T + transform[:3, 3]


def inside(keypoints: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return (...) bool: whether pixels (..., 2) are in the picture; NaN is not."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((keypoints >= 0) & (keypoints <= np.array(size_wh) - 1)).all(axis=-1))
