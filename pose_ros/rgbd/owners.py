# SPDX-License-Identifier: Apache-2.0
"""Depth owners: whose surface it is that a keypoint is seen on, where several subjects are in one part of the image.

A network may be sure of keypoints that somebody else hides; the surface at their pixels is that of who stands before
them. A surface in the flesh around another one's limbs is his when it is nearer to his trunk than to one's own, in
parts of how far from a trunk such keypoints reach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.rgbd.parts import flesh, reaches

#: A surface that is another one's is nearer to him by so many metres: hands that meet are in one place, and whoever is
#: found twice is nobody else.
_MARGIN = 0.1
#: Whoever looks larger than this, beside somebody at the same place, is the same one found twice.
_SMALLER = 0.9
#: So many keypoints on nobody else's surface tell how far away a subject is.
_FREE = 3


class Claims(NamedTuple):
    """Whose surfaces there are."""

    #: (N, K, C) bool: it is another subject's.
    foreign: np.ndarray
    #: (N,) metres, depth of each subject, without what others hide of him.
    body: np.ndarray


def claims(
    rays: np.ndarray, z: np.ndarray, behind: np.ndarray, body: np.ndarray, sure: np.ndarray, skeleton: Skeleton
) -> Claims:
    """Return which surfaces are those of another subject.

    Where limbs are is told by the nearest surfaces of their ends, unless these lie too far from one another.

    Args:
        rays: (N, K, 3), z is 1.
        z: (N, K, C) metres, where the keypoint would be on each surface, nearest first; NaN where there is none.
        behind: (N, K) metres of that from the surface to the keypoint.
        body: (N,) metres, depth of each subject.
        sure: (N, K) bool, keypoints that tell how far away their subject is.
        skeleton: Of all.
    """
    ends, radii, longest = flesh(skeleton)
    foreign = np.zeros(z.shape, bool)
    if len(z) < 2 or not len(ends):
        return Claims(foreign, body)
    place = (rays * z[..., :1]).astype(np.float32)
    start = place[:, ends[:, 0]]
    axis = place[:, ends[:, 1]] - start
    square = np.einsum("nli,nli->nl", axis, axis)
    square[~(square <= longest**2)] = np.nan
    row, keypoint, surface, other, points = _around(rays, z, start, axis, np.isfinite(square), radii.max())
    # Distances by products of vectors, without the vectors from each axis to each point: (Q, L).
    ahead, beside = _products(points, np.stack([axis, start]), other)
    ahead -= np.einsum("nli,nli->nl", start, axis)[other]
    length2 = np.maximum(square, 1e-9)[other]
    along = np.clip(ahead / length2, 0, 1)
    off2 = np.einsum("qi,qi->q", points, points)[:, None] - 2 * beside
    off2 += np.einsum("nli,nli->nl", start, start)[other] + along * (along * length2 - 2 * ahead)
    which, limb = np.nonzero(off2 < radii**2)
    if not len(which):
        return Claims(foreign, body)
    row, keypoint, surface, other, along = row[which], keypoint[which], surface[which], other[which], along[which, limb]
    contested = foreign.copy()
    contested[row, keypoint, surface] = True
    body = _bodies(z, contested, body, sure, np.sqrt(square), (row, other), skeleton.subject == "person")
    at, reach, (a, b) = z[row, keypoint, surface], reaches(skeleton), ends[limb].T
    # A surface that is as far before a trunk as its own skin is not far from it.
    skin = at - behind[row, keypoint] + (1 - along) * behind[other, a] + along * behind[other, b]
    own, theirs = np.abs(at - body[row]), np.abs(skin - body[other])
    lost = own / reach[keypoint] > theirs / ((1 - along) * reach[a] + along * reach[b])
    lost &= own > theirs + _MARGIN
    foreign[row[lost], keypoint[lost], surface[lost]] = True
    return Claims(foreign, body)


def _products(points: np.ndarray, vectors: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (V, Q, L): scalar products of points (Q, 3) with the vectors (V, N, L, 3) of subjects (Q,)."""
    v, n, limbs, _ = vectors.shape
    whole = (points @ vectors.reshape(-1, 3).T).reshape(len(points), v, n, limbs)
    return whole[np.arange(len(points)), :, other].transpose(1, 0, 2)


def _around(
    rays: np.ndarray, z: np.ndarray, start: np.ndarray, axis: np.ndarray, there: np.ndarray, room: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the surfaces in the box that another subject fills: whose, keypoint, surface, other subject, points."""
    both = np.where(np.tile(there, 2)[..., None], np.concatenate([start, start + axis], axis=1), np.nan)
    low, high = (np.fmin.reduce(both, axis=1) - room).T, (np.fmax.reduce(both, axis=1) + room).T
    row, keypoint, surface = np.nonzero(np.isfinite(z))
    points = (rays[row, keypoint] * z[row, keypoint, surface][:, None]).astype(np.float32)
    near = row[:, None] != np.arange(len(z))
    for x, least, most in zip(points.T[..., None], low, high, strict=True):
        near &= (x > least) & (x < most)
    which, other = np.nonzero(near)
    return row[which], keypoint[which], surface[which], other, points[which]


def _bodies(
    z: np.ndarray, contested: np.ndarray, body: np.ndarray, sure: np.ndarray, size: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray], alike: bool,
) -> np.ndarray:
    """Return (N,) metres: how far away each subject is, by what nobody else has a claim to.

    Whoever has nothing of that, and would stand where another one stands, is as much farther away as he looks smaller,
    if all are about as large.
    """
    free = np.sort(np.where(contested[..., 0] | ~sure, np.nan, z[..., 0]), axis=1)
    count = np.isfinite(free).sum(axis=1)
    median = free[np.arange(len(z)), np.maximum(count - 1, 0) // 2]
    out = np.where(count >= _FREE, median, body)
    row, other = pairs
    for i in np.flatnonzero((count < _FREE) & (np.bincount(row, minlength=len(z)) > 0)) if alike else ():
        before = np.bincount(other[row == i]).argmax()
        ratio = size[i] / size[before]
        ratio = np.median(ratio[np.isfinite(ratio)]) if np.isfinite(ratio).any() else 1.0
        if ratio < _SMALLER:
            out[i] = out[before] / ratio
    return out
