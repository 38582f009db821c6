# SPDX-License-Identifier: Apache-2.0
"""SimCC vectors -> keypoints (Li et al., ECCV 2022). Pure functions over whole batches.

A keypoint is a vector along x and one along y, some bins per pixel of the crop; its place is where they are largest.
"""

from __future__ import annotations

from functools import cache

import numpy as np

#: Names of the ways to score a keypoint, see :func:`decode`.
SCORES = ("min", "mean", "softmax", "visibility")
#: Names of the ways to refine it.
REFINEMENTS = ("none", "dark")
#: Sharpness of the score ``visibility`` for each bin of sigma, as in mmpose.
_VISIBILITY = 150.0


def decode(
    simcc_x: np.ndarray,
    simcc_y: np.ndarray,
    *,
    split: float = 2.0,
    score: str = "min",
    refine: str = "none",
    sigma_xy: tuple[float, float] = (6.0, 6.0),
    beta: float = 10.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints and scores.

    Args:
        simcc_x: (N, K, Wx) float32; not modified.
        simcc_y: (N, K, Wy) float32; not modified.
        split: Bins for each pixel of the crop.
        score: One of ``SCORES``, each for x and y together:

            * ``min``, ``mean``: of the two largest values, as in mmpose and in rtmlib. They have no upper limit.
            * ``softmax``: how likely the keypoint is within two sigma of the largest value, by ``softmax(beta v)``,
              which is what training with cross entropy makes a probability. In 0 .. 1; the smaller of x and y.
            * ``visibility``: the largest value of ``softmax(150 sigma v)``, as in mmpose. In 0 .. 1; the smaller of x
              and y. Of two neighbouring bins with the same value each has a half.
        refine: One of ``REFINEMENTS``. ``none`` is exact to half a bin. ``dark`` moves the keypoint to the top of the
            Gaussian through the smoothed vector (Zhang et al., CVPR 2020), except near the ends of the vector.
        sigma_xy: Of the Gaussians that the network was trained with, in bins.
        beta: See ``score``: 10 in the loss of RTMPose, 1 in that of SimCC.

    Returns:
        (N, K, 2) float32: x, y in pixels of the crop; NaN where the score of the raw maxima is not positive.
        (N, K) float32: scores; 0 where the keypoint is missing.
    """
    (x, value_x), (y, value_y) = _peak(simcc_x), _peak(simcc_y)
    scores = (value_x + value_y) / 2 if score == "mean" else np.minimum(value_x, value_y)
    found = np.isfinite(value_x) & np.isfinite(value_y) & (scores > 0)
    if score in ("softmax", "visibility"):
        scores = np.minimum(*(
            _probability(v[found], best[found], beta, round(2 * sigma)) if score == "softmax" else
            _probability(v[found], best[found], _VISIBILITY * sigma, 0)
            for v, best, sigma in zip((simcc_x, simcc_y), (x, y), sigma_xy, strict=True)
        ))
        scores, part = np.zeros(found.shape, np.float32), scores
        scores[found] = part
    keypoints = np.stack([x, y], -1).astype(np.float32)
    if refine == "dark":
        for axis, (vector, sigma) in enumerate(zip((simcc_x, simcc_y), sigma_xy, strict=True)):
            keypoints[..., axis] += _dark_step(vector, (x, y)[axis], sigma)
    keypoints /= np.float32(split)
    return np.where(found[..., None], keypoints, np.float32(np.nan)), np.where(found, scores, 0).astype(np.float32)


def mirrored(
    simcc_x: np.ndarray, simcc_y: np.ndarray, flip_index: np.ndarray, shift: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the vectors for mirrored crops say about the crops themselves.

    Args:
        simcc_x: (N, K, Wx).
        simcc_y: (N, K, Wy).
        flip_index: (K,): for each keypoint the one that a mirror image shows in its place.
        shift: Bins to move the vector to the left; the last value is repeated.
    """
    x = simcc_x[:, flip_index, ::-1]
    if shift:
        x = np.concatenate([x[..., shift:], np.repeat(x[..., -1:], shift, axis=2)], axis=2)
    return x, simcc_y[:, flip_index]


def _peak(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of the largest value and the value, each (N, K)."""
    best = vectors.argmax(axis=2)
    return best, np.take_along_axis(vectors, best[..., None], axis=2)[..., 0]


def _probability(vectors: np.ndarray, best: np.ndarray, sharpness: float, reach: int) -> np.ndarray:
    """Return the share of the softmax that lies within ``reach`` bins of the largest, (M, W), (M,) -> (M,)."""
    rows = np.arange(len(best))[:, None]
    shares = vectors - vectors[rows, best[:, None]]
    shares *= np.float32(sharpness)
    np.exp(shares, out=shares)
    at = best[:, None] + np.arange(-reach, reach + 1)
    inside = (at >= 0) & (at < vectors.shape[1])
    near = shares[rows, at.clip(0, vectors.shape[1] - 1)]
    return near.sum(axis=1, where=inside) / shares.sum(axis=1)


def _dark_step(vectors: np.ndarray, best: np.ndarray, sigma: float) -> np.ndarray:
    """Return how far the top of the Gaussian is from the largest bin, in bins, (N, K)."""
    kernel = _kernel(sigma)
    reach = len(kernel) // 2 + 2
    at = best[..., None] + np.arange(-reach, reach + 1)
    window = np.take_along_axis(vectors, at.clip(0, vectors.shape[2] - 1), axis=2)
    # Only five values of the smoothed vector are needed: two to each side of the largest.
    bank = np.stack([np.pad(kernel, (i, 4 - i)) for i in range(5)], axis=1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        smooth = np.log(np.maximum(window @ bank, 1e-10))
        slope = 0.5 * (smooth[..., 3] - smooth[..., 1])
        curvature = 0.25 * (smooth[..., 4] - 2 * smooth[..., 2] + smooth[..., 0])
        step = -slope / curvature
    # Near an end half of the peak is missing, and smoothing would push the rest away from the end. Where the step is
    # longer than the peak is wide, there is no peak.
    inside = (best >= reach) & (best < vectors.shape[2] - reach)
    return np.where(inside & (np.abs(step) <= sigma), step, 0)


@cache
def _kernel(sigma: float) -> np.ndarray:
    """Return the smoothing for vectors trained with ``sigma``: its odd width and its values as mmpose takes them."""
    import cv2

    width = int((20 * sigma - 7) // 3)
    return cv2.getGaussianKernel(width - (width % 2 == 0), 0, cv2.CV_32F)[:, 0]
