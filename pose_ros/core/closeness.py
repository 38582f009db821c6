# SPDX-License-Identifier: Apache-2.0
"""Closeness: how much two poses look like one subject."""

from __future__ import annotations

import numpy as np


def closeness(
    keypoints: np.ndarray, scores: np.ndarray, others: np.ndarray, other_scores: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Return how close every pose is to every other one, as far as both are sure of their keypoints.

    It is OKS (Ronchi and Perona, ICCV 2017) with one tolerance for all keypoints, weighted by scores instead of labels.
    A keypoint that is far off counts as different, but no more than that.

    Args:
        keypoints: (N, K, 2) pixels.
        scores: (N, K).
        others: (M, K, 2) pixels.
        other_scores: (M, K).
        reach: (N,) distance in pixels at which a keypoint is still 0.61 (one sigma) alike.

    Returns:
        (N, M) in [0, 1]; NaN for pairs without a keypoint that both have.
    """
    distance = np.linalg.norm(keypoints[:, None] - others[None], axis=3) / reach[:, None, None]
    missing = np.isnan(distance)
    distance[missing] = 0
    weight = np.where(missing, 0, scores[:, None] * other_scores[None])
    total = weight.sum(axis=2)
    alike = (weight * np.exp(-0.5 * distance**2)).sum(axis=2)
    return np.divide(alike, total, out=np.full(total.shape, np.nan), where=total > 0)
