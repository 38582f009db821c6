# SPDX-License-Identifier: Apache-2.0
"""Part affinity fields -> people (Cao et al., CVPR 2017). Pure functions over the maps of one image.

Heat maps show where keypoints of each kind are; the fields show, for each limb, the direction from its first keypoint
to its second. Peaks of the heat maps are joined to limbs along the fields, and limbs to people. The originals do this
on maps enlarged by cubic interpolation, whose pixels are called *fine pixels* here, (0, 0) the centre of the first.
Results are the same, but only those parts of the maps are enlarged that matter.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from pose_ros.decode.peaks import Peaks, Rule, find_peaks

#: Where candidates for limbs are looked at first, as parts of the way.
_PROBES = (0.35, 0.65, 0.5)
#: A limb's score has to be more than this.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Graph:
    """Which keypoints a limb joins and where its field is."""

    #: Pairs of keypoints, in the order in which people are put together.
    limbs: tuple[tuple[int, int], ...]
    #: For each limb the channels of its field, x and y.
    channels: tuple[tuple[int, int], ...]
    #: Limbs that give a person a keypoint which is missing, but neither found a person nor count for one.
    attach: frozenset[tuple[int, int]] = frozenset()
    #: Keypoints that are no sign of a person: one foot is often taken for two.
    uncounted: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Limits:
    """What counts."""

    #: Lowest value of a peak.
    peak: float = 0.05
    #: Lowest value of a field along a limb ...
    field: float = 0.05
    #: ... at more than this part of its points.
    fraction: float = 0.95
    #: Fewest keypoints of a person.
    keypoints: int = 3
    #: Lowest score of a person per keypoint.
    score: float = 0.4


def group(
    peaks: Peaks,
    fields: np.ndarray,
    fine_wh: tuple[int, int],
    keypoints: int,
    graph: Graph,
    rule: Rule,
    limits: Limits,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join peaks to people.

    Args:
        peaks: From :func:`find_peaks`.
        fields: (C, H, W) float32, of the same area as the heat maps. Not modified.
        fine_wh: Size of the enlarged heat maps.
        keypoints: K.
        graph: Limbs and their channels.
        rule: How a limb is judged.
        limits: What counts.

    Returns:
        Keypoints (N, K, 2) in fine pixels, NaN where missing; their scores (N, K), 0 where missing; and people's scores
        (N,): the sum of those of keypoints and limbs, divided by how many there could be. Best first.
    """
    ends = np.searchsorted(peaks.parts, np.arange(keypoints + 1))
    pairs = [np.mgrid[ends[i] : ends[i + 1], ends[j] : ends[j + 1]].reshape(2, -1) for i, j in graph.limbs]
    limbs = np.repeat(np.arange(len(pairs)), [p.shape[1] for p in pairs])
    first, second = np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1)
    points = np.ascontiguousarray(peaks.points.T)
    fields = fields[list(graph.channels)]
    scores = _limb_scores(points[:, first], points[:, second], limbs, fields, fine_wh, rule, limits)
    # Limb by limb the best pairs, of which none shares a keypoint with a better one.
    good = np.flatnonzero(scores > _NOTHING)
    good = good[np.lexsort((-second[good], -first[good], -scores[good], limbs[good]))]
    people = _People(keypoints, peaks)
    taken: set[tuple[int, int]] = set()
    for row, a, b, score in zip(*(v[good].tolist() for v in (limbs, first, second, scores)), strict=True):
        if not taken.isdisjoint(((row, a), (row, b))):
            continue
        taken.update(((row, a), (row, b)))
        limb = graph.limbs[row]
        (people.attach if limb in graph.attach else people.add)(limb, a, b, score)
    return people.result(len(graph.limbs), graph.uncounted, limits)


