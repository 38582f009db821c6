# SPDX-License-Identifier: Apache-2.0
"""Assign: the best one-to-one pairing of two groups."""

from __future__ import annotations

import numpy as np


def assign(gain: np.ndarray, minimum: float = 0.0) -> np.ndarray:
    """Pair rows with columns so that the sum of the gains is as large as possible.

    Pairing the best first would be shorter, but two people who cross would swap ids whenever one pair looks good at
    the expense of the other. This is the Hungarian method by shortest augmenting paths (Jonker and Volgenant, 1987) in
    O(n^2 m); a scipy for its sake would weigh more than this whole package.

    Args:
        gain: (N, M); NaN counts as worthless.
        minimum: A pair that gains less than this, or nothing, is not made.

    Returns:
        (P, 2) int64: row and column of each pair, rows ascending.
    """
    gain = np.asarray(gain, np.float64)
    if gain.shape == (1, 1):  # one person: by far the most frequent case
        return np.zeros((int(gain[0, 0] >= minimum and gain[0, 0] > 0), 2), np.int64)
    worthy = (gain >= minimum) & (gain > 0)  # no comparison with NaN holds
    rows, columns = np.flatnonzero(worthy.any(axis=1)), np.flatnonzero(worthy.any(axis=0))
    if len(rows) > len(columns):
        pairs = assign(gain.T, minimum)[:, ::-1]
        return pairs[np.argsort(pairs[:, 0])]
    gain = np.where(worthy, gain, 0.0)[np.ix_(rows, columns)]
    owner = _owners(-gain)
    taken = np.flatnonzero(owner >= 0)
    pairs = np.stack([owner[taken], taken], axis=1)
    pairs = pairs[gain[pairs[:, 0], pairs[:, 1]] > 0]
    pairs = pairs[np.argsort(pairs[:, 0])]
    return np.stack([rows[pairs[:, 0]], columns[pairs[:, 1]]], axis=1)


def _owners(cost: np.ndarray) -> np.ndarray:
    """Return which row each column belongs to at the lowest sum of costs, (N, M) with N <= M -> (M,); -1 is none."""
    n, m = cost.shape
    owner, row_price, column_price = np.full(m, -1), np.zeros(n), np.zeros(m)
    if not n:
        return owner
    # One of those who want a column most has it, which is nearly everybody; for the others there are paths.
    wanted, row_price, everyone = cost.argmin(axis=1), cost.min(axis=1), np.arange(n)
    owner[wanted] = everyone
    for row in np.flatnonzero(owner[wanted] != everyone).tolist():
        slack, previous, done = np.full(m, np.inf), np.full(m, -1), np.zeros(m, bool)
        visited, column, last = row, -1, 0.0
        while True:
            reduced = cost[visited] - row_price[visited] - column_price + last
            better = ~done & (reduced < slack)
            slack[better], previous[better] = reduced[better], column
            column = int(np.where(done, np.inf, slack).argmin())
            last = slack[column]
            if owner[column] < 0:
                break
            done[column] = True
            visited = owner[column]
        row_price[row] += last
        row_price[owner[done]] += last - slack[done]
        column_price[done] -= last - slack[done]
        while column >= 0:
            before = int(previous[column])
            owner[column] = owner[before] if before >= 0 else row
            column = before
    return owner
