# SPDX-License-Identifier: Apache-2.0
"""Lens: the rays of many pixels of many cameras at once, and how pixels move with them.

What :meth:`pose_ros.core.camera.Camera.rays` does for one camera, by Newton's method over all of them: its derivative
is needed anyhow, and OpenCV's five rounds leave whole pixels in the corners of wide lenses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pose_ros.core.camera import Camera

#: Bends rays: value and derivative.
Distort = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: A Newton step of less than this, pixels, is the last: the error that is left goes with its square.
_SMALL_STEP = 1.0
#: Most steps. A pixel that still moves lies where the lens model has no ray.
_STEPS = 5
#: Degree, in squares of the radius, of the polynomial from which the steps start.
_DEGREE = 4


class _Group(NamedTuple):
    """Cameras that bend rays by one rule."""

    #: ``brown``, ``fisheye``, or ``tilted``, which is brown before a tilt.
    kind: str
    #: Which of all they are.
    rows: slice | list[int]
    cameras: list[Camera]
    #: (12, V, 1)
    coefficients: np.ndarray
    #: (degree + 1, V, 1)
    start: np.ndarray


@functools.lru_cache(16)
def _groups(cameras: tuple[Camera, ...]) -> tuple[np.ndarray, np.ndarray, list[_Group]]:
    """Return focal lengths and principal points (2, V, 1), and the cameras whose lenses bend rays."""
    focal = np.array([np.diag(camera.K)[:2] for camera in cameras], np.float32).T[:, :, None]
    middle = np.array([camera.K[:2, 2] for camera in cameras], np.float32).T[:, :, None]
    kinds = [_kind(camera) for camera in cameras]
    groups = []
    for kind in sorted(set(kinds) - {""}):
        rows = [i for i in range(len(cameras)) if kinds[i] == kind]
        chosen = [cameras[i] for i in rows]
        start = np.array([_start(camera) for camera in chosen], np.float32).T[:, :, None]
        whole = slice(None) if len(rows) == len(cameras) else rows
        groups.append(_Group(kind, whole, chosen, _coefficients(chosen).astype(np.float32), start))
    return focal, middle, groups


def rays(cameras: Sequence[Camera], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return directions and derivatives, float32: a thousandth of a pixel.

    Args:
        cameras: V of them.
        pixels: (V, M, 2) as they came from the image, with distortion; NaN where there is none.

    Returns:
        (2, V, M): x / z and y / z in each camera's optical frame, NaN where there is none; and (2, 2, V, M): derivative
        of the pixel (u, v) by them. The tilt of a sensor is left out of the derivative.
    """
    focal, middle, groups = _groups(tuple(cameras))
    xy = (np.moveaxis(pixels, 2, 0).astype(np.float32, order="C") - middle) / focal
    stretch = np.zeros((2, *xy.shape), np.float32)
    stretch[0, 0], stretch[1, 1] = focal
    for group in groups:
        rows = group.rows
        if group.kind == "tilted":
            # OpenCV sees through the tilt; only the derivative of the rest is left to find.
            seen = zip(group.cameras, pixels[rows], strict=True)
            xy[:, rows] = np.stack([camera.rays(sights)[:, :2].T for camera, sights in seen], axis=1)
            slope = _brown(xy[:, rows], group.coefficients)[1]
        else:
            xy[:, rows], slope = _undistorted(xy[:, rows], group, focal[:, rows])
        stretch[:, :, rows] = np.multiply(slope, focal[:, None, rows], out=slope)
    return xy, stretch


def _kind(camera: Camera) -> str:
    """Return by what rule the lens bends rays; empty where it does not."""
    if camera.ideal:
        return ""
    return "fisheye" if camera.model == "equidistant" else "tilted" if camera.D[12:].any() else "brown"


def _coefficients(cameras: Sequence[Camera]) -> np.ndarray:
    """Return (12, V, 1)."""
    return np.array([np.pad(camera.D[:12], (0, 12 - len(camera.D[:12]))) for camera in cameras]).T[:, :, None]


def _start(camera: Camera) -> np.ndarray:
    """Return by what to multiply a bent ray to get near the straight one: a polynomial in its squared length."""
    corner = np.array([[0, 0], camera.size_wh, [0, camera.size_wh[1]], [camera.size_wh[0], 0]])
    furthest = np.linalg.norm((corner - camera.K[:2, 2]) / np.diag(camera.K)[:2], axis=1).max()
    straight = np.zeros((2, 1, 400))
    straight[0] = np.linspace(0.01, 4 * furthest, 400)
    distort = _fisheye if _kind(camera) == "fisheye" else _brown
    bent, slope = distort(straight, _coefficients([camera]))
    # Beyond where it turns back, the model means nothing.
    end = np.argmax(np.append((slope[0, 0, 0] <= 0) | (bent[0, 0] > 1.05 * furthest), True))
    r, length = straight[0, 0, :end], bent[0, 0, :end]
    if end <= 2 * _DEGREE:
        return np.eye(1, _DEGREE + 1)[0]
    coefficients: np.ndarray = np.linalg.lstsq((length**2)[:, None] ** np.arange(_DEGREE + 1), r / length, None)[0]
    return coefficients


def _undistorted(target: np.ndarray, group: _Group, focal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the lenses turn into (2, V, M), and the derivative of that, (2, 2, V, M)."""
    distort, coefficients = _fisheye if group.kind == "fisheye" else _brown, group.coefficients
    square = target[0] * target[0] + target[1] * target[1]
    grown = group.start[-1] * square
    for power in group.start[-2:0:-1]:
        grown += power
        grown *= square
    grown += group.start[0]
    xy, slope, far = _step(target * grown, target, distort, coefficients, focal)
    # The few that are not there yet, such as pixels outside the image, go the whole way.
    v, m = np.nonzero(far)
    if len(v):
        aim, lens, scale = target[:, v, m], coefficients[:, v, 0], focal[:, v, 0]
        few = aim.copy()
        for _ in range(_STEPS):
            few, bent, going = _step(few, aim, distort, lens, scale)
            if not going.any():
                break
        xy[:, v, m], slope[:, :, v, m] = np.where(going, np.nan, few), bent
    return xy, slope


def _step(
    xy: np.ndarray, target: np.ndarray, distort: Distort, coefficients: np.ndarray, focal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one Newton step from xy, the derivative there, and where another step is needed."""
    at, slope = distort(xy, coefficients)
    off = np.subtract(target, at, out=at)
    off /= np.fmax(slope[0, 0] * slope[1, 1] - slope[0, 1] * slope[1, 0], 0.01)
    xy[0] += slope[1, 1] * off[0] - slope[0, 1] * off[1]
    xy[1] += slope[0, 0] * off[1] - slope[1, 0] * off[0]
    off *= focal
    far = np.abs(off, out=off).max(axis=0) >= _SMALL_STEP
    # Far out, some models turn back: what is found there is not what the lens saw.
    far |= slope[0, 0] + slope[1, 1] <= 0
    return xy, slope, far


def _brown(xy: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _fisheye(xy: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
