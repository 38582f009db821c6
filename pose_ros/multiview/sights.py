# SPDX-License-Identifier: Apache-2.0
"""Sights: what cameras saw of points, as equations, and their solution.

Every sight of a point gives two linear equations in its position, in pixels times depth. Their squares are a form of
six numbers in the camera's own coordinates, and so the 3 x 3 normal equations of all points are one product of a
constant matrix, which moves the forms of all cameras to the world, with what the sights weigh times their forms.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview import lens
from pose_ros.multiview.rig import Rig

#: Depth below which a point weighs no more, metres; what is nearer to a camera is its own housing.
_NEAREST = 0.05
#: Rays are parallel if the determinant is less than this part of the cube of the trace; those that meet at a tenth of a
#: degree are. What is left of single precision there is worth more than pixels with noise are.
_FLATTEST = 4e-7
#: The upper half of a symmetric matrix: xx xy xz yy yz zz; and the matrix of it.
_UPPER = np.triu_indices(3)
SYMMETRIC = [0, 1, 2, 1, 3, 4, 2, 4, 5]

# The C library hands freed memory back to the system, to ask for it again at once, until it has freed one large piece:
# then it keeps twice as much. This halves the time of everything below in a process that sees no images.
np.empty(16 << 20, np.uint8)


class Stand(NamedTuple):
    """Where V cameras stand, seen from their middle: near it, rounding matters least."""

    cameras: tuple[Camera, ...]
    #: (3,), metres in the world.
    origin: np.ndarray
    #: (3, V), metres from there.
    centres: np.ndarray
    #: (3 V, 4): from a point (x, y, z, 1) to x of all cameras, y of all, z of all, in their optical frames.
    pose: np.ndarray
    #: (V, 9, 6): from the form of a sight to its normal equations.
    moved: np.ndarray
    #: (9, 6 V): the same for the sum of all.
    summed: np.ndarray

    @classmethod
    @functools.lru_cache(16)
    def of(cls, rig: Rig) -> Stand:
        """Return what does not change from one call to the next."""
        origin = np.mean([camera.centre for camera in rig], axis=0)
        centres = np.array([camera.centre - origin for camera in rig]).T
        rotations = np.array([camera.rotation for camera in rig])
        offsets = np.array([camera.translation for camera in rig]) + rotations @ origin
        pose = np.concatenate([rotations, offsets[:, :, None]], axis=2)
        # (6, 3, 3): the form of which each number is one.
        forms = np.zeros((6, 3, 3))
        forms[np.arange(6), _UPPER[0], _UPPER[1]] = forms[np.arange(6), _UPPER[1], _UPPER[0]] = 1
        whole = np.einsum("vai,kab,vbj->vkij", rotations, forms, pose)
        moved = np.concatenate([whole[:, :, _UPPER[0], _UPPER[1]], -whole[..., 3]], axis=2).transpose(0, 2, 1)
        summed = moved.transpose(1, 2, 0).reshape(9, -1)
        pose = pose.transpose(1, 0, 2).reshape(-1, 4)
        centres, pose, moved, summed = (np.ascontiguousarray(a, np.float32) for a in (centres, pose, moved, summed))
        return cls(tuple(camera.camera for camera in rig), origin, centres, pose, moved, summed)


class Sights(NamedTuple):
    """What V cameras saw of M points."""

    stand: Stand
    #: (2, V, M): x / z and y / z in the optical frames; 0 where nothing was seen.
    rays: np.ndarray
    #: (6, V, M): squared pixels times depth as a form xx xy xz yy yz zz in those frames; 0 where nothing was seen.
    forms: np.ndarray
    #: (V, M): 1 / variance, square pixels; 0 where nothing was seen.
    weights: np.ndarray

    @classmethod
    def make(cls, rig: Rig, pixels: np.ndarray, scores: np.ndarray, noise: np.ndarray | float, least: float) -> Sights:
        """Return the sights of pixels (V, M, 2), with scores (V, M) of ``least``, and more than 0."""
        stand = Stand.of(rig)
        rays, slope = lens.rays(stand.cameras, pixels)
        weights = (scores / np.square(noise)).astype(np.float32)
        # Indices of the few are faster than a mask of all.
        lost = np.flatnonzero(~((scores >= least) & (scores > 0) & np.isfinite(rays[0])))
        for array in (rays, slope, weights):
            array.reshape(*array.shape[:-2], weights.size)[..., lost] = 0
        # With p the ray and J how the pixel moves with it, pixels times depth are [J | -J p] (x, y, z).
        (a, b), (c, d) = slope
        forms = np.empty((6, *weights.shape), np.float32)
        xx, xy, xz, yy, yz, zz = forms
        np.multiply(a, a, out=xx)
        xx += c * c
        np.multiply(a, b, out=xy)
        xy += c * d
        np.multiply(b, b, out=yy)
        yy += d * d
        x, y = np.negative(rays)
        np.multiply(xx, x, out=xz)
        xz += xy * y
        np.multiply(xy, x, out=yz)
        yz += yy * y
        np.multiply(xz, x, out=zz)
        zz += yz * y
        return cls(stand, rays, forms, weights)

    def of(self, points: np.ndarray) -> Sights:
        """Return the sights of some points."""
        return self._replace(
            rays=self.rays.take(points, axis=2), forms=self.forms.take(points, axis=2),
            weights=self.weights.take(points, axis=1),
        )  # fmt: skip

    def sum(self, weights: np.ndarray) -> np.ndarray:
        """Return the normal equations of the weighted views (V, M): (9, M), the matrix xx xy xz yy yz zz, the right."""
        total: np.ndarray = self.stand.summed @ (self.forms * weights).reshape(self.stand.summed.shape[1], -1)
        return total

    def terms(self, weights: np.ndarray) -> np.ndarray:
        """Return what each view adds to those, (9, V, M)."""
        terms = np.empty((9, *weights.shape), np.float32)
        np.matmul(self.stand.moved, (self.forms * weights).transpose(1, 0, 2), out=terms.transpose(1, 0, 2))
        return terms

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Return how deep points (4, M) lie before the cameras, (V, M)."""
        deep: np.ndarray = self.stand.pose[-len(self.weights) :] @ points
        return deep

    def residuals(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far the sights are from points: (4, P, M) or (4, M) -> square pixels (V, P, M).

        And (3, V, P, M): where the points are in the optical frames.
        """
        views = len(self.weights)
        at = (self.stand.pose @ points.reshape(4, -1)).reshape(3, views, *points.shape[1:])
        rays, (xx, xy, _, yy, _, _) = self.rays, self.forms
        if points.ndim == 3:
            rays, xx, xy, yy = (array[..., None, :] for array in (rays, xx, xy, yy))
        off = rays * at[2]
        x, y = np.subtract(at[:2], off, out=off)
        squares = xy * y
        squares += squares
        squares += xx * x
        squares *= x
        y *= y
        y *= yy
        squares += y
        squares /= at[2] * at[2]
        return squares, at


def count(views: np.ndarray) -> np.ndarray:
    """Return how many are true along the first axis, of 255 at most: far faster than ``sum``, which counts to 2^63."""
    counted: np.ndarray = np.add.reduce(views.view(np.uint8), axis=0, dtype=np.uint8)
    return counted


def nearness(depth: np.ndarray) -> np.ndarray:
    """Return the square of a depth by which sights are divided so that their residuals are pixels."""
    return np.square(np.fmax(depth, _NEAREST))


def solve(total: np.ndarray) -> np.ndarray:
    """Solve symmetric 3 x 3 systems (9, ...), L D L': (x, y, z, 1), where rays are parallel (NaN, NaN, NaN, 1)."""
    a, b, c, d, _, f, x, _, _ = total
    points = np.empty((4, *a.shape), a.dtype)
    points[3] = 1
    # L, and the rest of D; then the same of the right side.
    low = total[1:3] / a
    second, mixed = total[3:5] - b * low
    lowest = mixed / second
    third = f - c * low[1]
    third -= mixed * lowest
    y, z = total[7:] - x * low
    z -= lowest * y
    trace = a + d
    trace += f
    flat = trace * trace
    flat *= trace
    flat *= _FLATTEST
    determinant = a * second
    determinant *= third
    # Of a single ray it is zero, but for rounding.
    np.divide(z, np.where(determinant > flat, third, np.nan), out=points[2])
    y -= mixed * points[2]
    np.divide(y, second, out=points[1])
    known = total[1:3] * points[1:3]
    known = np.subtract(x, known[0], out=known[0]) - known[1]
    np.divide(known, a, out=points[0])
    return points


def inverse(total: np.ndarray) -> np.ndarray:
    """Return the inverses of the matrices of symmetric systems (9, ...), (6, ...: xx xy xz yy yz zz)."""
    a, b, c, d, e, f = total[:6]
    found = np.empty((6, *a.shape), a.dtype)
    found[0], found[1], found[2] = d * f - e * e, c * e - b * f, b * e - c * d
    found[3], found[4], found[5] = a * f - c * c, b * c - a * e, a * d - b * b
    found /= a * found[0] + b * found[1] + c * found[2]
    return found
