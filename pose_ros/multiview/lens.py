# SPDX-License-Identifier: Apache-2.0
"""Lens: the rays of many pixels of many cameras at once, and how pixels move with them.

What :meth:`pose_ros.core.camera.Camera.rays` does for one camera. Where a series is not exact, as of wide lenses and
outside of images, Newton's method undoes the lens: its derivative is needed anyhow, and OpenCV's five rounds leave
whole pixels in the corners of wide lenses.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview import series
from pose_ros.multiview.distortion import Distort, coefficients, distortion, furthest, kind

#: A Newton step of less than this, pixels, is the last: the error that is left goes with its square.
_SMALL_STEP = 1.0
#: Most steps. A pixel that still moves lies where the lens model has no ray.
_STEPS = 5
#: Degree, in squares of the radius, of the polynomial from which the steps start.
_DEGREE = 4


class _Group(NamedTuple):
    """Cameras whose lenses are undone alike."""

    #: ``brown``, ``fisheye``, or ``tilted``, which is brown before a tilt; whether no series does.
    kind: str
    whole: bool
    #: Which of all they are.
    rows: np.ndarray
    cameras: list[Camera]
    #: (12, V, 1)
    coefficients: np.ndarray
    #: (degree + 1, V, 1)
    start: np.ndarray


class _Lenses(NamedTuple):
    """What does not change from one call to the next, of V cameras."""

    #: (2, V, 1): focal lengths and principal points.
    focal: np.ndarray
    middle: np.ndarray
    #: (V, 9, degree + 1), and to which squared length of a ray it holds, (V, 1); None where it does for no camera.
    series: np.ndarray | None
    reach: np.ndarray
    groups: list[_Group]

    @classmethod
    @functools.lru_cache(16)
    def of(cls, cameras: tuple[Camera, ...]) -> _Lenses:
        """Return those of cameras."""
        focal = np.array([np.diag(camera.K)[:2] for camera in cameras], np.float32).T[:, :, None]
        middle = np.array([camera.K[:2, 2] for camera in cameras]).T[:, :, None]
        fitted = [series.fitted(camera) for camera in cameras]
        kinds = [(kind(camera), one is None) for camera, one in zip(cameras, fitted, strict=True)]
        groups = []
        for name, whole in sorted(set(kinds) - {("", False)}):
            rows = np.array([i for i, own in enumerate(kinds) if own == (name, whole)])
            chosen = [cameras[i] for i in rows]
            start = np.array([_start(camera) for camera in chosen], np.float32).T[:, :, None]
            groups.append(_Group(name, whole, rows, chosen, coefficients(chosen).astype(np.float32), start))
        some = next((one[0] for one in fitted if one is not None), None)
        reach = np.array([[np.inf if one is None else one[1]] for one in fitted], np.float32)
        if some is not None:
            some = np.array([some * 0 if one is None else one[0] for one in fitted], np.float32)
        return cls(focal, middle, some, reach, groups)


def rays(cameras: Sequence[Camera], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return directions and derivatives, float32.

    Args:
        cameras: V of them.
        pixels: (V, M, 2) as they came from the image, with distortion; NaN where there is none.

    Returns:
        (2, V, M): x / z and y / z in each camera's optical frame, within a fiftieth of a pixel, NaN where there is
        none; and (2, 2, V, M): derivative of the pixel (u, v) by them. The tilt of a sensor is left out of that.
    """
    lenses = _Lenses.of(tuple(cameras))
    focal, groups = lenses.focal, lenses.groups
    bent = np.empty((2, *pixels.shape[:2]), np.float32)
    np.subtract(pixels.transpose(2, 0, 1), lenses.middle, out=bent, casting="same_kind")
    bent /= focal
    if lenses.series is None:
        xy, slope = np.empty_like(bent), np.empty((2, *bent.shape), np.float32)
    else:
        xy, slope, square = series.undone(bent, lenses.series)
        far = square > lenses.reach
        groups = groups if far.any() else [group for group in groups if group.whole]
    for group in groups:
        rows = group.rows
        if not group.whole:
            v, m = np.nonzero(far[rows])
            place, scale = rows[v], focal[:, rows[v], 0]
            xy[:, place, m], own = _newton(
                bent[:, place, m], distortion(group.kind), group.coefficients[:, v, 0], scale
            )  # fmt: skip
            slope[:, :, place, m] = own * scale[:, None]
            continue
        if group.kind == "tilted":
            # OpenCV sees through the tilt; only the derivative of the rest is left to find.
            seen = zip(group.cameras, pixels[rows], strict=True)
            xy[:, rows] = np.stack([camera.rays(sights)[:, :2].T for camera, sights in seen], axis=1)
            own = distortion("tilted")(xy[:, rows], group.coefficients)[1]
        else:
            xy[:, rows], own = _undistorted(bent[:, rows], group, focal[:, rows])
        slope[:, :, rows] = np.multiply(own, focal[:, None, rows], out=own)
    return xy, slope


