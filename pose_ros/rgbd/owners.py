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

#: A surface is another one's when it is so much nearer to him, in reaches.
_MARGIN = 0.15
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


def claims(rays: np.ndarray, z: np.ndarray, body: np.ndarray, sure: np.ndarray, skeleton: Skeleton) -> Claims:
    """Return which surfaces are those of another subject.

    Where limbs are is told by the nearest surfaces of their ends, unless these lie too far from one another.

    Args:
        rays: (N, K, 3), z is 1.
        z: (N, K, C) metres, where the keypoint would be on each surface, nearest first; NaN where there is none.
        body: (N,) metres, depth of each subject.
        sure: (N, K) bool, keypoints that tell how far away their subject is.
        skeleton: Of all.
    """
    n, k, count = z.shape
    ends, radii, longest = flesh(skeleton)
    foreign = np.zeros(z.shape, bool)
    if n < 2 or not len(ends):
        return Claims(foreign, body)
    place = rays * z[..., :1]
    start = place[:, ends[:, 0]]
    axis = place[:, ends[:, 1]] - start
    square = np.einsum("nli,nli->nl", axis, axis)
    square[~(square <= longest**2)] = np.nan
    row, keypoint, surface, other = _around(rays, z, start, axis, np.isfinite(square), radii.max())
    if not len(row):
        return Claims(foreign, body)
    at = z[row, keypoint, surface]
    beside = (rays[row, keypoint] * at[:, None])[:, None] - start[other]
    along = np.clip(np.einsum("qli,qli->ql", beside, axis[other]) / np.maximum(square[other], 1e-12), 0, 1)
    beside -= along[..., None] * axis[other]
    inside = np.einsum("qli,qli->ql", beside, beside) < radii**2
    some = inside.any(axis=1)
    if not some.any():
        return Claims(foreign, body)
    row, keypoint, surface, other, at, along, inside = (
        x[some] for x in (row, keypoint, surface, other, at, along, inside)
    )
    contested = foreign.copy()
    contested[row, keypoint, surface] = True
    body = _bodies(z, contested, body, sure, np.sqrt(square), (row, other), skeleton.subject == "person")
    reach = reaches(skeleton)
    theirs = np.where(inside, (1 - along) * reach[ends[:, 0]] + along * reach[ends[:, 1]], 0).max(axis=1)
    lost = np.abs(at - body[row]) / reach[keypoint] > np.abs(at - body[other]) / theirs + _MARGIN
    foreign[row[lost], keypoint[lost], surface[lost]] = True
    return Claims(foreign, body)


def _around(
    rays: np.ndarray, z: np.ndarray, start: np.ndarray, axis: np.ndarray, there: np.ndarray, room: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return subject, keypoint and surface, and other subject, of all surfaces in the box that the other one fills."""
    both = np.where(np.tile(there, 2)[..., None], np.concatenate([start, start + axis], axis=1), np.nan)
    low, high = np.fmin.reduce(both, axis=1) - room, np.fmax.reduce(both, axis=1) + room
    row, keypoint, surface = np.nonzero(np.isfinite(z))
    points = rays[row, keypoint] * z[row, keypoint, surface][:, None]
    near = row[:, None] != np.arange(len(z))
    for i in range(3):
        near &= (points[:, i, None] > low[:, i]) & (points[:, i, None] < high[:, i])
    which, other = np.nonzero(near)
    return row[which], keypoint[which], surface[which], other


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
