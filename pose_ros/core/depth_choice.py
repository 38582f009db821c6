# SPDX-License-Identifier: Apache-2.0
"""Depth choice: which of the surfaces around its keypoints belong to one body.

Each keypoint has some surfaces to choose from, or none of them. A surface costs by its place in the order of depths
and by its distance from the body; two joined keypoints cost when the limb between them would be too long. The cheapest
choice for all keypoints together is found by passing messages along limbs (min-sum belief propagation, exact on trees;
Pearl 1988, and Felzenszwalb and Huttenlocher, "Pictorial Structures for Object Recognition", IJCV 2005).
"""

from __future__ import annotations

import numpy as np

#: Cost of each nearer surface that is passed over,
_PASSED = 0.7
#: of choosing none, ...
_NONE = 3.0
#: ... and the most that one limb, or the distance from the body, can cost.
_WORST = 9.0
#: A limb may be longer than the longest, or differ from its known length, by this part of it (one sigma).
_STRETCH = 0.12
#: Distance from the body's median depth that costs 1, metres: an arm's length costs little.
_REACH = 0.5
#: Messages travel so many limbs: from a shoulder to the fingers.
_SWEEPS = 6


def choose(
    points: np.ndarray, sigma: np.ndarray, body: np.ndarray, ends: np.ndarray, longest: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return which surface each keypoint is on.

    Args:
        points: (N, K, C, 3) metres, where the keypoint would be on each surface, nearest first; NaN where is none.
        sigma: (N, K) metres, standard deviation of the points.
        body: (N,) metres, depth of the subject.
        ends: (L, 2) joined keypoints.
        longest: (L,) metres.
        lengths: (N, L) metres, known lengths of this subject's limbs; NaN where unknown.

    Returns:
        (N, K) int64 in 0 .. C, where C is none.
    """
    n, k, c = points.shape[:3]
    known = np.isfinite(points[..., 2])
    with np.errstate(invalid="ignore"):
        far = ((points[..., 2] - body[:, None, None]) / _REACH) ** 2
    single = np.full((n, k, c + 1), _NONE)
    single[..., :c] = np.where(known, np.minimum(np.nan_to_num(far), _WORST) + _PASSED * np.arange(c), np.inf)
    if not len(ends) or not n:
        return single.argmin(axis=2)
    pair = np.zeros((n, len(ends), c + 1, c + 1))
    pair[..., :c, :c] = _limb_costs(points, sigma, ends, longest, lengths)
    return (single + _messages(np.minimum(single, 1e6), pair, ends)).argmin(axis=2)


def _limb_costs(
    points: np.ndarray, sigma: np.ndarray, ends: np.ndarray, longest: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return (N, L, C, C): what each pair of surfaces costs."""
    a, b = ends.T
    between = np.nan_to_num(points[:, a, :, None] - points[:, b, None])
    length = np.sqrt(np.einsum("nlijx,nlijx->nlij", between, between))
    expected = np.where(np.isfinite(lengths), lengths, longest)
    excess = length - expected[..., None, None]
    unknown = np.isnan(lengths)[..., None, None]
    excess = np.where(unknown, np.maximum(excess, 0), excess)
    variance = (_STRETCH * expected) ** 2 + sigma[:, a] ** 2 + sigma[:, b] ** 2
    return np.minimum(excess**2 / variance[..., None, None], _WORST)


def _messages(single: np.ndarray, pair: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return (N, K, C + 1): what the rest of the body says to each keypoint."""
    n, _, states = single.shape
    count = len(ends)
    # Every limb in both directions, in order of where it leads, so that sums over keypoints are slices.
    source, target = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.argsort(target, kind="stable")
    back = np.argsort(order)[(order + count) % (2 * count)]
    pair = np.concatenate([pair, pair.swapaxes(2, 3)], axis=1)[:, order]
    source, target = source[order], target[order]
    reached, first = np.unique(target, return_index=True)
    message: np.ndarray = np.zeros((n, 2 * count, states))
    total = np.zeros_like(single)
    for _ in range(_SWEEPS):
        said = (single + total)[:, source] - message[:, back]
        message = (said[..., None] + pair).min(axis=2)
        message -= message.min(axis=2, keepdims=True)
        total[:, reached] = np.add.reduceat(message, first, axis=1)
    return total
