# SPDX-License-Identifier: Apache-2.0
"""SimCC vectors -> keypoints (Li et al., ECCV 2022). Pure functions over whole batches.

A keypoint is a vector along x and one along y, some bins per pixel of the crop; its place is where they are largest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

#: Two maxima -> score.
_SCORES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "min": np.minimum,
    "mean": lambda x, y: (x + y) / 2,
    "softmax": np.minimum,
}
#: Names of the ways to score a keypoint: ``min`` and ``mean`` of the two largest values (mmpose, rtmlib), or
#: ``softmax``, see :func:`decode`.
SCORES = tuple(_SCORES)
#: Names of the ways to refine it.
REFINEMENTS = ("none", "dark")


def decode(
    simcc_x: np.ndarray,
    simcc_y: np.ndarray,
    *,
    split: float = 2.0,
    score: str = "min",
    refine: str = "none",
    sigma_xy: tuple[float, float] = (6.0, 6.0),
    beta: float = 150.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints and scores.

    Args:
        simcc_x: (N, K, Wx) float32; not modified.
        simcc_y: (N, K, Wy) float32; not modified.
        split: Bins for each pixel of the crop.
        score: One of ``SCORES``. The maxima of ``min`` and ``mean`` have no upper limit. ``softmax`` is in 0 .. 1: the
            smaller of the two largest probabilities in ``softmax(beta sigma v)``, which is near 1 where the vector has
            one sharp peak and small where it is flat or has several; mmpose calls it visibility.
        refine: One of ``REFINEMENTS``. ``none`` is exact to half a bin. ``dark`` moves the keypoint to the top of the
            Gaussian through the smoothed vector (Zhang et al., CVPR 2020), except near the ends of the vector.
        sigma_xy: Of the Gaussians that the network was trained with, in bins.
        beta: See ``score``.

    Returns:
        (N, K, 2) float32: x, y in pixels of the crop; NaN where the score of the raw maxima is not positive.
        (N, K) float32: scores; 0 where the keypoint is missing.
    """
    (x, value_x), (y, value_y) = _peak(simcc_x), _peak(simcc_y)
    scores = _SCORES[score](value_x, value_y)
    found = np.isfinite(value_x) & np.isfinite(value_y) & (scores > 0)
    if score == "softmax":
        scores = np.minimum(*(
            _largest_probability(v, top, found, beta * sigma)
            for v, top, sigma in zip((simcc_x, simcc_y), (value_x, value_y), sigma_xy, strict=True)
        ))
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


def _largest_probability(vectors: np.ndarray, top: np.ndarray, found: np.ndarray, sharpness: float) -> np.ndarray:
    """Return the largest value of the softmax, (N, K); 0 where nothing was found."""
    distance = np.subtract(vectors[found], top[found][:, None], dtype=np.float32)
    distance *= np.float32(sharpness)
    probability = np.zeros(top.shape, np.float32)
    probability[found] = 1 / np.exp(distance, out=distance).sum(axis=1)
    return probability


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
