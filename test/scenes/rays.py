# SPDX-License-Identifier: Apache-2.0
"""Rays against capsules: what a camera sees first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes import body
from scenes.people import Truth


@dataclass(frozen=True, eq=False)
class Capsules:
    """C balls swept along line segments; a ball alone has both ends in one place."""

    #: (..., C, 3) metres.
    a: np.ndarray
    b: np.ndarray
    #: (C,) metres.
    radii: np.ndarray
    #: (C,) int: index of the person, -1 for things.
    owners: np.ndarray

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> Capsules:
        """Return them in another frame, ``x = rotation @ x + translation``."""
        return Capsules(self.a @ rotation.T + translation, self.b @ rotation.T + translation, self.radii, self.owners)

    def at(self, moments: np.ndarray) -> Capsules:
        """Return them at some moments, which are the first axis of the ends."""
        return Capsules(self.a[moments], self.b[moments], self.radii, self.owners)


#: A thing that stands in the way: two ends and a radius, metres in the world.
Thing = tuple[tuple[float, float, float], tuple[float, float, float], float]


def pillar(x: float, y: float, radius: float = 0.25, height: float = 2.5) -> Thing:
    """Return a pillar on the floor."""
    return (x, y, 0.0), (x, y, height), radius


def capsules(truth: Truth, things: tuple[Thing, ...] = ()) -> Capsules:
    """Return the bodies of all people and the things at all T moments, ends (T, C, 3)."""
    t, n = truth.model.shape[:2]
    ends = truth.model[:, :, body.CAPSULES].reshape(t, -1, 2, 3)
    own = np.array([thing[:2] for thing in things], np.float64).reshape(1, -1, 2, 3).repeat(t, axis=0)
    both = np.concatenate([ends, own], axis=1)
    radii = np.concatenate([np.outer(truth.heights_m, body.RADII).ravel(), [thing[2] for thing in things]])
    owners = np.concatenate([np.repeat(np.arange(n), len(body.RADII)), np.full(len(things), -1)]).astype(int)
    return Capsules(both[:, :, 0], both[:, :, 1], radii, owners)


def enter(rays: np.ndarray, a: np.ndarray, b: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return where rays from the origin enter capsules, in lengths of the ray; NaN where they miss.

    The cylinder's equation, then the ball at the end that the ray passes.

    Args:
        rays: (..., 3).
        a: (..., 3) that broadcasts with ``rays``.
        b: Like a.
        radius: (...,).
    """
    axis = b - a
    with np.errstate(invalid="ignore", divide="ignore"):
        length, along, square = _dot(axis, axis), _dot(axis, rays), _dot(rays, rays)
        start, near = -_dot(axis, a), -_dot(rays, a)
        qa = length * square - along**2
        qb = length * near - start * along
        qc = length * _dot(a, a) - start**2 - radius**2 * length
        t = (-qb - np.sqrt(qb**2 - qa * qc)) / qa
        y = start + t * along
        side = (y > 0) & (y < length)
        # Whoever misses the endless cylinder misses the balls in it; a ray along the axis meets a ball only.
        misses = (qb**2 < qa * qc) & (qa > 1e-12)
        balls = np.minimum(_ball(rays, square, a, radius), np.inf), np.minimum(_ball(rays, square, b, radius), np.inf)
        t = np.where(side, t, np.fmin(*balls))
    return np.where(misses | ~(t > 0), np.nan, t)


def _dot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray((u * v).sum(axis=-1))


def _ball(rays: np.ndarray, square: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    near = _dot(rays, centre)
    return (near - np.sqrt(near**2 - square * (_dot(centre, centre) - radius**2))) / square


def distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how far points (..., 3) are from the line segments a - b."""
    axis = b - a
    length = np.maximum((axis**2).sum(axis=-1), 1e-12)
    s = np.clip(((points - a) * axis).sum(axis=-1) / length, 0, 1)
    return np.linalg.norm(points - a - s[..., None] * axis, axis=-1)


def hidden(points: np.ndarray, bodies: Capsules) -> np.ndarray:
    """Return whether each point is behind flesh that it is not itself in, seen from the origin.

    Args:
        points: (..., N, K, 3) in the optical frame.
        bodies: Ends (..., C, 3) in the same frame.

    Returns:
        (..., N, K) bool.
    """
    rays, a, b = points[..., None, :], bodies.a[..., None, None, :, :], bodies.b[..., None, None, :, :]
    t = enter(rays, a, b, bodies.radii)
    with np.errstate(invalid="ignore"):
        return np.any((t < 1) & (distance(rays, a, b) > bodies.radii), axis=-1)
