# SPDX-License-Identifier: Apache-2.0
"""Track: ids over time, from boxes and keypoints moving at constant velocity. Time comes from stamps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.closeness import closeness
from pose_ros.core.options import option
from pose_ros.core.poses import Poses, Source, TrackState, concatenate
from pose_ros.core.regions import iou

#: How far a keypoint may be from where it was expected and still look like itself, as a part of the subject's size ...
_TOLERANCE = 0.15
#: ... and how much that grows for each second without sight.
_TOLERANCE_PER_S = 0.5
#: Smallest size of a subject, pixels; below this even perfect tracking is noise.
_MIN_SIZE = 16.0
#: The velocity is a mean over about this time, seconds.
_VELOCITY_S = 0.15


@dataclass(frozen=True)
class TrackerOptions:
    """Options of :class:`Tracker`."""

    max_lost: float = option(
        1.0, "A subject that is not seen for longer than this has ended; its id never comes back.", unit="s",
        low=0.0, high=60.0, live=True,
    )
    min_similarity: float = option(
        0.2, "Mean of box overlap and keypoint closeness that makes it the same subject.", low=0.01, high=1.0, live=True
    )
    predict: float = option(
        0.0, "Publish a subject that is not seen for this long, moved on at its last velocity; 0 leaves it out.",
        unit="s", low=0.0, high=60.0, live=True,
    )


@dataclass
class _Track:
    """One subject over time."""

    id: int
    born_ns: int
    seen_ns: int
    #: Where it was last seen: the subject at ``row`` of all that were seen then.
    sights: Poses
    row: int
    #: (2,) pixels per second; None until it was seen twice.
    velocity: np.ndarray | None = None
    #: What detectors called it, and how often.
    labels: Counter[str] = field(default_factory=Counter)

    def called(self, label: str) -> str:
        """Return what it was called most often, now included: a dog that turns away is no cat."""
        self.labels[label] += 1
        return self.labels.most_common(1)[0][0]

    def shift(self, stamp_ns: int) -> np.ndarray:
        """Return how far it should have moved since it was last seen, (2,) pixels."""
        return np.zeros(2) if self.velocity is None else self.velocity * ((stamp_ns - self.seen_ns) * 1e-9)

    def see(self, sights: Poses, row: int, stamp_ns: int) -> None:
        """Take a new sight of the subject."""
        seconds = (stamp_ns - self.seen_ns) * 1e-9
        moved = sights.keypoints[row] - self.sights.keypoints[self.row]
        moved = moved[np.isfinite(moved).all(axis=1)]
        if not len(moved):
            moved = (sights.boxes[row] - self.sights.boxes[self.row]).reshape(2, 2)
        if seconds > 0:
            velocity = moved.mean(axis=0) / seconds
            part = 1.0 if self.velocity is None else 1 - np.exp(-seconds / _VELOCITY_S)
            self.velocity = velocity if self.velocity is None else self.velocity + part * (velocity - self.velocity)
        self.sights, self.row, self.seen_ns = sights, row, stamp_ns

    def predicted(self, stamp_ns: int, fade: float) -> Poses:
        """Return the subject moved on; what is metric in the camera's frame is not known any more."""
        shift = self.shift(stamp_ns).astype(np.float32)
        pose = self.sights.select(np.array([self.row]))
        return pose.replace(
            keypoints=pose.keypoints + shift,
            boxes=pose.boxes + np.tile(shift, 2),
            scores=pose.scores * fade,
            subject_scores=pose.subject_scores * fade,
            sources=np.where(pose.sources == Source.MISSING, Source.MISSING, Source.HELD),
            ids=np.array([self.id]),
            labels=np.array([self.labels.most_common(1)[0][0]]),
            states=np.array([TrackState.PREDICTED]),
            ages_ns=np.array([stamp_ns - self.born_ns]),
            points=None,
            covariances=None,
            regions=None,
            frames=None,
        )


