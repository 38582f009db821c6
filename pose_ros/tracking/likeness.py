# SPDX-License-Identifier: Apache-2.0
"""Likeness: how much subjects look like those that are followed."""

from __future__ import annotations

import numpy as np

from pose_ros.core.closeness import paired_closeness
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou
from pose_ros.tracking.tracks import Tracks

#: How far a keypoint may be from where it was expected and still look like itself, as a part of the subject's size ...
_TOLERANCE = 0.1
#: ... and how much that grows for each second without sight.
_TOLERANCE_PER_S = 0.25
#: Beyond this many tolerances two keypoints have nothing in common.
_FAR = 3.0
#: Smallest size of a subject, pixels; below this even perfect tracking is noise.
_MIN_SIZE = 16.0
#: The same, metres, for subjects that are known in metres only.
_MIN_SIZE_M = 0.1


def likeness(
    tracks: Tracks, sights: Poses, looks: np.ndarray, stamp_ns: int, appearance: float = 0.0,
    wider: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Return how much each subject looks like each track at ``stamp_ns``, (T, N) in [0, 1].

    It is the mean of box overlap and keypoint closeness, and where a subject has no pixels the closeness of its points
    in metres.

    Args:
        tracks: T subjects that are followed.
        sights: N subjects that are seen.
        looks: (N, D) their appearance, if it has any weight.
        stamp_ns: When.
        appearance: Weight of the appearance.
        wider: (T,) or one number, factor on the distance at which something still looks like itself.
    """
    coast = tracks.coast_s(stamp_ns)
    tolerance = wider * (_TOLERANCE + _TOLERANCE_PER_S * coast)
    shift = tracks.shift(stamp_ns)
    moved = np.concatenate([shift, shift], axis=1)
    boxes, extents = tracks.sights.boxes + moved, tracks.extents + moved
    reach = tolerance * np.fmax(np.sqrt(np.clip(extents[:, 2:] - extents[:, :2], 0, None).prod(axis=1)), _MIN_SIZE)
    gap = np.maximum(extents[:, None, :2] - sights.boxes[:, 2:], sights.boxes[:, :2] - extents[:, None, 2:])
    alike = np.zeros(gap.shape[:2])
    # Nearly all pairs of a crowd are far apart: only what is near is looked at closely.
    track, row = np.nonzero(gap.max(axis=2) < _FAR * reach[:, None])
    expected, found = (tracks.keypoints + shift[:, None])[track], sights.keypoints[row]
    overlap = iou(boxes, sights.boxes)[track, row]
    close = paired_closeness(expected, tracks.scores[track], found, sights.scores[row], reach[track])
    alike[track, row] = (overlap + np.where(np.isnan(close), overlap, close)) / 2
    unseen = np.isnan(boxes).any(axis=1)[:, None] | np.isnan(sights.boxes).any(axis=1)
    if unseen.any() and tracks.sights.points is not None and sights.points is not None:
        track, row = np.nonzero(unseen)
        points = tracks.sights.points + tracks.shift_m(stamp_ns)[:, None]
        reach = tolerance * _sizes_m(points)
        ones = np.ones(points.shape[:2])
        close = paired_closeness(points[track], ones[track], sights.points[row], ones[track], reach[track])
        alike[track, row] = np.nan_to_num(close)
    if appearance and looks.size:
        same = np.einsum("td,nd->tn", tracks.looks, looks)
        alike = np.where(np.isnan(same) | (alike == 0), alike, (1 - appearance) * alike + appearance * same)
    return alike


def others(tracks: Tracks, sights: Poses) -> np.ndarray:
    """Return (T, N) bool: parts of different subjects, or of different sides, are not the same."""
    parents, sides = tracks.sights.parents[:, None], tracks.sights.sides[:, None]
    parts = (parents > 0) & (sights.parents > 0)
    return np.asarray(parts & ((parents != sights.parents) | (sides != sights.sides)))


def _sizes_m(points: np.ndarray) -> np.ndarray:
    """Return the sizes of subjects in metres, (T, K, 3) -> (T,): the root of the area of their two longest extents."""
    known = np.isfinite(points)
    high = np.where(known, points, -np.inf).max(axis=1)
    low = np.where(known, points, np.inf).min(axis=1)
    extent = np.sort(np.where(high >= low, high - low, 0), axis=1)
    return np.maximum(np.sqrt(extent[:, 1] * extent[:, 2]), _MIN_SIZE_M)
