# SPDX-License-Identifier: Apache-2.0
"""Tracks: what is remembered of subjects over time, in columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_ros.core.poses import Poses, Source, TrackState, concatenate
from pose_ros.core.regions import keypoints_to_boxes

#: The velocity is a mean over about this time, seconds.
_VELOCITY_S = 0.1
#: Nobody walks straight on for longer than this, seconds: from here on the place is only less and less certain.
_COAST_S = 1.0
#: A keypoint that is hidden is expected where it moved with the others; its weight falls by 1/e in this time, seconds.
_MEMORY_S = 0.5
#: The appearance is a mean over about this time, seconds.
_LOOK_S = 2.0


@dataclass(frozen=True, eq=False)
class Tracks:
    """T subjects over time, those that were seen first come first."""

    #: (T,) int64.
    ids: np.ndarray
    born_ns: np.ndarray
    seen_ns: np.ndarray
    #: (T,) bool: whether it was missing from an image since it was seen.
    missed: np.ndarray
    #: How they were seen last; all that have pixels have a box.
    sights: Poses
    #: (T, K, 2) pixels, (T, K): the same; what was hidden moved with the rest.
    keypoints: np.ndarray
    scores: np.ndarray
    #: (T, 4) pixels: around all that is known of it, hidden or not.
    extents: np.ndarray
    #: (T,) bool: seen at one time only, so that nothing is known of its velocity yet, which is 0.
    fresh: np.ndarray
    #: (T, 2) pixels per second and (T, 3) metres per second.
    velocity: np.ndarray
    velocity_m: np.ndarray
    #: (T, V) how often detectors called it by each of their names.
    votes: np.ndarray
    #: (T, D) appearance; NaN until it is known.
    looks: np.ndarray

    @classmethod
    def born(cls, ids: np.ndarray, sights: Poses, votes: np.ndarray, looks: np.ndarray, stamp_ns: int) -> Tracks:
        """Return tracks that begin with these sights."""
        n = len(ids)
        stamps = np.full(n, stamp_ns)
        return cls(
            ids, stamps, stamps, np.zeros(n, bool), sights, sights.keypoints, sights.scores, sights.boxes,
            np.ones(n, bool), np.zeros((n, 2)), np.zeros((n, 3)), votes, looks,
        )  # fmt: skip

    def __len__(self) -> int:
        """Return T."""
        return len(self.ids)

    def select(self, rows: np.ndarray) -> Tracks:
        """Return the tracks at ``rows`` (indices or a mask), in that order."""
        columns: dict[str, Any] = {
            name: column.select(rows) if isinstance(column, Poses) else column[rows]
            for name, column in self.__dict__.items()
        }
        return Tracks(**columns)

    def joined(self, other: Tracks) -> Tracks:
        """Return these tracks and the other ones."""
        columns: dict[str, Any] = {
            name: (concatenate if name == "sights" else np.concatenate)([column, getattr(other, name)])
            for name, column in self.__dict__.items()
        }
        return Tracks(**columns)

    def shift(self, stamp_ns: int) -> np.ndarray:
        """Return how far each should have moved since it was seen, (T, 2) float32 pixels."""
        return np.asarray(self.velocity * self.coast_s(stamp_ns)[:, None], np.float32)

    def shift_m(self, stamp_ns: int) -> np.ndarray:
        """Return how far each should have moved since it was seen, (T, 3) float32 metres."""
        return np.asarray(self.velocity_m * self.coast_s(stamp_ns)[:, None], np.float32)

    def coast_s(self, stamp_ns: int) -> np.ndarray:
        """Return for how long each has been moving on unseen, (T,) seconds."""
        return np.minimum((stamp_ns - self.seen_ns) * 1e-9, _COAST_S)

    def seen(self, sights: Poses, votes: np.ndarray, looks: np.ndarray, stamp_ns: int) -> Tracks:
        """Return the tracks after each was seen as the subject in the same row.

        Args:
            sights: (T,) subjects.
            votes: (T, V) 1 for what they are called now.
            looks: (T, D) their appearance; NaN where it is not known.
            stamp_ns: When.
        """
        seconds = (stamp_ns - self.seen_ns) * 1e-9
        keypoints, scores, extents = sights.keypoints, sights.scores, sights.boxes
        moved, whole = _mean(keypoints - self.keypoints, scores * self.scores)
        if not whole:
            by_box = (sights.boxes - self.sights.boxes).reshape(-1, 2, 2).mean(axis=1)
            moved = np.where(np.isnan(moved), by_box, moved)
            hidden = np.isnan(keypoints)
            keypoints = np.where(hidden, self.keypoints + moved[:, None], keypoints)
            faded = self.scores * np.exp(-seconds / _MEMORY_S)[:, None]
            scores = np.where(hidden.any(axis=2), faded, scores)
            known = keypoints_to_boxes(keypoints)
            extents = np.concatenate([np.fmin(known[:, :2], extents[:, :2]), np.fmax(known[:, 2:], extents[:, 2:])], 1)
        part = -np.expm1(seconds / -_VELOCITY_S)
        part[self.fresh] = 1
        rate = np.divide(part, seconds, out=np.zeros(len(part)), where=seconds > 0)
        velocity_m = self.velocity_m
        if sights.points is not None and self.sights.points is not None:
            moved_m, _ = _mean(sights.points - self.sights.points, np.ones(scores.shape))
            velocity_m = _steady(velocity_m, moved_m, part, rate)
        if looks.size:
            new = np.where(np.isnan(looks), self.looks, looks)
            old = np.where(np.isnan(self.looks), new, self.looks)
            looks = old - np.expm1(seconds / -_LOOK_S)[:, None] * (new - old)
        return Tracks(
            self.ids, self.born_ns, np.full(len(self), stamp_ns), np.zeros(len(self), bool), sights, keypoints, scores,
            extents, self.fresh & (seconds <= 0), _steady(self.velocity, moved, part, rate), velocity_m,
            self.votes + votes, looks,
        )  # fmt: skip

    def predicted(self, stamp_ns: int, limit_ns: float) -> Poses:
        """Return the subjects moved on, less and less sure until ``limit_ns`` after they were seen.

        What is metric in the frame of a camera, which may move, is not known any more. Subjects without pixels live in
        the frame of a room: their points move on, without a covariance.
        """
        sights, shift = self.sights, self.shift(stamp_ns)
        fade = 1 - (stamp_ns - self.seen_ns) / limit_ns
        points, flat = None, np.isnan(sights.boxes).any(axis=1)
        if sights.points is not None and flat.any():
            points = np.where(flat[:, None, None], sights.points + self.shift_m(stamp_ns)[:, None], np.nan)
        return sights.replace(
            keypoints=sights.keypoints + shift[:, None],
            boxes=sights.boxes + np.tile(shift, 2),
            scores=sights.scores * fade[:, None],
            subject_scores=sights.subject_scores * fade,
            sources=np.where(sights.sources == Source.MISSING, Source.MISSING, Source.HELD),
            ids=self.ids,
            states=np.full(len(self), TrackState.PREDICTED),
            ages_ns=stamp_ns - self.born_ns,
            points=points,
            covariances=None,
            views=None,
            reprojection_errors=None,
            regions=None,
            frames=None,
        )

    def lost(self, stamp_ns: int) -> Poses:
        """Return the subjects without keypoints, in the boxes where they were last."""
        sights = self.sights
        n, k = sights.scores.shape
        return Poses(
            sights.skeleton,
            np.full((n, k, 2), np.nan),
            np.zeros((n, k)),
            boxes=sights.boxes,
            subject_scores=np.zeros(n),
            ids=self.ids,
            parents=sights.parents,
            labels=sights.labels,
            states=np.full(n, TrackState.LOST),
            ages_ns=stamp_ns - self.born_ns,
            sides=sights.sides,
            side_scores=sights.side_scores,
        )


def _mean(moved: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the mean movement of keypoints that are known before and after, (T, K, D) and (T, K) -> (T, D).

    It is NaN where there is none. Also returned is whether all keypoints are known.
    """
    total, moves = weight.sum(axis=1)[:, None], (weight[:, None] @ moved)[:, 0]
    whole = not np.isnan(moves).any()
    if not whole:
        missing = np.isnan(moved).any(axis=2)
        weight = np.where(missing, 0, weight)
        total = weight.sum(axis=1)[:, None]
        moves = (weight[:, None] @ np.where(missing[..., None], 0, moved))[:, 0]
    elif total.all():
        return moves / total, True
    return np.divide(moves, total, out=np.full(moves.shape, np.nan), where=total > 0), whole


def _steady(velocity: np.ndarray, moved: np.ndarray, part: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return the mean velocity over time after subjects moved, (T, D); what did not is as fast as it was.

    Args:
        velocity: (T, D) so far.
        moved: (T, D), NaN where it is not known.
        part: (T,) weight of the newest velocity.
        rate: (T,) the same by the seconds that the movement took.
    """
    mean = velocity + rate[:, None] * moved - part[:, None] * velocity
    unknown = np.isnan(mean)
    return np.where(unknown, velocity, mean) if unknown.any() else mean