def decode(
    heatmaps: np.ndarray,
    fields: np.ndarray,
    upsample: int,
    graph: Graph,
    rule: Rule,
    limits: Limits,
    offset: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find and group keypoints: :func:`find_peaks` and :func:`group`.

    Args:
        heatmaps: (K, H, W) float32, without that of the background.
        fields: (C, H', W') float32.
        upsample: How much the heat maps are enlarged.
        graph: Limbs and their channels.
        rule: How peaks are found and limbs judged.
        limits: What counts.
        offset: Added to the places of peaks, fine pixels.
    """
    peaks = find_peaks(heatmaps, upsample, limits.peak, rule)
    peaks = Peaks(peaks.parts, peaks.points + offset, peaks.scores)
    k, height, width = heatmaps.shape
    return group(peaks, fields, (width * upsample, height * upsample), k, graph, rule, limits)


def _limb_scores(
    first: np.ndarray,
    second: np.ndarray,
    limbs: np.ndarray,
    fields: np.ndarray,
    fine_wh: tuple[int, int],
    rule: Rule,
    limits: Limits,
) -> np.ndarray:
    """Return how well fields (L, 2, H, W) join pairs of points (2, P) of limbs (P,): (P,), 0 where they do not."""
    way = second - first
    length = np.hypot(*way)
    rows = np.flatnonzero(length > _NOTHING)
    scores = np.zeros(len(length))
    if rule.near:
        scores[rows[length[rows] < np.sqrt(fine_wh[0] * fine_wh[1]) / 150]] = limits.peak + _NOTHING
    count = steps = np.clip(np.sqrt(5 * np.maximum(*np.abs(way))) + 0.5, 5, 25).astype(np.int64)
    if rule.samples:
        count = np.full(len(length), rule.samples)
        steps = count - 1
    sheet = _sheet(fields)

    def along(indices: np.ndarray) -> np.ndarray:
        """Return how much the field points along the ways ``rows`` at some of their points, (S, P)."""
        step, start, part = way[:, rows], first[:, rows], indices / steps[rows]
        x, y = _enlarged(sheet, limbs[rows], start[0] + part * step[0], start[1] + part * step[1], fine_wh)
        return (x * step[0] + y * step[1]) / length[rows]

    # Nearly all pairs are of two people and fail at most of their points, so that a few points tell.
    failed = np.zeros(len(length), np.int64)
    for probe in _PROBES:
        failed[rows] += ~(along(np.floor(count[rows] * probe)) > limits.field)
        rows = rows[(count[rows] - failed[rows]) / count[rows] > limits.fraction]
    if len(rows):
        indices = np.arange(count[rows].max())[:, None]
        values = along(indices)
        good = (values > limits.field) & (indices < count[rows])
        number = good.sum(axis=0)
        enough = number / count[rows] > limits.fraction
        scores[rows[enough]] = np.where(good, values, 0).sum(axis=0)[enough] / number[enough]
    return np.nan_to_num(scores, posinf=0)


def _sheet(fields: np.ndarray) -> np.ndarray:
    """Return fields (L, 2, H, W) below each other with what interpolation reads at their borders, (L, H + 4, W, 2)."""
    rows = np.arange(-2, fields.shape[2] + 2).clip(0, fields.shape[2] - 1)
    return np.stack([fields[:, axis, rows] for axis in (0, 1)], axis=-1)


def _enlarged(
    sheet: np.ndarray, limbs: np.ndarray, x: np.ndarray, y: np.ndarray, fine_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a sheet of enlarged fields says at the fine pixels nearest to points (..., P): x, y, each (..., P).

    Interpolation reads the small fields there as the enlargement would, which knows 32 places in a pixel.
    """
    import cv2

    _, height, width, _ = sheet.shape
    # OpenCV wants two dimensions, and both of them below 32768.
    shape = (-(-x.size // 1024), min(x.size, 1024))
    there = []
    for place, fine, small, start in ((x, fine_wh[0], width, 0), (y, fine_wh[1], height - 4, limbs * height + 2)):
        pixel = np.minimum(np.maximum(np.floor(place + 0.5), 0), fine - 1)
        there.append(np.resize(((pixel + 0.5) * (small / fine) - 0.5 + start).astype(np.float32), shape))
    if not x.size:
        return x, y
    values = cv2.remap(
        sheet.reshape(-1, width, 2), there[0], there[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )  # fmt: skip
    values = values.reshape(-1, 2)[: x.size].reshape(*x.shape, 2)
    return values[..., 0], values[..., 1]


class _People:
    """People as they are put together from limbs."""

    def __init__(self, keypoints: int, peaks: Peaks) -> None:
        self._k, self._peaks = keypoints, peaks
        #: For each person the peak of each keypoint, or -1.
        self._rows: list[list[int]] = []
        self._counts: list[int] = []
        self._sums: list[float] = []
        #: Peak -> the people that have it.
        self._having: dict[int, list[int]] = defaultdict(list)

    def add(self, limb: tuple[int, int], first: int, second: int, score: float) -> None:
        """Give the person who has the first keypoint the second one; who has none is a new person."""
        if not self._having[first]:
            self._having[first].append(len(self._rows))
            self._rows.append([-1] * self._k)
            self._rows[-1][limb[0]] = first
            self._counts.append(1)
            self._sums.append(float(self._peaks.scores[first]))
        person = min(self._having[first])
        self._rows[person][limb[1]] = second
        self._having[second].append(person)
        self._counts[person] += 1
        self._sums[person] += float(self._peaks.scores[second]) + score

    def attach(self, limb: tuple[int, int], first: int, second: int, score: float) -> None:
        """Complete the people who have one of the keypoints and lack the other."""
        for mine, other, part in ((first, second, limb[1]), (second, first, limb[0])):
            for person in self._having[mine]:
                if self._rows[person][part] < 0:
                    self._rows[person][part] = other
                    self._having[other].append(person)

    def result(
        self, limbs: int, uncounted: frozenset[int], limits: Limits
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return keypoints, scores and people's scores of those that are within the limits, best first."""
        rows = np.array(self._rows, np.int64).reshape(-1, self._k)
        counts, sums = np.array(self._counts, np.int64), np.array(self._sums)
        good = np.zeros(len(rows), bool)
        if uncounted:
            loose = (rows[:, sorted(uncounted)] >= 0).sum(axis=1)
            with np.errstate(divide="ignore"):
                good = (counts - loose >= limits.keypoints) & (sums / (counts - loose) >= limits.score)
            # Legs alone are often the same leg twice.
            good &= (loose == 0) | (counts - loose > 4)
        if not good.any():
            good = (counts >= limits.keypoints) & (sums / np.maximum(counts, 1) >= limits.score)
        totals = sums / (self._k + limbs)
        best = np.flatnonzero(good)
        best = best[np.argsort(-totals[best], kind="stable")]
        index = rows[best]
        has = index >= 0
        if not len(self._peaks.parts):
            return np.empty((0, self._k, 2), np.float32), np.empty((0, self._k), np.float32), np.empty(0, np.float32)
        points = np.where(has[..., None], self._peaks.points[index], np.nan).astype(np.float32)
        return points, np.where(has, self._peaks.scores[index], 0).astype(np.float32), totals[best].astype(np.float32)
