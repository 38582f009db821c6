# SPDX-License-Identifier: Apache-2.0
"""Agreement: which views of a point to believe.

Views that do not fit are found by leaving out each, then by trying all pairs of views and counting how far all others
are off, cut at the limit (MSAC; Torr and Zisserman, "MLESAC", CVIU 2000).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from pose_ros.multiview.sights import Sights, count, solve

#: Pairs are made of at most so many views of a point, those with the highest scores; 66 pairs find what is there.
_VIEWS_TO_PAIR = 12


def agreeing(sights: Sights, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which views to believe, (V, M) bool, and about where the points are, (4, M).

    They are all but one where these agree, else those that agree with the best pair.

    Args:
        sights: Of M points, three or more views each.
        limit: Square of the most standard deviations.
    """
    views = len(sights.weights)
    terms = sights.terms(sights.weights)
    fits, points, left = _best(sights, 1 - np.eye(views, dtype=np.float32), terms, limit)
    torn = np.flatnonzero((count(fits) < left) & (left > 2))
    if len(torn):
        some, terms = sights.of(torn), terms.take(torn, axis=2)
        if views > _VIEWS_TO_PAIR:
            best = np.argpartition(-some.weights, _VIEWS_TO_PAIR, axis=0)[:_VIEWS_TO_PAIR]
            terms = np.take_along_axis(terms, best[None], axis=1)
        fits[:, torn], points[:, torn], _ = _best(some, choices(terms.shape[1], 2), terms, limit)
    return fits, points


@functools.lru_cache(16)
def choices(views: int, most: int, least: int = 2) -> np.ndarray:
    """Return all choices of ``least`` to ``most`` of the views, (P, views) 0 or 1."""
    chosen = [c for count in range(least, most + 1) for c in itertools.combinations(range(views), count)]
    made = np.zeros((len(chosen), views), np.float32)
    for row, choice in zip(made, chosen, strict=True):
        row[list(choice)] = 1
    return made


def _best(
    sights: Sights, chosen: np.ndarray, terms: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which views agree with the best of P choices of views, and how many should.

    Args:
        sights: Of M points.
        chosen: (P, T) 0 or 1: the terms of each choice.
        terms: (9, T, M) normal equations.
        limit: Square of the most standard deviations.

    Returns:
        (V, M) bool, none where two choices are as good; (4, M) where that choice puts the points; and (M,) how many
        views but one there are.
    """
    points = solve(chosen @ terms)
    squares, at = sights.residuals(points)
    squares *= sights.weights[:, None]
    seen = sights.weights > 0
    # A point behind a camera, or nowhere, agrees with nobody.
    behind = at[2] <= 0
    behind &= seen[:, None]
    if behind.any():
        squares[behind] = limit
    np.fmin(squares, limit, out=squares)
    best = squares.sum(axis=0).argmin(axis=0), np.arange(terms.shape[2])
    fits = squares < limit
    fits &= seen[:, None]
    # Two views alone may agree by chance. If others do, too, nobody can tell who is right.
    agreed = fits[:, best[0], best[1]]
    few = np.flatnonzero(count(agreed) == 2)
    rivals = fits[:, :, few]
    torn = ((count(rivals) >= 2) & (rivals != agreed[:, None, few]).any(axis=0)).any(axis=0)
    agreed[:, few[torn]] = False
    return agreed, points[:, best[0], best[1]], count(seen) - 1
