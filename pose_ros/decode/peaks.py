# SPDX-License-Identifier: Apache-2.0
"""Heat maps of several people -> candidates for keypoints, as OpenPose and its kin find them (Cao et al., CVPR 2017).

The originals look for them on maps enlarged by cubic interpolation, whose pixels are called *fine pixels* here, (0, 0)
the centre of the first. Results are the same, but only those parts of the maps are enlarged that matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Most peaks of one kind, as in OpenPose; the best ones stay.
_MOST_PEAKS = 127
#: Cubic interpolation (OpenCV's, a = -0.75) half way between pixels gives 1.1875 times what is near less 0.1875 times
#: what is further off. In two directions, of 16 pixels: at most 1.445 times the largest, the corners included, which
#: count twice negative, plus 0.445 times what the smallest is below 0.
_OVERSHOOT = 1.1875**2 + 0.1875**2
#: Around pixels that can show a peak, this many more are enlarged: two that interpolation reads, two for refinement.
_MARGIN = 4


@dataclass(frozen=True)
class Rule:
    """How an implementation finds peaks and judges limbs."""

    #: Whether a peak is higher than all eight pixels around it; otherwise than the four beside it.
    diagonal: bool
    #: A peak moves to the centroid of the square that reaches this far, fine pixels; 0 leaves it.
    refine: int
    #: Of peaks nearer than this, fine pixels, the one furthest left stays.
    separation: float
    #: Points at which a limb's field is read, ends included; 0 takes 5 to 25, the more the longer it is.
    samples: int
    #: Whether keypoints that nearly coincide belong together, whatever the field says.
    near: bool


#: OpenPose 1.7 (its processor code), the demo of lightweight-human-pose-estimation.pytorch, and SLEAP 1.3 with its
#: refinement "integral", which moves a peak to the centroid of five cells.
RULES = {
    "openpose": Rule(diagonal=True, refine=3, separation=0, samples=0, near=True),
    "lightweight": Rule(diagonal=False, refine=0, separation=6, samples=10, near=False),
    "sleap": Rule(diagonal=True, refine=2, separation=0, samples=10, near=False),
}


@dataclass(frozen=True)
class Peaks:
    """Candidates for keypoints, sorted by kind."""

    #: (P,) which keypoint.
    parts: np.ndarray
    #: (P, 2) float64, fine pixels.
    points: np.ndarray
    #: (P,) float64.
    scores: np.ndarray


def find_peaks(heatmaps: np.ndarray, upsample: int, threshold: float, rule: Rule) -> Peaks:
    """Return the peaks of enlarged heat maps.

    Args:
        heatmaps: (K, H, W) float32. Not modified.
        upsample: How much they are enlarged.
        threshold: Lowest value of a peak.
        rule: What is a peak.
    """
    found = [_peaks(heatmap, upsample, threshold, rule) for heatmap in heatmaps]
    points = np.concatenate([p for p, _ in found]) if found else np.empty((0, 2))
    scores = np.concatenate([s for _, s in found]) if found else np.empty(0)
    return Peaks(np.repeat(np.arange(len(found)), [len(s) for _, s in found]), points, scores)


def _peaks(heatmap: np.ndarray, upsample: int, threshold: float, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Return points (P, 2) and values (P,) of one map."""
    import cv2

    height, width = heatmap.shape
    low = min(0.0, float(heatmap.min()))
    rows, columns = np.nonzero(heatmap > (threshold + (_OVERSHOOT - 1) * low) / _OVERSHOOT)
    if not len(rows):
        return np.empty((0, 2)), np.empty(0)
    top, left = max(rows.min() - _MARGIN, 0), max(columns.min() - _MARGIN, 0)
    part = heatmap[top : rows.max() + _MARGIN + 1, left : columns.max() + _MARGIN + 1]
    fine = cv2.resize(
        np.ascontiguousarray(part), None, fx=upsample, fy=upsample, interpolation=cv2.INTER_CUBIC
    )  # fmt: skip
    around = cv2.getStructuringElement(cv2.MORPH_RECT if rule.diagonal else cv2.MORPH_CROSS, (3, 3))
    y, x = np.divmod(np.flatnonzero((fine >= cv2.dilate(fine, around)) & (fine > threshold)), fine.shape[1])
    values = fine[y, x]
    dy, dx = (np.nonzero(around)[i] - 1 for i in (0, 1))
    beside = np.pad(fine, 1, constant_values=-np.inf)[y[:, None] + 1 + dy, x[:, None] + 1 + dx]
    above = (values[:, None] > beside).sum(axis=1) == len(dy) - 1  # all but itself
    if rule.diagonal:
        # Enlarging repeats the border, so that a peak there is a plateau: OpenPose takes its pixel one inside.
        edge, ring = _at_border(x + left * upsample, y + top * upsample, width * upsample, height * upsample)
        above = (above | ring) & ~(edge & ~ring)
    x, y, values = x[above], y[above], values[above].astype(np.float64)
    if len(values) > _MOST_PEAKS:
        best = np.sort(np.argsort(-values, kind="stable")[:_MOST_PEAKS])
        x, y, values = x[best], y[best], values[best]
    points = np.stack([x, y], axis=1).astype(np.float64)
    if rule.refine:
        points = _centroids(fine, x, y, rule.refine)
    if rule.separation:
        keep = _separated(points, rule.separation)
        points, values = points[keep], values[keep]
    sound = np.isfinite(points).all(axis=1) & np.isfinite(values)
    return points[sound] + np.array([left, top]) * upsample, values[sound]


def _at_border(x: np.ndarray, y: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are in the outermost rows and columns, and which in the second outermost."""
    edge = (x == 0) | (x == width - 1) | (y == 0) | (y == height - 1)
    ring = (x == 1) | (x == width - 2) | (y == 1) | (y == height - 2)
    return edge, ring


def _centroids(fine: np.ndarray, x: np.ndarray, y: np.ndarray, reach: int) -> np.ndarray:
    """Return the centroids of the positive values around pixels, (P, 2)."""
    step = np.arange(-reach, reach + 1)
    height, width = fine.shape
    ys, xs = y[:, None, None] + step[:, None], x[:, None, None] + step
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    weights = fine[ys.clip(0, height - 1), xs.clip(0, width - 1)].astype(np.float64)
    weights = np.where(inside & (weights > 0), weights, 0)
    total = weights.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return np.stack([(weights * xs).sum(axis=(1, 2)) / total, (weights * ys).sum(axis=(1, 2)) / total], axis=1)


def _separated(points: np.ndarray, distance: float) -> np.ndarray:
    """Return the indices of points that have no point further left nearer than ``distance``, from left to right."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    ordered = points[order]
    near = np.linalg.norm(ordered[:, None] - ordered[None], axis=2) < distance
    keep = np.ones(len(order), bool)
    for row in np.flatnonzero(np.triu(near, 1).any(axis=1)):
        if keep[row]:
            keep[row + 1 :] &= ~near[row, row + 1 :]
    return order[keep]
