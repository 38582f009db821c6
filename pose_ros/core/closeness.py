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
        keypoints: (N, K, D) in pixels or metres.
        scores: (N, K).
        others: (M, K, D).
        other_scores: (M, K).
        reach: (N,) distance at which a keypoint is still 0.61 (one sigma) alike.

    Returns:
        (N, M) in [0, 1]; NaN for pairs without a keypoint that both have.
    """
    n, m = len(keypoints), len(others)
    rows, columns = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    pairs = paired_closeness(keypoints[rows], scores[rows], others[columns], other_scores[columns], reach[rows])
    return pairs.reshape(n, m)


def paired_closeness(
    keypoints: np.ndarray, scores: np.ndarray, others: np.ndarray, other_scores: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Return how close each pose is to the one in the same row of ``others``, (P,); see :func:`closeness`."""
    away = keypoints - others
    distance = np.einsum("pkd,pkd->pk", away, away)
    distance *= (-0.5 / np.square(reach))[:, None]
    weight = scores * other_scores
    missing = np.isnan(distance)
    if missing.any():
        distance[missing] = 0
        weight[missing] = 0
    total = weight.sum(axis=1, dtype=np.float64)
    alike = np.einsum("pk,pk->p", weight, np.exp(distance, out=distance))
    return np.divide(alike, total, out=np.full(len(total), np.nan), where=total > 0)
