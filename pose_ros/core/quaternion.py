# SPDX-License-Identifier: Apache-2.0
"""Rotations as ROS writes them: unit quaternions x, y, z, w."""

from __future__ import annotations

import numpy as np


def from_matrices(matrices: np.ndarray) -> np.ndarray:
    """Return the quaternions of rotation matrices, (..., 3, 3) -> (..., 4) with w >= 0; NaN stays NaN.

    Bar-Itzhack (2000): the quaternion is the eigenvector of the largest eigenvalue of a symmetric matrix, which also
    finds the nearest rotation of a matrix that is none quite.
    """
    m = np.asarray(matrices, np.float64)
    k = np.zeros((*m.shape[:-2], 4, 4))
    for i in range(3):
        j, o = (i + 1) % 3, (i + 2) % 3
        k[..., i, i] = m[..., i, i] - m[..., j, j] - m[..., o, o]
        k[..., i, j] = k[..., j, i] = m[..., i, j] + m[..., j, i]
        k[..., i, 3] = k[..., 3, i] = m[..., o, j] - m[..., j, o]
    k[..., 3, 3] = np.trace(m, axis1=-2, axis2=-1)
    known = np.isfinite(m.sum(axis=(-2, -1)))[..., None]
    q = np.linalg.eigh(np.where(known[..., None], k, np.eye(4)))[1][..., -1]
    return np.where(known, np.where(q[..., 3:] < 0, -q, q), np.nan)


def from_rotations(rotations: np.ndarray) -> np.ndarray:
    """Return the quaternions of what is exactly a rotation, (..., 3, 3) -> (..., 4) with w >= 0; NaN stays NaN.

    Sheppard (1978): each of the four numbers gives the three others, and the largest one without loss; several times as
    fast as :func:`from_matrices`.
    """
    m = np.asarray(rotations, np.float64)
    k = (m.reshape(-1, 9) @ _PRODUCTS + _IDENTITY).reshape(-1, 4, 4)
    q = k[np.arange(len(k)), np.einsum("nii->ni", k).argmax(axis=1)]
    q /= np.copysign(np.sqrt(np.einsum("ni,ni->n", q, q)), q[:, 3])[:, None]
    return q.reshape(*m.shape[:-2], 4)


def _products() -> np.ndarray:
    """Return (9, 16): four times the products of a quaternion's numbers, less the identity, from its matrix."""
    k = np.zeros((3, 3, 4, 4))
    for i, j, o in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        k[i, i] = np.diag([1 if axis in (i, 3) else -1 for axis in range(4)])
        k[i, j, i, j] = k[i, j, j, i] = k[j, i, i, j] = k[j, i, j, i] = 1
        k[o, j, i, 3] = k[o, j, 3, i] = 1
        k[j, o, i, 3] = k[j, o, 3, i] = -1
    return k.reshape(9, 16)


_PRODUCTS, _IDENTITY = _products(), np.eye(4).reshape(16)


def to_matrices(quaternions: np.ndarray) -> np.ndarray:
    """Return the rotation matrices of unit quaternions, (..., 4) -> (..., 3, 3); NaN stays NaN."""
    x, y, z, w = np.moveaxis(np.asarray(quaternions, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def slerp(first: np.ndarray, second: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the rotations that lie ``parts`` (...) of the shortest way from ``first`` to ``second``, all (..., 4).

    Shoemake, Animating Rotation with Quaternion Curves (SIGGRAPH 1985).
    """
    dot = (first * second).sum(axis=-1)
    angle = np.arccos(np.minimum(np.abs(dot), 1.0))
    # sin(p a) / sin(a), which is p where both are the same rotation.
    one, other = ((p * np.sinc(p * angle / np.pi) / np.sinc(angle / np.pi))[..., None] for p in (1 - parts, parts))
    return one * first + other * np.where(dot < 0, -1.0, 1.0)[..., None] * second