def _start(camera: Camera) -> np.ndarray:
    """Return by what to multiply a bent ray to get near the straight one: a polynomial in its squared length."""
    corner = furthest(camera)
    straight = np.zeros((2, 1, 400))
    straight[0] = np.linspace(0.01, 4 * corner, 400)
    bent, slope = distortion(kind(camera))(straight, coefficients([camera]))
    # Beyond where it turns back, the model means nothing.
    end = np.argmax(np.append((slope[0, 0, 0] <= 0) | (bent[0, 0] > 1.05 * corner), True))
    r, length = straight[0, 0, :end], bent[0, 0, :end]
    if end <= 2 * _DEGREE:
        return np.eye(1, _DEGREE + 1)[0]
    polynomial: np.ndarray = np.linalg.lstsq((length**2)[:, None] ** np.arange(_DEGREE + 1), r / length, None)[0]
    return polynomial


def _undistorted(target: np.ndarray, group: _Group, focal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the lenses turn into (2, V, M), and the derivative of that, (2, 2, V, M)."""
    distort = distortion(group.kind)
    square = target[0] * target[0] + target[1] * target[1]
    grown = group.start[-1] * square
    for power in group.start[-2:0:-1]:
        grown += power
        grown *= square
    grown += group.start[0]
    xy, slope, far = _step(target * grown, target, distort, group.coefficients, focal)
    # The few that are not there yet, such as pixels outside the image, go the whole way.
    v, m = np.nonzero(far)
    if len(v):
        xy[:, v, m], slope[:, :, v, m] = _newton(
            target[:, v, m], distort, group.coefficients[:, v, 0], focal[:, v, 0]
        )  # fmt: skip
    return xy, slope


def _newton(
    aim: np.ndarray, distort: Distort, lens: np.ndarray, focal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what lenses (12, F) turn into bent rays (2, F), NaN where nothing is, and the derivative (2, 2, F)."""
    few = aim.copy()
    for _ in range(_STEPS):
        few, slope, going = _step(few, aim, distort, lens, focal)
        if not going.any():
            break
    few[:, going] = np.nan
    return few, slope


def _step(
    xy: np.ndarray, target: np.ndarray, distort: Distort, lens: np.ndarray, focal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one Newton step from xy, the derivative there, and where another step is needed."""
    at, slope = distort(xy, lens)
    off = np.subtract(target, at, out=at)
    off /= np.fmax(slope[0, 0] * slope[1, 1] - slope[0, 1] * slope[1, 0], 0.01)
    xy[0] += slope[1, 1] * off[0] - slope[0, 1] * off[1]
    xy[1] += slope[0, 0] * off[1] - slope[1, 0] * off[0]
    off *= focal
    far = np.abs(off, out=off).max(axis=0) >= _SMALL_STEP
    # Far out, some models turn back: what is found there is not what the lens saw.
    far |= slope[0, 0] + slope[1, 1] <= 0
    return xy, slope, far
