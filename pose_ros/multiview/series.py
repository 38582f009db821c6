# SPDX-License-Identifier: Apache-2.0
"""Series: undo most lenses at once, by polynomials that are fitted once for each camera.

With s the squared length of a bent ray (x, y), and every letter a polynomial in s, the straight ray is
``(x, y) (a + b x + c y) + (d, e)``: what undoes radial, tangential and prism distortion, to first order in the latter
two. The derivative of the pixel by it is ``[[f + g x x, g x y], [h x y, i + h y y]]``.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview.distortion import coefficients, distortion, furthest, kind

#: A series may be off by so many pixels inside of the image, and its derivative by such a part of the focal length.
_EXACT, _EXACT_SLOPE = 0.02, 0.01
#: Degree of the polynomials.
_DEGREE = 7
#: They are fitted as far out as the corners of the image, times this: some keypoints are placed outside.
_MARGIN = 1.15
#: So many radii and directions to fit them to.
_RADII, _DIRECTIONS = 30, 8


@functools.lru_cache(256)
def fitted(camera: Camera) -> tuple[np.ndarray, float] | None:
    """Return the polynomials (9, degree + 1), and to which s they hold; None where a series is not exact enough."""
    series = np.zeros((9, _DEGREE + 1))
    focal = np.diag(camera.K)[:2]
    if camera.ideal:
        series[0, 0], series[[5, 8], 0] = 1, focal
        return series, np.inf
    if kind(camera) == "tilted":
        return None
    radii, corner = np.linspace(0.01, 4 * furthest(camera), 400), furthest(camera)
    straight, bent, slope = _bent(camera, radii)
    # Beyond where it turns back, the model means nothing.
    outside = (np.linalg.norm(bent, axis=0) > _MARGIN * corner) | (slope[0, 0] + slope[1, 1] <= 0)
    end = np.argmax(np.append(outside.any(axis=1), True))
    if not end:
        return None
    # More of them towards the end, where a polynomial would leave them.
    radii = radii[end - 1] * np.sin(np.linspace(0, np.pi / 2, _RADII + 1)[1:])
    straight, bent, slope = _bent(camera, radii)
    square = (bent * bent).sum(axis=0)
    scale = square.max() ** np.arange(_DEGREE + 1)
    powers = square[..., None] ** np.arange(_DEGREE + 1) / scale
    one, none = np.ones_like(square), np.zeros_like(square)
    x, y = bent
    xx, xy, yy = x * x, x * y, y * y
    for rows, columns, values in (
        (slice(0, 5), [[x, xx, xy, one, none], [y, xy, yy, none, one]], straight),
        (slice(5, 7), [[one, xx], [none, xy]], slope[0] * focal[0]),
        (slice(7, 9), [[xy, none], [yy, one]], slope[1] * focal[1]),
    ):
        system = np.moveaxis(np.array(columns), 1, -1)[..., None] * powers[..., None, :]
        system = system.reshape(2 * x.size, -1)
        found = np.linalg.solve(system.T @ system, system.T @ values.ravel())
        series[rows] = found.reshape(-1, _DEGREE + 1) / scale
    made, derivative, _ = undone(bent.astype(np.float32)[:, None].reshape(2, 1, -1), series[None].astype(np.float32))
    off = made.reshape(bent.shape) - straight
    pixels = np.linalg.norm(np.einsum("ij...,j...->i...", slope, off) * focal[:, None, None], axis=0)
    tilt = np.abs(derivative.reshape(slope.shape) / focal[:, None, None, None] - slope).max(axis=(0, 1))
    fine = np.append((pixels < _EXACT).all(axis=1) & (tilt < _EXACT_SLOPE).all(axis=1), False)
    reach = square[: fine.argmin()].min(axis=1)
    return (series, float(reach[-1])) if len(reach) and reach[-1] > corner**2 else None


def _bent(camera: Camera, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rays at R radii in A directions (2, R, A), what the lens makes of them, and the derivative of that."""
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    straight = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)])[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        return straight, *distortion(kind(camera))(straight, coefficients([camera]))


def undone(bent: np.ndarray, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what lenses turn into bent rays (2, V, M), the derivative of the pixels by it (2, 2, V, M), and s (V, M).

    Args:
        bent: (2, V, M) float32.
        series: (V, 9, degree + 1) float32.
    """
    x, y = bent
    xx, xy, yy = x * x, x * y, y * y
    powers = np.empty((series.shape[2], *x.shape), x.dtype)
    powers[0] = 1
    square = np.add(xx, yy, out=powers[1])
    for lower, power in itertools.pairwise(powers[1:]):
        np.multiply(lower, square, out=power)
    terms = np.empty((9, *x.shape), x.dtype)
    np.matmul(series, powers.transpose(1, 0, 2), out=terms.transpose(1, 0, 2))
    grown, rightwards, down, *_ = terms
    rightwards *= x
    down *= y
    grown += rightwards
    grown += down
    straight = bent * grown
    straight += terms[3:5]
    # In place of terms 5 to 8, of which the middle two are multiplied by x y.
    slope = terms[5:].reshape(2, 2, *x.shape)
    across, along = terms[6] * xx, terms[7] * yy
    across += terms[5]
    along += terms[8]
    slope[0, 0], slope[1, 1] = across, along
    terms[6:8] *= xy
    return straight, slope, square
