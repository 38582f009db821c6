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
    gain = np.nan_to_num(gain, nan=0.0)
    gain = np.where((gain >= minimum) & (gain > 0), gain, 0.0)
    if gain.shape[0] > gain.shape[1]:
        pairs = assign(gain.T)[:, ::-1]
        return pairs[np.argsort(pairs[:, 0])]
    n, m = gain.shape
    # Row and column 0 are the start of every path. owner[j] is the row that column j belongs to at present.
    cost = np.zeros((n + 1, m + 1))
    cost[1:, 1:] = -gain
    row_price, column_price = np.zeros(n + 1), np.zeros(m + 1)
    owner = np.zeros(m + 1, np.int64)
    for row in range(1, n + 1):
        owner[0], column = row, 0
        slack, previous, done = np.full(m + 1, np.inf), np.zeros(m + 1, np.int64), np.zeros(m + 1, bool)
        while owner[column]:
            done[column] = True
            reduced = cost[owner[column]] - row_price[owner[column]] - column_price
            better = ~done & (reduced < slack)
            slack[better], previous[better] = reduced[better], column
            following = int(np.where(done, np.inf, slack).argmin())
            step = slack[following]
            row_price[owner[done]] += step
            column_price[done] -= step
            slack[~done] -= step
            column = following
        while column:
            owner[column], column = owner[previous[column]], int(previous[column])
    columns = np.flatnonzero(owner[1:])
    pairs = np.stack([owner[1:][columns] - 1, columns], axis=1)
    pairs = pairs[gain[pairs[:, 0], pairs[:, 1]] > 0]
    return pairs[np.argsort(pairs[:, 0])]
