# SPDX-License-Identifier: Apache-2.0
"""Object keypoint similarity of results to labels (COCO keypoint evaluation; Ronchi and Perona, ICCV 2017).

``exp(-d^2 / (2 area (2 sigma)^2))``, averaged over the labelled keypoints. Every step is done in the order of
pycocotools' ``computeOks``, so that not even the last bit differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_ros.errors import ShapeError

#: Pairs that are compared at once: their differences stay in the cache of a processor.
_AT_ONCE = 4096
_TINY = np.spacing(1.0)


def oks(
    found: np.ndarray, truth: np.ndarray, visibility: np.ndarray, areas: np.ndarray, sigmas: Sequence[float],
    boxes: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the similarity of every result to every label of one image; see :func:`paired_oks` for the arguments.

    Returns:
        (M, N) in [0, 1].
    """
    m, n = len(found), len(truth)
    rows, columns = np.repeat(np.arange(m), n), np.tile(np.arange(n), m)
    return paired_oks(found, truth, visibility, areas, sigmas, boxes, rows, columns).reshape(m, n)


def paired_oks(
    found: np.ndarray, truth: np.ndarray, visibility: np.ndarray, areas: np.ndarray, sigmas: Sequence[float],
    boxes: np.ndarray | None, rows: np.ndarray, columns: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the similarity of chosen pairs of results and labels.

    A keypoint that a result lacks is as good as one infinitely far away.

    Args:
        found: (M, K, 2) pixels; NaN where missing.
        truth: (N, K, 2) pixels.
        visibility: (N, K); 0 where not labelled.
        areas: (N,) square pixels: COCO takes the area of the outline, other sets 0.53 of the box.
        sigmas: K tolerances of the skeleton.
        boxes: (N, 4) xyxy pixels of the labels; of labels without any keypoint, how far results are outside of the
            box grown by its own size to every side counts. Such labels are like nothing where this is left out.
        rows: (P,) of the results.
        columns: (P,) of the labels.

    Returns:
        (P,) in [0, 1].

    Raises:
        ShapeError: The numbers of keypoints do not agree.
    """
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    k = truth.shape[1]
    if found.shape[1:] != (k, 2) or np.shape(visibility) != (len(truth), k) or len(sigmas) != k:
        raise ShapeError("found, visibility, sigmas", f"(M, {k}, 2), ({len(truth)}, {k}) and {k} numbers as of the "
                         "labels", f"{found.shape}, {np.shape(visibility)} and {len(sigmas)}")  # fmt: skip
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2
    sizes = np.asarray(areas, np.float64) + _TINY
    labelled = np.asarray(visibility) > 0
    counts = labelled.sum(axis=1)
    # Labelled keypoints first, in their order.
    order = np.argsort(~labelled, axis=1, kind="stable")
    result = np.zeros(len(rows))
    by_count = np.argsort(counts[columns], kind="stable")
    # Sums over the same number of keypoints are one sum, with no padding that would change how it is rounded.
    edges = np.searchsorted(counts[columns][by_count], np.arange(k + 2))
    for count in range(k + 1):
        for start in range(edges[count], edges[count + 1], _AT_ONCE):
            at = by_count[start : min(start + _AT_ONCE, edges[count + 1])]
            r, c = rows[at], columns[at]
            if count:
                which = order[c, :count]
                away = found[r[:, None], which] - truth[c[:, None], which]
                spread = variances[which]
            elif boxes is not None:
                away, spread = _outside(found[r], np.asarray(boxes, np.float64)[c]), variances
            else:
                continue
            e = (away[..., 0] ** 2 + away[..., 1] ** 2) / spread / sizes[c, None] / 2
            alike = np.exp(-e)
            alike[np.isnan(alike)] = 0
            result[at] = alike.sum(axis=1) / (count or k)
    return result


def _outside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return how far points (P, K, 2) are outside of boxes (P, 4) that are grown by their own size to every side."""
    low, size = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    return np.maximum(0, low - size - points) + np.maximum(0, points - (low + size * 2))
