# SPDX-License-Identifier: Apache-2.0
"""How far keypoints are off: what PCK, NME and MPJPE begin with."""

from __future__ import annotations

import numpy as np

from pose_ros.errors import ShapeError


def distances(found: np.ndarray, truth: np.ndarray, visibility: np.ndarray | None = None) -> np.ndarray:
    """Return the Euclidean distance of every keypoint.

    Args:
        found: (..., K, D), in pixels or metres; NaN where missing.
        truth: (..., K, D), in the same unit; NaN where not labelled.
        visibility: (..., K); 0 where not labelled.

    Returns:
        (..., K): NaN where there is no label, and infinite where there is one and the keypoint is missing.

    Raises:
        ShapeError: The shapes differ.
    """
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    if found.shape != truth.shape or truth.ndim < 2:
        raise ShapeError("found", f"the shape of the labels, (..., K, D) {truth.shape}", found.shape)
    away = np.linalg.norm(found - truth, axis=-1)
    labelled = np.isfinite(truth).all(axis=-1)
    if visibility is not None:
        if np.shape(visibility) != labelled.shape:
            raise ShapeError("visibility", str(labelled.shape), np.shape(visibility))
        labelled &= np.asarray(visibility) > 0
    away[~np.isfinite(found).all(axis=-1)] = np.inf
    away[~labelled] = np.nan
    return away


def mean_error(away: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the mean of the distances that are known: EPE in pixels, MPJPE in metres.

    A keypoint that is missing has no distance, so a method that answers less often looks better by this alone; tell
    :func:`found_share` with it.

    Args:
        away: As :func:`distances` returns them.
        axis: Mean over this axis; over all when left out. -1 gives one number for each subject.

    Returns:
        NaN where nothing is known.
    """
    known = np.isfinite(away)
    count = known.sum(axis=axis)
    total = np.where(known, away, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def found_share(away: np.ndarray) -> float:
    """Return the share of labelled keypoints that were found at all; NaN without labels."""
    labelled = ~np.isnan(away)
    return float(np.isfinite(away).sum() / labelled.sum()) if labelled.any() else float("nan")
