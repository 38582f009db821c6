# SPDX-License-Identifier: Apache-2.0
"""What detectors without anchors share: the cells of their grids, and the class that each cell shows best."""

from __future__ import annotations

from functools import cache

import numpy as np

#: Pixels of the network's input per grid cell, in the order of the outputs.
STRIDES = (8, 16, 32)


@cache
def cells(size_wh: tuple[int, int], strides: tuple[int, ...] = STRIDES) -> tuple[np.ndarray, np.ndarray]:
    """Return the left upper corner of every cell, (A, 2), and its stride, (A, 1), float32 in input pixels.

    The cells of all strides stand one after the other, each grid row by row.
    """
    corners, sizes = [], []
    for stride in strides:
        x, y = np.meshgrid(np.arange(size_wh[0] // stride), np.arange(size_wh[1] // stride))
        corners.append(np.stack([x, y], -1).reshape(-1, 2) * stride)
        sizes.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def best(scores: np.ndarray, classes: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows whose best class has at least ``min_score``, those scores, and those classes.

    Args:
        scores: (A, M), of the wanted classes.
        classes: (M,) what they are, M >= 1.
        min_score: Lowest score.
    """
    column = scores.argmax(axis=1)
    values = scores[np.arange(len(scores)), column]
    rows = np.flatnonzero(values >= min_score)
    return rows, values[rows], classes[column[rows]]
