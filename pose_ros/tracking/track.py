# SPDX-License-Identifier: Apache-2.0
"""Track: ids over time, from boxes and keypoints moving at constant velocity. Time comes from stamps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.options import option
from pose_ros.core.poses import Poses, TrackState, concatenate
from pose_ros.tracking.likeness import likeness, others
from pose_ros.tracking.tracks import Tracks

#: Who is left over is looked for this much further away: somebody who starts to run, or images that were lost.
_WIDER = 2.5
#: ... and who was in the last image this much.
_WIDEST = 5.0


@dataclass(frozen=True)
class TrackerOptions:
    """Options of :class:`Tracker`."""

    max_lost: float = option(
        1.0, "A subject that is missing from images for longer than this has ended; its id never comes back.",
        unit="s", low=0.0, high=60.0, live=True,
    )
    max_stall: float = option(
        5.0, "Subjects keep their ids while no image comes at all; when none came for longer than this, all have "
        "ended.", unit="s", low=0.0, high=3600.0, live=True,
    )
    min_similarity: float = option(
        0.2, "Mean of box overlap and keypoint closeness that makes it the same subject.", low=0.01, high=1.0, live=True
    )
    appearance: float = option(
        0.0, "Weight of the colours of subjects in their similarity; 0 looks at places alone.", low=0.0, high=0.9,
        live=True,
    )
    predict: float = option(
        0.0, "Publish a subject that is not seen for this long, moved on at its last velocity; 0 leaves it out.",
        unit="s", low=0.0, high=60.0, live=True,
    )
    report_lost: bool = option(
        False, "Publish a subject that is neither seen nor predicted, until it ends: state LOST, the box where it was "
        "seen last, and no keypoints.", live=True,
    )
    restart_ids: bool = option(
        False, "Count from 1 again after a reset, such as when a bag plays again: the same images get the same ids.",
        live=True,
    )


class Numbers:
    """New ids, 1, 2, 3 and so on. Trackers that share them give no id twice."""

    def __init__(self) -> None:
        """Start at 1."""
        self._last = 0
        #: How often the count began again.
        self.epoch = 0

    def __iter__(self) -> Numbers:
        """Return itself."""
        return self

    def __next__(self) -> int:
        """Return the next id."""
        self._last += 1
        return self._last

    def restart(self) -> None:
        """Count from 1 again."""
        self._last = 0
        self.epoch += 1


class Tracker:
    """Give every subject an id that lasts. The same images with the same stamps get the same ids, however fast."""

    def __init__(self, options: TrackerOptions | None = None, numbers: Numbers | None = None) -> None:
        """Start with no tracks.

        Args:
            options: How to follow.
            numbers: New ids; trackers that share them give no id twice. Counts from 1 up when left out.
        """
        self.options = options or TrackerOptions()
        #: Where new ids come from.
        self.numbers = numbers or Numbers()
        self._tracks: Tracks | None = None
        self._stamp_ns: int | None = None
        #: In which epoch of the numbers ids were taken.
        self._epoch = self.numbers.epoch
        #: All names that detectors gave.
        self._names: dict[str, int] = {}

    def update(self, poses: Poses, stamp_ns: int, looks: np.ndarray | None = None) -> tuple[Poses, Sequence[int]]:
        """Return the poses with ids, states, ages and steady labels, and the ids that ended with this frame.

        Subjects keep their order; predicted and lost ones, if asked for, follow. A subject without any position gets no
        id: neither pixels, nor, where it has none, metres. A stamp before the last one starts over.

        Args:
            poses: Subjects in an image, or in a room: ``points`` in a fixed frame, and no pixels.
            stamp_ns: When they were seen.
            looks: (N, D) what they look like, unit vectors whose product says how alike they are
                (:func:`pose_ros.tracking.appearance.appearance`); NaN where it is not known.
        """
        ended = self._endings(poses, stamp_ns)
        self._stamp_ns = stamp_ns
        # Every sight has a box, and a track keeps it so; what is published stays as it came.
        sights = poses.boxed()
        look = np.full((len(poses), 0), np.nan) if looks is None else np.asarray(looks, np.float64)
        votes = self._votes(poses.labels)
        old = self._prepared(sights, votes, look)
        pairs = self._pairs(old, sights, look, stamp_ns)
        rows = pairs[:, 1]
        if len(pairs) == len(old) == len(poses) and (pairs[:, 0] == rows).all():
            tracks = old.seen(sights, votes, look, stamp_ns)
            ids, ages, states = tracks.ids, stamp_ns - tracks.born_ns, np.full(len(poses), TrackState.TRACKED, np.uint8)
        else:
            tracks = old.select(pairs[:, 0]).seen(sights.select(rows), votes[rows], look[rows], stamp_ns)
            ids, ages = np.zeros(len(poses), np.int64), np.zeros(len(poses), np.int64)
            states = np.full(len(poses), TrackState.UNTRACKED, np.uint8)
            ids[rows], ages[rows], states[rows] = tracks.ids, stamp_ns - tracks.born_ns, TrackState.TRACKED
        labels = poses.labels
        if len(self._names) > 1:
            labels = labels.copy()
            labels[rows] = np.array(list(self._names))[tracks.votes.argmax(axis=1)]
            tracks = dataclasses.replace(tracks, sights=tracks.sights.replace(labels=labels[rows]))
        if len(rows) < len(poses):
            new = np.flatnonzero((ids == 0) & _placed(sights))
            ids[new], states[new] = [next(self.numbers) for _ in new], TrackState.NEW
            self._epoch = self.numbers.epoch
            tracks = tracks.joined(Tracks.born(ids[new], sights.select(new), votes[new], look[new], stamp_ns))
        poses = poses.replace(ids=ids, states=states, ages_ns=ages, labels=labels)
        if len(pairs) < len(old):
            missing = np.ones(len(old), bool)
            missing[pairs[:, 0]] = False
            unseen = old.select(missing)
            tracks = dataclasses.replace(unseen, missed=np.ones(len(unseen), bool)).joined(tracks)
            poses = self._with_unseen(poses, unseen, stamp_ns)
        self._tracks = tracks
        return poses, ended

    def reset(self) -> Sequence[int]:
        """Forget all tracks; returns the ids that ended. No id is given again, unless ``restart_ids`` wants it."""
        self._stamp_ns = None
        # Trackers that share numbers are reset one after the other: the first one to be reset restarts them.
        if self.options.restart_ids and self._epoch == self.numbers.epoch:
            self.numbers.restart()
        return self._end()

    def _end(self, gone: np.ndarray | None = None) -> list[int]:
        """Forget the tracks that a mask says, or all."""
        if self._tracks is None:
            return []
        ended = self._tracks.ids if gone is None else self._tracks.ids[gone]
        self._tracks = None if gone is None else self._tracks.select(~gone)
        return ended.tolist()

    def _endings(self, poses: Poses, stamp_ns: int) -> list[int]:
        """Forget the tracks that have ended, and return their ids."""
        tracks, options, last_ns = self._tracks, self.options, self._stamp_ns
        if last_ns is not None and stamp_ns < last_ns:
            return list(self.reset())
        if tracks is None or last_ns is None:
            return []
        if stamp_ns - last_ns > options.max_stall * 1e9 or tracks.sights.skeleton != poses.skeleton:
            return self._end()
        # While no image came nobody was missing from one.
        if not tracks.missed.any():
            return []
        gone = tracks.missed & (stamp_ns - tracks.seen_ns > options.max_lost * 1e9)
        return self._end(gone) if gone.any() else []

    def _votes(self, labels: np.ndarray) -> np.ndarray:
        """Return (N, V): 1 for what each subject is called."""
        names = [self._names.setdefault(label, len(self._names)) for label in labels.tolist()]
        return np.equal.outer(names, np.arange(len(self._names))).astype(np.int32)

    def _prepared(self, sights: Poses, votes: np.ndarray, looks: np.ndarray) -> Tracks:
        """Return the tracks, with a column for each name and for each number of the appearance."""
        tracks = self._tracks
        if tracks is None:
            none = np.arange(0)
            return Tracks.born(none, sights.select(none), votes[:0], looks[:0], 0)
        if (more := votes.shape[1] - tracks.votes.shape[1]) > 0:
            tracks = dataclasses.replace(tracks, votes=np.pad(tracks.votes, ((0, 0), (0, more))))
        if tracks.looks.shape[1] != looks.shape[1]:
            tracks = dataclasses.replace(tracks, looks=np.full((len(tracks), looks.shape[1]), np.nan))
        return tracks

    def _pairs(self, tracks: Tracks, sights: Poses, looks: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return which track is which subject, (P, 2) indices, tracks ascending."""
        minimum, weight = self.options.min_similarity, self.options.appearance
        if not len(tracks) or not len(sights):
            return np.zeros((0, 2), np.int64)
        alone = len(tracks) == len(sights) == 1
        if alone and not sights.parents[0] and _overlaps(tracks, sights, stamp_ns, 2 * minimum):
            return np.zeros((1, 2), np.int64)
        apart = others(tracks, sights)
        alike = np.where(apart, 0, likeness(tracks, sights, looks, stamp_ns, weight))
        pairs = assign(alike, minimum)
        if len(pairs) == min(alike.shape):
            return pairs
        left = np.ones(len(tracks), bool), np.ones(len(sights), bool)
        left[0][pairs[:, 0]] = left[1][pairs[:, 1]] = False
        track, row = map(np.flatnonzero, left)
        rest = tracks.select(track)
        wider = np.where(rest.missed, _WIDER, _WIDEST)
        alike = likeness(rest, sights.select(row), looks[row], stamp_ns, weight, wider)
        more = assign(np.where(apart[np.ix_(track, row)], 0, alike), minimum)
        pairs = np.concatenate([pairs, np.stack([track[more[:, 0]], row[more[:, 1]]], axis=1)])
        return pairs[np.argsort(pairs[:, 0])]

    def _with_unseen(self, poses: Poses, unseen: Tracks, stamp_ns: int) -> Poses:
        """Append the subjects that are not seen, as far as they are wanted."""
        limit_ns = self.options.predict * 1e9
        recent = stamp_ns - unseen.seen_ns < limit_ns
        parts = [poses]
        if recent.any():
            parts.append(unseen.select(recent).predicted(stamp_ns, limit_ns))
        if self.options.report_lost and not recent.all():
            parts.append(unseen.select(~recent).lost(stamp_ns))
        return concatenate(parts) if len(parts) > 1 else poses


def _placed(sights: Poses) -> np.ndarray:
    """Return (N,) bool: who has a place, in pixels or in metres."""
    placed = np.isfinite(sights.boxes).all(axis=1)
    if sights.points is not None:
        placed |= np.isfinite(sights.points).all(axis=2).any(axis=1)
    return np.asarray(placed)


def _overlaps(tracks: Tracks, sights: Poses, stamp_ns: int, minimum: float) -> bool:
    """Return whether the boxes of one track and one subject overlap by more than this: by far the most frequent case.

    Keypoints need no comparison then.
    """
    x0, y0, x1, y1 = tracks.sights.boxes[0].tolist()
    u0, v0, u1, v1 = sights.boxes[0].tolist()
    shift_x, shift_y = (tracks.velocity[0] * tracks.coast_s(stamp_ns)[0]).tolist()
    x0, y0, x1, y1 = x0 + shift_x, y0 + shift_y, x1 + shift_x, y1 + shift_y
    width, height = min(x1, u1) - max(x0, u0), min(y1, v1) - max(y0, v0)
    both = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - width * height
    return bool(width > 0 and height > 0 and width * height >= minimum * both)
