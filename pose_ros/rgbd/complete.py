# SPDX-License-Identifier: Apache-2.0
"""Depth completion: where a keypoint is on its ray, when the other end of its limb and the limb's length are known."""

from __future__ import annotations

import numpy as np

#: Limbs in a row that can be completed: an arm, a leg, or a finger.
_ROUNDS = 3
#: Standard deviation of a known length, as a part of it.
_LENGTH_SIGMA = 0.06
#: What is so near to the surface that is seen there is on it, metres.
_NEAR = 0.12
#: A place that is less likely by what is seen is taken where the other one is so much farther from the body, metres.
_DOUBT = 2.0
#: Part of the places that are wrong though what is seen speaks for them.
_WRONG = 0.1
#: A ray may pass the sphere at this part of its radius, for lack of better pixels.
_MISSES = 0.2


def complete(
    z: np.ndarray, variance: np.ndarray, rays: np.ndarray, shown: np.ndarray, body: np.ndarray,
    ends: np.ndarray, lengths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill depths that are NaN by intersecting rays with spheres around the known ends of limbs.

    A ray meets a sphere twice. What the depth image shows there decides: a place at that surface is likelier than one
    hidden behind it, and one before it would have been seen. Where it shows nothing of use, the place nearer to the
    body's depth is taken. The variance reaches to the other place as far as that may be the right one.

    Args:
        z: (N, K) metres along the optical axis; NaN where wanted.
        variance: (N, K) square metres, of ``z``.
        rays: (N, K, 3), z is 1; NaN where the keypoint was not seen.
        shown: (N, K) metres: where the keypoint would be on the surface that is seen there; NaN where there is none, or
            only the background.
        body: (N,) metres, depth of the subject.
        ends: (L, 2) joined keypoints.
        lengths: (N, L) metres; NaN where unknown.

    Returns:
        ``z`` and ``variance`` with what could be filled.
    """
    a, b = np.concatenate([ends, ends[:, ::-1]]).T
    lengths = np.concatenate([lengths, lengths], axis=1)
    z, variance = z.copy(), variance.copy()
    rows, which = np.nonzero((np.isnan(z) & np.isfinite(rays[..., 0]))[:, b] & np.isfinite(lengths))
    fresh = np.isfinite(z)
    for _ in range(_ROUNDS):
        # What could not be filled from one end cannot be later, so only new ends are looked at.
        wanted = fresh[rows, a[which]] & np.isnan(z[rows, b[which]])
        row, limb = rows[wanted], which[wanted]
        if not len(row):
            break
        start, end = a[limb], b[limb]
        ray, length = rays[row, end], lengths[row, limb]
        norm = np.linalg.norm(ray, axis=1)
        parent = rays[row, start] * z[row, start][:, None]
        along = np.einsum("ij,ij->i", parent, ray) / norm
        off2 = np.einsum("ij,ij->i", parent, parent) - along**2
        half = np.sqrt(np.maximum(length**2 - off2, 0))
        both = np.stack([along - half, along + half]) / norm
        ahead = both - shown[row, end]
        # 0: on that surface, or nothing is known; 1: hidden behind it; 2: before it.
        doubt = np.where(np.isnan(ahead) | (np.abs(ahead) < _NEAR), 0, np.where(ahead > 0, 1, 2))
        pick = (np.abs(both - body[row]) + _DOUBT * doubt + 1e6 * (both <= 0)).argmin(axis=0)
        found, every = both[pick, np.arange(len(row))], np.arange(len(row))
        sure = doubt[pick, every] < doubt[1 - pick, every]
        # The derivative of the half chord with respect to the length, kept finite where the ray touches the sphere.
        error = _LENGTH_SIGMA * length
        slope2 = length**2 / np.maximum(half**2, 2 * length * error)
        other = np.where(sure, _WRONG, 0.25) * (2 * half) ** 2
        spread = variance[row, start] + (slope2 * error**2 + other) / norm**2
        good = (off2 <= ((1 + _MISSES) * length) ** 2) & (found > 0)
        best = np.argsort(-spread[good], kind="stable")
        row, end, found, spread = row[good][best], end[good][best], found[good][best], spread[good][best]
        # Of several limbs that lead to one keypoint the surest is written last.
        z[row, end], variance[row, end] = found, spread
        fresh = np.zeros(z.shape, bool)
        fresh[row, end] = True
    return z, variance
