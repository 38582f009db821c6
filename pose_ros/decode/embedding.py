# SPDX-License-Identifier: Apache-2.0
"""Heat maps and maps of tags -> people (Newell et al., NeurIPS 2017), as HigherHRNet (Cheng et al., CVPR 2020) does it.

Every peak of a keypoint's heat map has a tag, one number or several, and peaks with about the same tag are one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.decode.heatmap import udp_top

#: A peak is the largest of so many pixels in each direction.
_NEIGHBOURHOOD = 5
#: What a difference of tags of 1 weighs when peaks are given to people; scores weigh 1. It is rounded, and ...
_TAG_WEIGHT = 100
#: ... where that leaves a choice, the nearer tag is taken.
_TIE_WEIGHT = 1e-3
#: Half a pixel: a map shows in a pixel what lies between its corner and the next pixel's ...
_CORNER = 0.5
#: ... and a peak moves so far towards its larger neighbours.
_QUARTER = 0.25
#: Width of the smoothing before the top of a peak is looked for, pixels.
_UDP_KERNEL = 3
#: A missing keypoint is looked for in every 16th pixel first, to know what the others have to beat.
_STRIDE = 4


@dataclass(frozen=True)
class Peaks:
    """M peaks, those of one keypoint together, best first."""

    #: (M,) int64: keypoint, column and row.
    keypoints: np.ndarray
    x: np.ndarray
    y: np.ndarray
    #: (M,) float64, the heat map's value.
    scores: np.ndarray
    #: (M, L) float64.
    tags: np.ndarray


def people(
    heatmaps: np.ndarray,
    tags: np.ndarray,
    *,
    order: Sequence[int] = (),
    min_score: float = 0.1,
    max_distance: float = 1.0,
    most: int = 30,
    udp: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all people.

    Args:
        heatmaps: (K, H, W) float32. Not modified.
        tags: (L, K, H, W) float32, L numbers per tag. Not modified.
        order: Keypoints in the order in which people are put together; all in their own order when left out.
        min_score: Lower peaks are no keypoints.
        max_distance: A peak whose tag is this far from all people is somebody else.
        most: Most peaks of one keypoint, and most people that further peaks are given to.
        udp: Whether the maps were made with UDP (Huang et al., CVPR 2020), which shows in a pixel what lies at its
            centre, and looks for the top of a peak.

    Returns:
        (P, K, 2) float32, x and y in pixels of the maps, NaN where missing; (P, K) float32, the map's values there, 0
        where missing; (P,) float32, the mean value of the peaks, a missing one being 0. In no order.
    """
    found = peaks(heatmaps, tags, min_score, most)
    members = grouped(found, order or range(len(heatmaps)), max_distance, most)
    shape = (len(members), len(heatmaps))
    rows, columns = np.nonzero(members >= 0)
    chosen = members[rows, columns]
    places, scores = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    step = _step_udp if udp else _step
    places[rows, columns] = step(heatmaps, found.keypoints, found.x, found.y)[chosen]
    scores[rows, columns] = found.scores[chosen]
    subject_scores = scores.mean(axis=1)
    _fill(heatmaps, tags, _means(found, members), places, scores, udp)
    return places, scores, subject_scores


