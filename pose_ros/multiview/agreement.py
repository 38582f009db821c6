# SPDX-License-Identifier: Apache-2.0
"""Agreement: which views of a point to believe.

Views that do not fit are found by leaving out each, then by trying all pairs of views and counting how far all others
are off, cut at the limit (MSAC; Torr and Zisserman, "MLESAC", CVIU 2000).
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from pose_ros.multiview.sights import Sights, count, solve

#: Pairs are made of at most so many views of a point, those with the highest scores; 66 pairs find what is there.
_VIEWS_TO_PAIR = 12


class Agreement(NamedTuple):
    """What V views of M points say, at about where the points are."""

    #: (V, M) bool: which ones to believe.
    fits: np.ndarray
    #: (V, M): how far all are off, squared, in standard deviations; the limit at most.
    squares: np.ndarray
    #: (V, M): how deep the points lie before the cameras, metres.
    depth: np.ndarray

    def put(self, points: np.ndarray, other: Agreement) -> None:
        """Take over another one of some of the points."""
        for own, theirs in zip(self, other, strict=True):
            own[:, points] = theirs


def agreeing(sights: Sights, limit: float) -> tuple[Agreement, np.ndarray]:
    """Return which views to believe, and of which points but the best pair told that, (M,) bool.

    They are all but one where these agree, else those that agree with the best pair.

    Args:
        sights: Of M points, three or more views each.
        limit: Square of the most standard deviations.
    """
    views, left = len(sights.weights), count(sights.weights > 0) - 1
    terms = sights.terms(sights.weights)
    found = _best(sights, 1 - np.eye(views, dtype=np.float32), terms, limit)
    paired = (count(found.fits) < left) & (left > 2)
    torn = np.flatnonzero(paired)
    if len(torn):
        some, terms = sights.of(torn), terms.take(torn, axis=2)
        if views > _VIEWS_TO_PAIR:
            best = np.argpartition(-some.weights, _VIEWS_TO_PAIR, axis=0)[:_VIEWS_TO_PAIR]
            terms = np.take_along_axis(terms, best[None], axis=1)
        found.put(torn, _best(some, choices(terms.shape[1], 2), terms, limit))
    return found, paired


@functools.lru_cache(16)
def choices(views: int, most: int, least: int = 2) -> np.ndarray:
    """Return all choices of ``least`` to ``most`` of the views, (P, views) 0 or 1."""
    chosen = [c for count in range(least, most + 1) for c in itertools.combinations(range(views), count)]
    made = np.zeros((len(chosen), views), np.float32)
    for row, choice in zip(made, chosen, strict=True):
        row[list(choice)] = 1
    return made


def _best(sights: Sights, chosen: np.ndarray, terms: np.ndarray, limit: float) -> Agreement:
    """Return which views agree with the best of P choices of views: none where two choices are as good.

    Args:
        sights: Of M points.
        chosen: (P, T) 0 or 1: the terms of each choice.
        terms: (9, T, M) normal equations.
        limit: Square of the most standard deviations.
    """
    squares, (_, _, depth) = sights.residuals(solve(chosen @ terms))
    squares *= sights.weights[:, None]
    seen = (sights.weights > 0)[:, None]
    # A point behind a camera, or nowhere, agrees with nobody.
    behind = depth <= 0
    behind &= seen
    if behind.any():
        squares[behind] = limit
    np.fmin(squares, limit, out=squares)
    fits = squares < limit
    fits &= seen
    cost = squares.sum(axis=0)
    views, points = len(fits), cost.shape[1]
    best = cost.argmin(axis=0) * points + np.arange(points)
    found = Agreement(*(array.reshape(views, -1).take(best, axis=1) for array in (fits, squares, depth)))
    # Two views alone may agree by chance. If others do, too, nobody can tell who is right.
    few = np.flatnonzero(count(found.fits) == 2)
    rivals, agreed = fits.take(few, axis=2), found.fits.take(few, axis=1)[:, None]
    torn = ((count(rivals) >= 2) & (rivals != agreed).any(axis=0)).any(axis=0)
    found.fits[:, few[torn]] = False
    return found
