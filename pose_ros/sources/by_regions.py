# SPDX-License-Identifier: Apache-2.0
"""Follow subjects by the regions that an estimator tells itself, such as BlazePose and MediaPipe's hands."""

from __future__ import annotations

import numpy as np

from pose_ros.core.doubles import SAME_SUBJECT_IOU, distinct
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, iou, squares
from pose_ros.sources.following import MISSING_EVERY_S, Expected, Following, Look
from pose_ros.sources.options import TopDownOptions
from pose_ros.tracking.smooth import RegionSmoother


class ByRegions(Following):
    """The estimator says where to look next and whether anybody is there; the detector only adds subjects."""

    def __init__(self, steady: bool) -> None:
        """Start with nobody; ``steady``: whether regions are smoothed over time."""
        super().__init__()
        #: Who the followed subjects are (numbers from 1 up, never used again), and since when.
        self._keys, self._since_ns = np.empty(0, np.int64), np.empty(0, np.int64)
        self._last_key = 0
        self._steady = RegionSmoother(steady)
        #: Whether a followed subject was lost since the detector ran.
        self._lost = False

    def expected(self, look: Look, options: TopDownOptions) -> Expected:
        """Return where the followed subjects are, and others that the detector sees; see :class:`Following`."""
        most = options.max_subjects
        self._keys, self._since_ns = self._keys[:most], self._since_ns[:most]
        self._regions, self._labels = self._regions[:most], self._labels[:most]
        known = len(self._regions)
        if known and not self._lost and (known >= most or self._rests(look.stamp_ns, options.detect_every)):
            return Expected(self._regions, self._labels, None)
        found, self._lost = self._detect(look), False
        overlap = iou(squares(found.regions), squares(self._regions)).max(axis=1, initial=0)
        found = found.select(overlap <= SAME_SUBJECT_IOU)
        found = found.select(np.arange(min(len(found), most - known)))
        return Expected(
            np.concatenate([self._regions, found.regions]), np.concatenate([self._labels, look.named(found)]), found
        )

    def seen(self, look: Look, poses: Poses, found: Detections | None, options: TopDownOptions) -> Poses:
        """Return those whom the estimator believes to be there, each once; see :class:`Following`."""
        known = len(self._regions)
        present = np.flatnonzero(poses.subject_scores >= options.min_subject_score)
        # Rows stand in order of seniority: where two have run into one, the longer followed subject stays.
        rows = present
        if len(present) > 1:
            rows = present[distinct(poses.select(present), int((present < known).sum()))]
        if np.count_nonzero(rows < known) < known:
            self._note_loss(np.setdiff1d(np.arange(known), rows), look.stamp_ns)
        if found is not None and len(found):
            self._keys = np.concatenate([self._keys, self._last_key + 1 + np.arange(len(found))])
            self._since_ns = np.concatenate([self._since_ns, np.full(len(found), look.stamp_ns)])
            self._last_key += len(found)
        self._follow(rows if options.follow else rows[:0], poses, look.stamp_ns)
        return (poses.select(rows) if len(rows) < len(poses) else poses).boxed()

    def _note_loss(self, gone: np.ndarray, stamp_ns: int) -> None:
        """Remember that followed subjects, these rows of them, are not there any more."""
        self._lost = True
        # What was there for a moment only was no subject.
        settled = np.count_nonzero(stamp_ns - self._since_ns[gone] >= MISSING_EVERY_S * 1e9)
        if settled:
            known = self._lost_of if self._missing(stamp_ns) else 0
            self._lost_of, self._lost_ns = max(len(self._regions) - len(gone) + settled, known), stamp_ns

    def _follow(self, rows: np.ndarray, poses: Poses, stamp_ns: int) -> None:
        """Remember where to look for the subjects at ``rows`` in the next image."""
        regions = self._regions[:0] if poses.regions is None else poses.regions
        there = regions[rows]
        rows = rows[np.isfinite(there).all(axis=1) & (there[:, 2:4] > 0).all(axis=1)]
        self._keys, self._since_ns, self._labels = self._keys[rows], self._since_ns[rows], poses.labels[rows]
        self._regions = self._steady(self._keys, regions[rows], stamp_ns)