def peaks(heatmaps: np.ndarray, tags: np.ndarray, min_score: float, most: int) -> Peaks:
    """Return the local maxima; of equal neighbours the first.

    Args:
        heatmaps: (K, H, W) float32.
        tags: (L, K, H, W) float32.
        min_score: Lower ones are left out.
        most: Of one keypoint, the best so many.
    """
    k, height, width = heatmaps.shape
    flat = heatmaps.ravel()
    index = np.flatnonzero(flat > min_score)
    x, y, scores = index % width, index // width % height, flat[index]
    # The four pixels beside it leave few for the whole neighbourhood to be looked at.
    first = ((x == 0) | (scores > flat[index - 1])) & ((y == 0) | (scores > flat[index - width]))
    first &= (x == width - 1) | (scores >= flat[np.minimum(index + 1, flat.size - 1)])
    first &= (y == height - 1) | (scores >= flat[np.minimum(index + width, flat.size - 1)])
    keypoints, x, y, scores = index[first] // (height * width), x[first], y[first], scores[first]
    around = np.arange(-(_NEIGHBOURHOOD // 2), _NEIGHBOURHOOD // 2 + 1)
    columns, rows = (np.clip(p[:, None] + around, 0, size - 1) for p, size in ((x, width), (y, height)))
    first = scores >= heatmaps[keypoints[:, None, None], rows[:, :, None], columns[:, None, :]].max(axis=(1, 2))
    values = tags[:, keypoints, y, x].T
    kept = np.flatnonzero(first & np.isfinite(scores) & np.isfinite(values).all(axis=1))
    kept = kept[np.lexsort((-scores[kept], keypoints[kept]))]
    starts = np.searchsorted(keypoints[kept], np.arange(k))
    kept = kept[np.arange(len(kept)) - starts[keypoints[kept]] < most]
    return Peaks(keypoints[kept], x[kept], y[kept], scores[kept].astype(np.float64), values[kept].astype(np.float64))


def grouped(found: Peaks, order: Sequence[int], max_distance: float, most: int) -> np.ndarray:
    """Give each peak to a person: one keypoint after the other, because tags are compared with the mean so far.

    Args:
        found: Peaks.
        order: Keypoints in the order in which they are looked at.
        max_distance: A peak this far from all people is a new one.
        most: The first so many people are given further peaks.

    Returns:
        (P, K) int64: the peak that is a person's keypoint, or -1.
    """
    k = len(order)
    bounds = np.searchsorted(found.keypoints, np.arange(k + 1))
    members = np.full((len(found.scores), k), -1, np.int64)
    total, count = np.zeros(found.tags.shape), np.zeros((len(found.scores), 1))
    people_so_far = 0
    for keypoint in order:
        rows = np.arange(bounds[keypoint], bounds[keypoint + 1])
        known = min(people_so_far, most)
        owner = _owners(found.tags[rows], found.scores[rows], total[:known] / count[:known], max_distance)
        new = owner < 0
        owner[new] = people_so_far + np.arange(new.sum())
        people_so_far += int(new.sum())
        members[owner, keypoint] = rows
        total[owner] += found.tags[rows]
        count[owner] += 1
    return members[:people_so_far]


def _owners(tags: np.ndarray, scores: np.ndarray, means: np.ndarray, max_distance: float) -> np.ndarray:
    """Return for (N, L) tags the person among (M, L) means that each is given to, or -1; nobody gets two.

    As many as possible are given to somebody, and then the nearest, better peaks first. The authors let pairs that are
    too far apart compete too and take them apart afterwards: where keypoints are missing, that tears people to pieces.
    """
    owner = np.full(len(tags), -1, np.int64)
    if not len(tags) or not len(means):
        return owner
    distance = np.sqrt(((tags[:, None] - means) ** 2).sum(axis=2))
    near = distance < max_distance
    # Whoever has no rival needs no more thought.
    alone = near & (near.sum(axis=0) == 1) & (near.sum(axis=1, keepdims=True) == 1)
    rows, columns = np.nonzero(alone)
    owner[rows] = columns
    near[rows] = False
    rows, columns = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    if len(rows):
        cost = np.round(distance) * _TAG_WEIGHT - scores[:, None] + distance * _TIE_WEIGHT
        gain = np.where(near, 2 * len(tags) * (np.abs(cost[near]).max() + 1) - cost, 0)
        pairs = assign(gain[np.ix_(rows, columns)])
        owner[rows[pairs[:, 0]]] = columns[pairs[:, 1]]
    return owner


def _means(found: Peaks, members: np.ndarray) -> np.ndarray:
    """Return the mean tag of each person, (P, L)."""
    present = members >= 0
    tags = np.where(present[..., None], found.tags[members], 0) if len(found.tags) else np.zeros((0, 1, 1))
    return tags.sum(axis=1) / np.maximum(present.sum(axis=1), 1)[:, None]


def _step(heatmaps: np.ndarray, keypoints: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return pixels moved towards their larger neighbours, (M, 2)."""
    _, height, width = heatmaps.shape
    right = heatmaps[keypoints, y, np.minimum(x + 1, width - 1)] > heatmaps[keypoints, y, np.maximum(x - 1, 0)]
    down = heatmaps[keypoints, np.minimum(y + 1, height - 1), x] > heatmaps[keypoints, np.maximum(y - 1, 0), x]
    return np.stack([x, y], axis=1) + np.where(np.stack([right, down], axis=1), _QUARTER, -_QUARTER) + _CORNER


def _step_udp(heatmaps: np.ndarray, keypoints: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the tops of the peaks at pixels, (M, 2)."""
    import cv2

    _, height, width = heatmaps.shape
    around = np.arange(-2, 3)
    # Beyond the border the map is mirrored at the centres of the last pixels.
    columns, rows = (np.abs((size - 1) - np.abs((size - 1) - np.abs(p[:, None] + around)))
                     for p, size in ((x, width), (y, height)))  # fmt: skip
    weights = cv2.getGaussianKernel(_UDP_KERNEL, 0, cv2.CV_32F)[:, 0]
    patches = heatmaps[keypoints[:, None, None], rows[:, :, None], columns[:, None, :]]
    for axis in (1, 2):
        parts = (np.take(patches, range(i, i + 3), axis) * weights[i] for i in range(_UDP_KERNEL))
        patches = sum(parts)
    log = np.log(np.clip(patches, 1e-3, 50.0))
    inside = (np.clip(np.arange(-1, 2) + p[:, None], 0, s - 1) - p[:, None] + 1 for p, s in ((x, width), (y, height)))
    columns, rows = inside
    all_rows = np.arange(len(x))
    return udp_top(lambda dx, dy: log[all_rows, rows[:, dy + 1], columns[:, dx + 1]], x, y)


def _fill(
    heatmaps: np.ndarray, tags: np.ndarray, means: np.ndarray, places: np.ndarray, scores: np.ndarray, udp: bool
) -> None:
    """Put each missing keypoint where the heat map's value, less the distance of tags (rounded), is largest.

    Args:
        heatmaps: (K, H, W).
        tags: (L, K, H, W).
        means: (P, L), the people's tags.
        places: (P, K, 2), changed.
        scores: (P, K), changed; 0 where missing.
        udp: See :func:`people`.
    """
    missing = scores == 0
    for k in np.flatnonzero(missing.any(axis=0)):
        rows = np.flatnonzero(missing[:, k])
        heat = heatmaps[k].ravel()
        tag = tags[:, k].reshape(len(tags), -1)
        coarse = heatmaps[k, ::_STRIDE, ::_STRIDE].ravel()
        at_least = _worth(coarse, tags[:, k, ::_STRIDE, ::_STRIDE].reshape(len(tags), -1), means[rows]).max(axis=1)
        # No pixel is worth more than its heat.
        index = np.flatnonzero(heat >= at_least.min())
        if not len(index):
            continue  # the maps are not finite
        best = index[_worth(heat[index], tag[:, index], means[rows]).argmax(axis=1)]
        rows, best = rows[heat[best] > 0], best[heat[best] > 0]
        y, x = np.divmod(best, heatmaps.shape[2])
        # Here the authors move by a quarter with UDP too.
        places[rows, k] = _step(heatmaps, np.full(len(x), k), x, y) - (_CORNER if udp else 0)
        scores[rows, k] = heat[best]


def _worth(heat: np.ndarray, tags: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return what I pixels with heat (I,) and tags (L, I) are worth to people with tags (P, L): (P, I)."""
    squared = sum((tag - mean[:, None]) ** 2 for tag, mean in zip(tags, means.T.astype(np.float32), strict=True))
    distance = np.sqrt(squared)
    return heat - np.round(distance, out=distance)
