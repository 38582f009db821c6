# SPDX-License-Identifier: Apache-2.0
"""Distortion: how lenses bend rays, and the derivative of that, for many cameras at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pose_ros.core.camera import Camera

#: Bends rays: value and derivative.
Distort = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def kind(camera: Camera) -> str:
    """Return by what rule the lens bends rays; empty where it does not."""
    if camera.ideal:
        return ""
    return "fisheye" if camera.model == "equidistant" else "tilted" if camera.D[12:].any() else "brown"


def coefficients(cameras: Sequence[Camera]) -> np.ndarray:
    """Return (12, V, 1)."""
    return np.array([np.pad(camera.D[:12], (0, 12 - len(camera.D[:12]))) for camera in cameras]).T[:, :, None]


def distortion(kind: str) -> Distort:
    """Return the rule of a kind, without the tilt of a sensor."""
    return fisheye if kind == "fisheye" else brown


def furthest(camera: Camera) -> float:
    """Return the length of the bent ray of the furthest corner of the image."""
    corner = np.array([[0, 0], camera.size_wh, [0, camera.size_wh[1]], [camera.size_wh[0], 0]])
    return float(np.linalg.norm((corner - camera.K[:2, 2]) / np.diag(camera.K)[:2], axis=1).max())


def brown(xy: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distort (2, ...) as ``plumb_bob`` and ``rational_polynomial`` do (OpenCV's calib3d); value and derivative."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = coefficients
    x, y = xy
    square = x * x
    square += y * y
    grown = 1 + square * (k1 + square * (k2 + square * k3))
    bent = k1 + square * (2 * k2 + square * (3 * k3))
    if k4.any() or k5.any() or k6.any():
        below = 1 + square * (k4 + square * (k5 + square * k6))
        grown /= below
        bent = (bent - grown * (k4 + square * (2 * k5 + square * (3 * k6)))) / below
    bent *= 2
    grown += (2 * p1) * y + (2 * p2) * x
    at, slope = xy * grown, np.empty((2, *xy.shape), xy.dtype)
    at[0] += p2 * square
    at[1] += p1 * square
    bent_x = bent * x
    bent *= y
    slope[0, 1] = slope[1, 0] = bent_x * y + (2 * p1) * x + (2 * p2) * y
    bent_x += 4 * p2
    bent += 4 * p1
    slope[0, 0] = grown + bent_x * x
    slope[1, 1] = grown + bent * y
    if s1.any() or s2.any() or s3.any() or s4.any():
        at[0] += square * (s1 + square * s2)
        at[1] += square * (s3 + square * s4)
        prism = np.stack([2 * s1 + 4 * s2 * square, 2 * s3 + 4 * s4 * square])
        slope[:, 0] += x * prism
        slope[:, 1] += y * prism
    return at, slope


def fisheye(xy: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distort (2, ...) as ``equidistant`` does (Kannala and Brandt, PAMI 2006); value and derivative."""
    k1, k2, k3, k4 = coefficients[:4]
    x, y = xy
    radius = np.sqrt(np.fmax(x * x + y * y, 1e-18))
    angle = np.arctan(radius)
    s = angle * angle
    along = (1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * (9 * k4))))) / (1 + radius * radius)
    grown = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4)))) / radius
    bent = (along - grown) / (radius * radius)
    slope = np.empty((2, *xy.shape), xy.dtype)
    slope[0, 0], slope[1, 1] = grown + x * x * bent, grown + y * y * bent
    slope[0, 1] = slope[1, 0] = x * y * bent
    return xy * grown, slope
