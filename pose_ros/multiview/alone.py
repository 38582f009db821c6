# SPDX-License-Identifier: Apache-2.0
"""Alone: correct points that are known roughly by as many rays as there are, be it one."""

from __future__ import annotations

import numpy as np

from pose_ros.multiview.agreement import choices
from pose_ros.multiview.rig import Rig
from pose_ros.multiview.sights import SYMMETRIC, Sights, inverse, nearness, solve
from pose_ros.multiview.triangulate import TriangulateOptions


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def along_rays(
    rig: Rig, keypoints: np.ndarray, scores: np.ndarray, sigmas: np.ndarray, points: np.ndarray,
    covariances: np.ndarray, options: TriangulateOptions | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Correct points that are known roughly by as many rays as there are, be it one.

    Args:
        rig: V cameras.
        keypoints: (V, M, 2) pixels; NaN where not seen.
        scores: (V, M) in [0, 1].
        sigmas: (V, M) standard deviation of a keypoint with score 1, pixels.
        points: (M, 3) metres in the world, where they should be.
        covariances: (M, 3, 3) square metres, how sure that is.
        options: How far sights may be from there, in standard deviations.

    Returns:
        (M, 3) points and (M, 3, 3) covariances, NaN where no camera saw it near where it should be; (V, M) bool: which
        ones did.
    """
    options = options or TriangulateOptions()
    sights, limit = Sights.make(rig, keypoints, scores, sigmas, options.min_score), options.limit**2
    stand, weights = sights.stand, sights.weights
    start = points.T - stand.origin[:, None]
    squares, (_, _, depth) = sights.residuals(np.insert(start, 3, 1, axis=0))
    # What a metre is in pixels, and so how far the point may be off in them.
    pixels = sights.forms[[0, 3, 5]].sum(axis=0) / (2 * depth * depth)
    spread = pixels * np.trace(covariances, axis1=1, axis2=2) / 3
    used = (depth > 0) & (squares * weights <= limit * (1 + spread * weights)) & (weights > 0)
    known = np.full(covariances.shape, np.nan)
    fine = used.any(axis=0) & np.isfinite(covariances).all(axis=(1, 2))
    known[fine] = np.linalg.inv(covariances[fine])
    prior = np.concatenate([
        known.reshape(-1, 9)[:, [0, 1, 2, 4, 5, 8]].T, np.einsum("mij,jm->im", known, start)
    ])  # fmt: skip
    near = weights * used / nearness(depth)
    # Rays may contradict one another: each alone, and every two of them, say where it is; the nearest to where it
    # should be, on which most agree, is right.
    total = choices(len(used), 2, least=1) @ sights.terms(near)
    x = solve(total + prior[:, None])
    squares, (_, _, depth) = sights.residuals(x)
    squares *= weights[:, None]
    fits = used[:, None] & (squares <= limit) & (depth > 0)
    apart = x[:3] - start[:, None]
    cost = np.where(fits, squares, limit * used[:, None]).sum(axis=0)
    cost += np.einsum("ipm,mij,jpm->pm", apart, known, apart)
    best = np.where(np.isnan(cost), np.inf, cost).argmin(axis=0)
    used &= fits[:, best, np.arange(len(best))]
    total = sights.sum(near * used) + prior
    x, inverses = solve(total)[:3], inverse(total)
    x[:, ~used.any(axis=0)], inverses[:, ~used.any(axis=0)] = np.nan, np.nan
    return (x + stand.origin[:, None]).T, inverses[SYMMETRIC].T.reshape(-1, 3, 3), used
