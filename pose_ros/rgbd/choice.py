# SPDX-License-Identifier: Apache-2.0
"""Depth choice: which of the surfaces around its keypoints belong to one body.

Each keypoint has some surfaces to choose from, or none of them. A surface costs by its place in the order of depths
and by its distance from the body; two joined keypoints cost when the limb between them would be too long. The cheapest
choice for all keypoints together is found by passing messages along limbs (min-sum belief propagation, exact on trees;
Pearl 1988, and Felzenszwalb and Huttenlocher, "Pictorial Structures for Object Recognition", IJCV 2005).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Cost of each nearer surface that is passed over,
_PASSED = 0.7
#: of choosing none, ...
_NONE = 3.0
#: ... the most that the distance from the body can cost, ...
_WORST = 9.0
#: ... and a limb, so that a hand is not held to be in the background for the sake of one limb.
_BROKEN = 25.0
_IMPOSSIBLE = 1e6
#: Cost of a keypoint whose neighbours are on no surface, where they were not seen in the colour image, and where they
#: were: then it is dearer than none, or every other keypoint of a body could stay on what stands before it.
_UNSEEN, _ALONE = 1.6, 3.2
#: A limb may be longer than the longest, or differ from its known length, by this part of it and so many metres (one
#: sigma each).
_STRETCH, _SLACK = 0.12, 0.025
#: Distance from the body's median depth that costs 1, metres: an arm's length costs little.
_REACH = 0.5
#: Messages travel so many limbs: from a shoulder to the fingers.
_SWEEPS = 6
#: How often choices are checked against one another: what goes may have borne out others.
_CHECKS = 3


def choose(
    points: np.ndarray, sigma: np.ndarray, seen: np.ndarray, body: np.ndarray, pairs: np.ndarray, longest: np.ndarray,
    lengths: np.ndarray,
) -> np.ndarray:
    """Return which surface each keypoint is on.

    Args:
        points: (N, K, C, 3) metres, where the keypoint would be on each surface, nearest first; NaN where is none.
        sigma: (N, K) metres, standard deviation of the points.
        seen: (N, K) bool, whether the keypoint was seen in the colour image.
        body: (N,) metres, depth of the subject.
        pairs: (P, 2) joined keypoints.
        longest: (P,) metres.
        lengths: (N, L) metres, known lengths of this subject's first L pairs; NaN where unknown.

    Returns:
        (N, K) int64 in 0 .. C, where C is none.
    """
    n, k, c = points.shape[:3]
    far = ((points[..., 2] - body[:, None, None]) / _REACH) ** 2
    # States come first: what is added and compared then are a few long rows.
    single = np.full((c + 1, n, k), _NONE, np.float32)
    each = np.where(np.isnan(far), _IMPOSSIBLE, np.minimum(far, _WORST) + _PASSED * np.arange(c))
    single[:c] = each.transpose(2, 0, 1)
    if not len(pairs) or not n:
        return single.argmin(axis=0)
    cost = np.zeros((c + 1, c + 1, n, len(pairs)), np.float32)
    cost[:c, :c] = _limb_costs(points, sigma, pairs, longest, lengths)
    a, b = pairs.T
    alone = np.where(seen, _ALONE, _UNSEEN).astype(np.float32)
    share = (1 / np.maximum(np.bincount(pairs.ravel(), minlength=k), 1)).astype(np.float32)
    cost[:c, c], cost[c, :c] = alone[:, b] * share[a], alone[:, a] * share[b]
    chosen = (single + _messages(single, cost, pairs)).argmin(axis=0)
    return _borne_out(chosen, single, cost, pairs)


def _limb_costs(
    points: np.ndarray, sigma: np.ndarray, pairs: np.ndarray, longest: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return (C, C, N, P): what each two surfaces cost."""
    a, b = pairs.T
    places = np.nan_to_num(points.transpose(3, 2, 0, 1)).astype(np.float32)
    between = places.take(a, axis=3)[:, :, None] - places.take(b, axis=3)[:, None]
    length = np.sqrt(np.einsum("xijnp,xijnp->ijnp", between, between))
    expected = np.broadcast_to(longest, (len(points), len(longest))).copy()
    exact = np.zeros(expected.shape, bool)
    exact[:, : lengths.shape[1]] = np.isfinite(lengths)
    expected[exact] = lengths[np.isfinite(lengths)]
    variance = (_STRETCH * expected) ** 2 + _SLACK**2 + sigma[:, a] ** 2 + sigma[:, b] ** 2
    # A limb of unknown length may be shorter than the longest.
    lowest = np.where(exact, -np.inf, 0).astype(np.float32)
    excess = np.maximum(length - expected.astype(np.float32), lowest) / np.sqrt(variance).astype(np.float32)
    return np.minimum(excess**2, _BROKEN)


def _borne_out(chosen: np.ndarray, single: np.ndarray, cost: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the choice (N, K) without what is dearer than none, now that the choices of all others are known."""
    n, k = chosen.shape
    none = len(single) - 1
    order, _, _, reached, first = _ways(pairs.tobytes())
    row, pair = np.arange(n)[:, None], np.arange(len(pairs))
    for _ in range(_CHECKS):
        a, b = chosen[:, pairs[:, 0]], chosen[:, pairs[:, 1]]
        taken = cost[a, b, row, pair]
        # What each end of a pair would save if it were on no surface: the second ends, then the first ones.
        saved = np.concatenate([taken - cost[a, none, row, pair], taken - cost[none, b, row, pair]], axis=1)
        extra = np.zeros((n, k), np.float32)
        extra[:, reached] = np.add.reduceat(saved[:, order], first, axis=1)
        dear = (single[chosen, row, np.arange(k)] + extra > _NONE) & (chosen < none)
        if not dear.any():
            break
        chosen = np.where(dear, none, chosen)
    return chosen


def _messages(single: np.ndarray, cost: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return (C + 1, N, K): what the rest of the body says to each keypoint."""
    states, n, k = single.shape
    order, source, back, reached, first = _ways(pairs.tobytes())
    cost = np.concatenate([cost, cost.swapaxes(0, 1)], axis=3).take(order, axis=3)
    message = np.zeros((states, n, len(order)), np.float32)
    total = np.zeros((states, n, k), np.float32)
    way = np.empty_like(cost)
    for _ in range(_SWEEPS):
        said = (single + total).take(source, axis=2)
        said -= message.take(back, axis=2)
        message = np.add(said[:, None], cost, out=way).min(axis=0)
        message -= message.min(axis=0)
        total[..., reached] = np.add.reduceat(message, first, axis=2)
    return total


@lru_cache(maxsize=16)
def _ways(pairs: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair in both directions, in order of where it leads, so that sums over keypoints are slices.

    That is: which of all pairs and then all turned ones each way is, the keypoint that it comes from, the way back, the
    keypoints that are reached, and the first way to each of them.
    """
    both = np.frombuffer(pairs, np.int64).reshape(-1, 2)
    source, target = np.concatenate([both, both[:, ::-1]]).T
    order = np.argsort(target, kind="stable")
    back = np.argsort(order)[(order + len(both)) % len(order)]
    reached, first = np.unique(target[order], return_index=True)
    return order, source[order], back, reached, first
