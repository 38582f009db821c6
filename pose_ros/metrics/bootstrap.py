# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals by drawing images again (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

Images are drawn, not subjects or keypoints: those of one image are right or wrong together. Statistics are told how
often each image was drawn, so nothing is copied, and what is expensive, such as matching, is done once:

>>> evaluation = of_keypoints(truth, found, sigmas)  # doctest: +SKIP
>>> bootstrap(lambda w: evaluation.summary(w, ["AP"])["AP"], len(evaluation.images))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pose_ros.errors import ConfigError


class Interval(NamedTuple):
    """A number, and between which limits it lies with the chosen confidence."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[[np.ndarray], float], images: int, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Return a statistic of all images with its percentile interval.

    Args:
        statistic: Of how often each image counts, (I,) float64, to a number; NaN where it has none.
        images: I.
        resamples: How often to draw; 1000 for limits that are good to a twentieth of their distance.
        level: Confidence.
        seed: The same seed gives the same interval.

    Raises:
        ConfigError: There are no images.
    """
    if images < 1 or resamples < 1 or not 0 < level < 1:
        raise ConfigError("bootstrap", "expected images and resamples of at least 1 and a level between 0 and 1, got "
                                       f"{images}, {resamples} and {level}")
    rng = np.random.default_rng(seed)
    drawn = (np.bincount(rng.integers(0, images, images), minlength=images).astype(np.float64)
             for _ in range(resamples))  # fmt: skip
    values = np.array([statistic(weights) for weights in drawn], np.float64)
    value = float(statistic(np.ones(images)))
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def ratio(parts: np.ndarray, wholes: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the statistic of a pooled mean: the sum of parts over the sum of wholes, (I,) of each image.

    Such as correct and labelled keypoints for PCK, or sums and counts of errors for EPE, NME and MPJPE.
    """
    parts, wholes = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)

    def statistic(weights: np.ndarray) -> float:
        total = weights @ wholes
        return float(weights @ parts / total) if total else float("nan")

    return statistic
