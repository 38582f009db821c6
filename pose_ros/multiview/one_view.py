# SPDX-License-Identifier: Apache-2.0
"""One view: how far away keypoints are that one camera sees, by the lengths of the limbs between them.

A camera knows directions. Each keypoint that it sees alone may lie anywhere along its ray, more or less near to where
it was expected; limbs of known lengths say which of these places fit together, from keypoint to keypoint (Taylor,
"Reconstruction of articulated objects from point correspondences in a single uncalibrated image", CVIU 2000), and how
large a subject looks says how far away it is altogether. It is the update of an iterated extended Kalman filter (Bell
and Cathey 1993) with one number for each keypoint, its depth, and one measurement for each limb.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.limbs import limbs
from pose_ros.core.skeleton import Skeleton

#: How well a length is known at best: as a part of it, and metres.
_LENGTH, _LEAST_M = 0.03, 0.003
#: How far a keypoint may stray from where its subject is thought to be beside the others, metres.
_STRAYS_M = 0.2
#: A limb whose length is off by more than this many standard deviations is a mistake, and says nothing.
_MISTAKE = 4.0
#: Rounds, and the longest step along a ray in each of them, metres.
_ROUNDS, _STEP_M = 4, 0.15
#: Whether a limb leans towards the camera or away from it looks the same. How likely the wrong one is in the long run,
#: which is less than chance, as some lean far and turn little; and after how many seconds that is so.
_FLIPPED, _FLIPS_S = 0.3, 0.5


@lru_cache(maxsize=64)
def held(skeleton: Skeleton) -> np.ndarray:
    """Return pairs of keypoints (L, 2) whose distance stays about the same: limbs, trunks, and heads on shoulders."""
    pairs = {*map(tuple, limbs(skeleton).ends.tolist()), *(tuple(sorted(edge)) for edge in skeleton.edges)}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


@lru_cache(maxsize=64)
def hinges(skeleton: Skeleton) -> np.ndarray:
    """Return which keypoints a pair of :func:`held` alone joins to the rest, (L, K) 0 or 1; none if it is in a ring."""
    ends, k = held(skeleton), len(skeleton)
    moved = np.zeros((len(ends), k))
    for i, (a, b) in enumerate(ends.tolist()):
        one, other = np.delete(ends, i, axis=0).T
        joined = np.eye(k, dtype=np.float32)
        joined[one, other] = joined[other, one] = 1
        for _ in range(k.bit_length()):
            joined = np.minimum(joined @ joined, 1)
        if not joined[a, b]:
            moved[i] = joined[min(a, b, key=lambda end: joined[end].sum())]
    return moved


def by_limbs(
    skeleton: Skeleton, points: np.ndarray, covariances: np.ndarray, loose: np.ndarray, age_s: np.ndarray,
    speed: float, lengths: np.ndarray, variances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Move keypoints in the direction in which they are known least to where limbs have their lengths.

    Args:
        skeleton: With K keypoints and L pairs that are :func:`held`.
        points: (N, K, 3) metres; NaN where unknown.
        covariances: (N, K, 3, 3) square metres.
        loose: (N, K) bool: those that may be moved; others hold them.
        age_s: (N, K) seconds for which the loose ones were loose.
        speed: How fast they stray, metres per second.
        lengths: (N, L) metres; NaN where not known.
        variances: (N, L) square metres, how much they differed.

    Returns:
        (N, K, 3) and (N, K, 3, 3): points and covariances with what the lengths say.
    """
    ends, (n, k) = held(skeleton), points.shape[:2]
    there = np.isfinite(points).all(axis=2) & np.isfinite(covariances).all(axis=(2, 3))
    loose = loose & there
    use = np.isfinite(lengths) & there[:, ends].all(axis=2) & loose[:, ends].any(axis=2)
    if not use.any():
        return points, covariances
    # What is not known of a loose keypoint: a depth along a ray, and a rest across.
    rest = np.where(there[..., None, None], covariances, 0.0)
    spread, axes = np.linalg.eigh(rest[loose])
    deep, rays = np.zeros((n, k)), np.zeros((n, k, 3))
    deep[loose], rays[loose] = np.sqrt(spread[:, 2]), axes[:, :, 2]
    towards = rays[np.arange(n), loose.argmax(axis=1)]
    rays *= np.where(np.einsum("nki,ni->nk", rays, towards) < 0, -1, 1)[..., None]
    rest = rest - np.square(deep)[..., None, None] * rays[..., :, None] * rays[..., None, :]
    # (N, K, K): the error of the depth of a subject is that of its keypoints, too.
    own = np.square(_STRAYS_M * np.tanh(speed * age_s / _STRAYS_M))
    common = rays * np.sqrt(np.fmax(np.square(deep) - own, 0))[..., None]
    prior = common @ common.swapaxes(1, 2)
    prior[:, np.arange(k), np.arange(k)] = np.square(deep)

    start, goal = np.where(there[..., None], points, 0.0), np.where(use, lengths, 0.0)
    each, depth = np.arange(len(ends)), np.zeros((n, k))
    for i in range(_ROUNDS):
        fit = start + depth[..., None] * rays
        along = fit[:, ends[:, 0]] - fit[:, ends[:, 1]]
        size = np.linalg.norm(along, axis=2)
        along /= np.fmax(size, 1e-6)[..., None]
        slopes = np.zeros((n, len(ends), k))
        slopes[:, each, ends[:, 0]] = np.einsum("nli,nli->nl", along, rays[:, ends[:, 0]])
        slopes[:, each, ends[:, 1]] = -np.einsum("nli,nli->nl", along, rays[:, ends[:, 1]])
        reach = slopes @ prior
        noise = np.fmax(np.square(np.fmax(_LENGTH * goal, _LEAST_M)), variances)
        noise += np.einsum("nli,nlij,nlj->nl", along, rest[:, ends[:, 0]] + rest[:, ends[:, 1]], along)
        if i == 0:
            sure = noise + np.einsum("nlk,nlk->nl", reach, slopes)
            use &= np.square(goal - size) <= _MISTAKE**2 * sure
        off = use * (goal - size + np.einsum("nlk,nk->nl", slopes, depth))
        slopes, reach = slopes * use[..., None], reach * use[..., None]
        total = reach @ slopes.swapaxes(1, 2)
        total[:, each, each] += noise
        gain = np.linalg.solve(total, np.concatenate([off[..., None], reach], axis=2))
        step = np.einsum("nlk,nl->nk", reach, gain[..., 0]) - depth
        depth = depth + np.clip(step, -_STEP_M, _STEP_M)
    left = np.fmax(np.square(deep) - np.einsum("nlk,nlk->nk", reach, gain[..., 1:]), 0)
    # A limb that leans the other way carries along what hangs on it.
    lean = use * size * np.einsum("nli,nli->nl", along, rays[:, ends].mean(axis=2))
    left += _FLIPPED * (1 - np.exp(-age_s / _FLIPS_S)) * (np.square(2 * lean) @ hinges(skeleton))
    fit = np.where(loose[..., None], start + depth[..., None] * rays, points)
    known = rest + left[..., None, None] * rays[..., :, None] * rays[..., None, :]
    return fit, np.where(loose[..., None, None], known, covariances)