class Tracker:
    """Give every subject an id that lasts. The same input gives the same ids."""

    def __init__(self, options: TrackerOptions | None = None, numbers: Iterator[int] | None = None) -> None:
        """Start with no tracks.

        Args:
            options: How to follow.
            numbers: New ids; trackers that share them give no id twice. Counts from 1 up when left out.
        """
        self.options = options or TrackerOptions()
        self._tracks: list[_Track] = []
        #: Where new ids come from.
        self.numbers = numbers or itertools.count(1)
        self._stamp_ns: int | None = None

    def update(self, poses: Poses, stamp_ns: int) -> tuple[Poses, Sequence[int]]:
        """Return the poses with ids, states, ages and steady labels, and the ids that ended with this frame.

        Subjects keep their order; predicted ones, if asked for, follow. A subject without any position gets no id.
        A stamp before the last one starts over.
        """
        ended = list(self.reset()) if self._stamp_ns is not None and stamp_ns < self._stamp_ns else []
        self._stamp_ns = stamp_ns
        if self._tracks and self._tracks[0].sights.skeleton != poses.skeleton:
            ended += self.reset()
        ended += self._end([t for t in self._tracks if stamp_ns - t.seen_ns > self.options.max_lost * 1e9])

        # Every sight has a box, and a track keeps it so; what is published stays as it came.
        sights = poses.boxed()
        ids, ages, labels = np.zeros(len(poses), np.int64), np.zeros(len(poses), np.int64), poses.labels.copy()
        states = np.full(len(poses), TrackState.UNTRACKED, np.uint8)
        similarity = self._similarity(sights, stamp_ns)
        if len(similarity) and sights.parents.any():
            similarity[self._others(sights)] = 0
        pairs = assign(similarity, self.options.min_similarity)
        seen = []
        for number, row in pairs.tolist():
            track = self._tracks[number]
            track.see(sights, row, stamp_ns)
            ids[row], states[row], ages[row] = track.id, TrackState.TRACKED, stamp_ns - track.born_ns
            labels[row] = track.called(str(labels[row]))
            seen.append(track.id)
        unseen = [t for t in self._tracks if t.id not in seen]
        for row in np.flatnonzero((ids == 0) & np.isfinite(sights.boxes).all(axis=1)).tolist():
            ids[row], states[row] = next(self.numbers), TrackState.NEW
            self._tracks.append(_Track(int(ids[row]), stamp_ns, stamp_ns, sights, row))
            self._tracks[-1].called(str(labels[row]))
        poses = poses.replace(ids=ids, states=states, ages_ns=ages, labels=labels)
        return self._with_predicted(poses, unseen, stamp_ns), ended

    def reset(self) -> Sequence[int]:
        """Forget all tracks; returns the ids that ended. No id is ever given again."""
        self._stamp_ns = None
        return self._end(self._tracks)

    def _end(self, tracks: list[_Track]) -> list[int]:
        ended = [t.id for t in tracks]
        self._tracks = [t for t in self._tracks if t.id not in ended]
        return ended

    def _similarity(self, sights: Poses, stamp_ns: int) -> np.ndarray:
        """Return (tracks, subjects) in [0, 1]: the mean of box overlap and keypoint closeness, at ``stamp_ns``."""
        if not self._tracks or not len(sights):
            return np.zeros((len(self._tracks), len(sights)))
        shift = np.array([t.shift(stamp_ns) for t in self._tracks])
        boxes = np.array([t.sights.boxes[t.row] for t in self._tracks]) + np.concatenate([shift, shift], axis=1)
        overlap = iou(boxes, sights.boxes)
        if overlap.shape == (1, 1) and overlap[0, 0] >= 2 * self.options.min_similarity:
            return overlap / 2  # whatever the keypoints add, it is the same one: by far the most frequent case
        lost_s = np.array([stamp_ns - t.seen_ns for t in self._tracks]) * 1e-9
        keypoints = np.array([t.sights.keypoints[t.row] for t in self._tracks]) + shift[:, None]
        scores = np.array([t.sights.scores[t.row] for t in self._tracks])
        size = np.sqrt(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))
        reach = np.maximum(size, _MIN_SIZE) * (_TOLERANCE + _TOLERANCE_PER_S * lost_s)
        close = closeness(keypoints, scores, sights.keypoints, sights.scores, reach)
        close = np.where(np.isnan(close), overlap, close)
        return (overlap + close) / 2

    def _others(self, sights: Poses) -> np.ndarray:
        """Return (tracks, subjects) bool: parts of different subjects, or of different sides, are not the same."""
        parents = np.array([t.sights.parents[t.row] for t in self._tracks])[:, None]
        sides = np.array([t.sights.sides[t.row] for t in self._tracks])[:, None]
        parts = (parents > 0) & (sights.parents > 0)
        return np.asarray(parts & ((parents != sights.parents) | (sides != sights.sides)))

    def _with_predicted(self, poses: Poses, unseen: list[_Track], stamp_ns: int) -> Poses:
        """Append the subjects that are not seen, while their prediction is wanted."""
        limit = self.options.predict * 1e9
        recent = [t for t in unseen if stamp_ns - t.seen_ns < limit]
        if not recent:
            return poses
        return concatenate([poses, *(t.predicted(stamp_ns, 1 - (stamp_ns - t.seen_ns) / limit) for t in recent)])
