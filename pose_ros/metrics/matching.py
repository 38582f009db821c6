# SPDX-License-Identifier: Apache-2.0
"""Which results are right: COCO's greedy matching of results and labels, of all images at once.

The rules are those of pycocotools' ``evaluateImg``. Results take their turn by score. Each takes the label that it is
most like among those that are left, a counted one if there is any above the threshold and else an ignored one; crowds
are never used up. Nothing of this depends on other images, so the best result of every image is matched in one step,
then the second best, for all thresholds and ranges of area together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose_ros.metrics.columns import GroundTruth, Predictions

#: Similarity of results (by row) and labels (by row): (P,) and (P,) -> (P,).
Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]
#: Most entries of the state of one step; more images take more steps.
_MOST = 1 << 20


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of each result and label, for T thresholds and A ranges of area.

    Results are ranked: by category, then by falling score; ties keep the order of the images.
    """

    #: (M,) row of each result in what was given.
    row: np.ndarray
    #: (M,) of its image and category, starting with 0.
    rank: np.ndarray
    #: (M, A, T) bool: right, and counts.
    right: np.ndarray
    #: (M, A, T) bool: wrong, and counts.
    wrong: np.ndarray
    #: (N, A) bool: labels that are to be found.
    wanted: np.ndarray


def match(
    truth: GroundTruth, found: Predictions, similarity: Similarity, thresholds: np.ndarray, ranges: np.ndarray,
    most: int,
) -> Matches:  # fmt: skip
    """Match results with labels of the same image and category.

    Args:
        truth: N labels.
        found: M results.
        similarity: Of results and labels.
        thresholds: (T,) least similarities.
        ranges: (A, 2) areas in square pixels, both ends included, outside of which labels, and results that belong to
            none, do not count.
        most: Results of an image and a category after so many are left out.
    """
    cells = _Cells(truth, found, most)
    low, high = ranges[:, 0], ranges[:, 1]
    ignored = truth.ignore[:, None] | (truth.areas[:, None] < low) | (truth.areas[:, None] > high)
    n_ranges, n_thresholds = len(ranges), len(thresholds)
    taken = np.zeros((len(found), n_ranges, n_thresholds), bool)
    aside = np.zeros_like(taken)
    least = np.minimum(thresholds, 1 - 1e-10)
    for group in cells.groups(n_ranges * n_thresholds):
        _turns(group, truth, ignored, similarity, least, taken, aside)
    outside = (found.areas[:, None] < low) | (found.areas[:, None] > high)
    row = cells.ranked
    counts = ~np.where(taken, aside, outside[..., None])[row]
    return Matches(row, cells.rank[row], taken[row] & counts, ~taken[row] & counts, ~ignored)


@dataclass(frozen=True, eq=False)
class _Group:
    """C images (of one category each) with D results and G labels at most; -1 where one has fewer."""

    results: np.ndarray
    labels: np.ndarray


class _Cells:
    """Rows of results and labels by image and category."""

    def __init__(self, truth: GroundTruth, found: Predictions, most: int) -> None:
        both = np.concatenate([
            np.stack([truth.categories, truth.image], axis=1), np.stack([found.categories, found.image], axis=1)
        ])  # fmt: skip
        images = both[:, 1] - both[:, 1].min(initial=0)
        keys = both[:, 0] * (images.max(initial=0) + 1) + images
        _, cell = np.unique(keys, return_inverse=True)
        count = int(cell.max(initial=-1)) + 1
        self._label_cell, result_cell = cell[: len(truth)], cell[len(truth) :]
        self._labels = np.argsort(self._label_cell, kind="stable")
        order = np.lexsort([-found.scores, result_cell])
        starts = np.searchsorted(result_cell[order], np.arange(count))
        self.rank = np.empty(len(found), np.int64)
        self.rank[order] = np.arange(len(order)) - starts[result_cell[order]]
        self._results = order[self.rank[order] < most]
        # Cells are numbered by category, then image: ties of scores stay in that order.
        categories = found.categories[self._results]
        self.ranked = self._results[np.lexsort([-found.scores[self._results], categories])]
        self._result_cell = result_cell
        self._found = np.bincount(result_cell[self._results], minlength=count)
        self._wanted = np.bincount(self._label_cell, minlength=count)

    def groups(self, states: int) -> list[_Group]:
        """Return all cells with both results and labels, in groups of about the same size."""
        both = np.flatnonzero((self._found > 0) & (self._wanted > 0))
        both = both[np.lexsort([self._found[both], self._wanted[both]])]
        starts = np.concatenate([[0], np.cumsum(self._found)]), np.concatenate([[0], np.cumsum(self._wanted)])
        groups, at = [], 0
        while at < len(both):
            size = self._wanted[both[at]]
            # Twice as many labels as the smallest of the group at most.
            end = np.searchsorted(self._wanted[both], max(2 * size, 4), side="right")
            end = min(end, at + max(1, _MOST // int(states * self._wanted[both[end - 1]])))
            chosen = both[at:end]
            chosen = chosen[np.argsort(-self._found[chosen], kind="stable")]
            groups.append(_Group(_padded(self._results, starts[0], chosen), _padded(self._labels, starts[1], chosen)))
            at = end
        return groups


def _padded(rows: np.ndarray, starts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the rows of each cell, (C, most); -1 behind its last one."""
    counts = starts[cells + 1] - starts[cells]
    place = np.arange(counts.max())
    at = np.minimum(starts[cells, None] + place, len(rows) - 1)
    return np.where(place < counts[:, None], rows[at], -1)


def _turns(
    group: _Group, truth: GroundTruth, ignored: np.ndarray, similarity: Similarity, least: np.ndarray,
    taken: np.ndarray, aside: np.ndarray,
) -> None:  # fmt: skip
    """Let the results of each cell choose, best first; write into the rows of ``taken`` and ``aside``."""
    results, labels = group.results, group.labels
    there = labels >= 0
    pairs = (results >= 0)[:, :, None] & there[:, None]
    cell, d, g = np.nonzero(pairs)
    alike = np.full(pairs.shape, -1.0)
    alike[cell, d, g] = similarity(results[cell, d], labels[cell, g])
    size = labels.shape[1]
    # Of labels that are equally like a result, the last one is taken.
    rank = np.argsort(np.argsort(alike, axis=2, kind="stable"), axis=2, kind="stable").astype(np.int32)
    aside_label = np.where(there[..., None], ignored[labels], True).transpose(0, 2, 1)  # (C, A, G)
    bonus = np.where(aside_label, 0, size).astype(np.int32)
    crowd = truth.crowd[labels][:, None, None]
    free = np.broadcast_to(there[:, None, None], (len(labels), aside_label.shape[1], len(least), size)).copy()
    hopeful = (alike >= least[0]).any(axis=2)
    for turn in range(results.shape[1]):
        at = np.flatnonzero(hopeful[:, turn])
        if not len(at):
            continue
        enough = alike[at, turn, None, None] >= least[:, None]
        wish = np.where(free[at] & enough, (rank[at, turn, None] + bonus[at])[:, :, None], -1)
        choice = wish.argmax(axis=3)
        got = np.take_along_axis(wish, choice[..., None], axis=3)[..., 0] >= 0
        row = results[at, turn]
        taken[row] = got
        aside[row] = got & np.take_along_axis(aside_label[at], choice, axis=2)
        c, a, t = np.nonzero(got)
        chosen = choice[c, a, t]
        free[at[c], a, t, chosen] = crowd[at[c], 0, 0, chosen]
