# SPDX-License-Identifier: Apache-2.0
"""People: bodies and their tracked hands in one set of joints, in the frame of a robot's base, and how fast they move.

Time comes from stamps. A hand that is tracked on its own replaces what the body's keypoints say of that hand; one that
belongs to nobody is a person of whom only a hand is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.anatomy import body_frames, hand_frames
from pose_ros.core.convert import conversion, converts
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT, SIDE_NAMES, Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.tracking.kalman import Motion

#: What a person is seen by; more of the head than its frame needs, because half of a face is a head, too.
_PERSON = Skeleton(
    "person", (*body_frames.BODY.keypoints, "nose", "left_eye", "right_eye", "neck", "head_top"),
    made=body_frames.BODY.made,
)  # fmt: skip
#: Joints of a person, and where each is.
BODY, AT = _PERSON.keypoints, _PERSON.index
SIDES = (LEFT, RIGHT)
#: Joints of a hand: those of hand_frames, and what says how far the other fingers are stretched.
HAND = (*hand_frames.JOINTS, *(f"{finger}_finger{i}" for finger in ("middle", "ring", "pinky") for i in (1, 4)
                               if f"{finger}_finger{i}" not in hand_frames.JOINTS))  # fmt: skip
_HANDS = {
    owner: Skeleton(owner, tuple(f"{owner}/{name}" for name in HAND)) for owner in ("hand", "left_hand", "right_hand")
}
#: Joints of the body that a hand knows better.
_OF_HAND = {"palm": "wrist", "forefinger": "forefinger1", "middle_finger": "middle_finger1",
            "little_finger": "pinky_finger1"}  # fmt: skip
#: A joint begins anew when it was not seen for longer, seconds.
_MEMORY_S = 0.5
#: How much the velocity of a joint changes in a second, standard deviation: people who reach out, metres per second.
_ACCELERATION = 2.0
#: Nothing is measured better than this, metres: so that a covariance of zeros does no harm.
_LEAST_M = 1e-3
_STILL = 1.5**2 * np.eye(3)


@dataclass(frozen=True)
class PeopleOptions:
    """What to believe of skeletons."""

    min_score: float = option(
        0.1, "Keypoints below it are not there; hands have a gate of their own.", low=0.0, high=1.0, live=True
    )
    point_sigma: float = option(
        0.03, "Standard deviation of points that come without a covariance.", unit="m", low=1e-3, high=1.0, live=True
    )


@dataclass(frozen=True, eq=False)
class Joints:
    """Joints of N subjects in the frame of the base; NaN where missing."""

    #: (N, J, 3) metres.
    points: np.ndarray
    #: (N, J, 3, 3) m^2.
    covariances: np.ndarray
    #: (N, J); 0 where missing.
    scores: np.ndarray
    #: (N, J) bool: seen in this image, neither inferred nor held.
    measured: np.ndarray

    @classmethod
    def unpack(cls, columns: np.ndarray) -> Joints:
        """Return the joints of (N, J, 14)."""
        lost = ~np.isfinite(columns[..., :3]).all(axis=-1)
        points = np.where(lost[..., None], np.nan, columns[..., :3])
        scores = np.where(lost, 0, np.nan_to_num(columns[..., 12]))
        return cls(points, columns[..., 3:12].reshape(*lost.shape, 3, 3), scores, ~lost & (columns[..., 13] == 1))


@dataclass(frozen=True, eq=False)
class People:
    """P people, first those with a body."""

    #: (P,) ids of their bodies; 0 where only a hand is seen.
    ids: np.ndarray
    #: (P,) what a person is remembered by; 0: by nothing.
    keys: np.ndarray
    #: Of :data:`BODY`.
    body: Joints
    #: (P, 2) ids of tracked hands, left and right; 0: no such.
    hand_ids: np.ndarray
    #: (P, 2) bool: False of a tracked hand of which is not known whether it is a left or a right one.
    sided: np.ndarray
    #: Of :data:`HAND`, (P, 2, ...).
    hands: Joints
    #: (P, J, 3) metres per second, and (P, J, 3, 3) their covariances.
    velocities: np.ndarray
    velocity_covariances: np.ndarray

    def __len__(self) -> int:
        """Return P."""
        return len(self.ids)


class Company:
    """Remembers how people move."""

    def __init__(self, options: PeopleOptions = PeopleOptions()) -> None:
        """Start with nobody."""
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._stamp_ns = 0
        self._keys = np.empty(0, np.int64)
        self._seen_ns = np.empty((0, len(BODY)), np.int64)
        self._motion = Motion.begin(np.zeros((0, len(BODY), 3)), np.zeros((0, len(BODY), 3, 3)))

    def __call__(
        self, bodies: Poses, hands: Poses | None, stamp_ns: int, rotation: np.ndarray, translation: np.ndarray
    ) -> People:
        """Return the people of a moment.

        Args:
            bodies: In their own frame; may also be hands that are looked at alone.
            hands: Tracked hands of the same moment, in the same frame, whose ``parents`` are bodies.
            stamp_ns: When; earlier than the last one: everybody is forgotten.
            rotation: (3, 3) and ``translation`` (3,) metres: p_base = rotation p + translation.
            translation: See ``rotation``.
        """
        if bodies.skeleton.subject == "hand":
            bodies, hands = Poses.empty(_PERSON), bodies
        body, own = (None if p is None else self._columns(p, rotation, translation) for p in (bodies, hands))
        assert body is not None
        width = body.shape[-1]
        joints = conversion(bodies.skeleton, _PERSON).points(body)
        each = np.full((len(bodies), 2, len(HAND), width), np.nan)
        for side, owner in enumerate(("left_hand", "right_hand")):
            if converts(bodies.skeleton, _HANDS[owner]):
                each[:, side] = conversion(bodies.skeleton, _HANDS[owner]).points(body)
        ids, keys, hand_ids = bodies.ids, bodies.ids, np.zeros((len(bodies), 2), np.int64)
        sided = np.ones((len(bodies), 2), bool)
        if hands is not None and own is not None and len(hands) and converts(hands.skeleton, _HANDS["hand"]):
            found = conversion(hands.skeleton, _HANDS["hand"]).points(own)
            told = np.isin(hands.sides, SIDES)
            same = (hands.parents[:, None] == ids) & (ids > 0)
            owned = told & same.any(axis=1)
            alone = np.flatnonzero(~owned)
            rows = np.concatenate([same.argmax(axis=1)[owned] if len(ids) else [], len(ids) + np.arange(len(alone))])
            rows, order = rows.astype(np.int64), np.concatenate([np.flatnonzero(owned), alone])
            # Where its side is not known, a hand is there all the same, and can be run into.
            sides = (hands.sides[order] == RIGHT).astype(np.int64)
            grow = ((0, len(alone)), *((0, 0),) * 2)
            joints = np.pad(joints, grow, constant_values=np.nan)
            each = np.pad(each, (*grow, (0, 0)), constant_values=np.nan)
            hand_ids, sided = np.pad(hand_ids, grow[:2]), np.pad(sided, grow[:2], constant_values=True)
            ids = np.pad(ids, (0, len(alone)))
            keys = np.concatenate([keys, -hands.ids[alone]])
            each[rows, sides], hand_ids[rows, sides], sided[rows, sides] = found[order], hands.ids[order], told[order]
            tracked = np.zeros_like(sided)
            tracked[rows, sides] = True
        else:
            tracked = np.zeros_like(sided)
        for side, name in enumerate(SIDE_NAMES[s] for s in SIDES):
            known = tracked[:, side] & np.isfinite(each[:, side, 0, 0])
            for joint, of_hand in _OF_HAND.items():
                joints[known, AT[f"{name}_{joint}"]] = each[known, side, HAND.index(of_hand)]
            unowned = known & (ids == 0)
            joints[unowned, AT[f"{name}_wrist"]] = each[unowned, side, 0]
        whole = Joints.unpack(joints)
        motion = self._moved(keys, whole, stamp_ns)
        return People(ids, keys, whole, hand_ids, sided, Joints.unpack(each), *motion)

    def _columns(self, poses: Poses, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Return (N, K, 14): point, covariance, score and whether it was measured, in the frame of the base."""
        options, shape = self.options, poses.scores.shape
        points = np.full((*shape, 3), np.nan) if poses.points is None else poses.points.astype(np.float64)
        points = np.where((poses.scores >= options.min_score)[..., None], points, np.nan) @ rotation.T + translation
        plain = np.broadcast_to(options.point_sigma**2 * np.eye(3), (*shape, 3, 3))
        covariances = plain if poses.covariances is None else poses.covariances.astype(np.float64)
        covariances = np.where(np.isfinite(covariances).all(axis=(2, 3), keepdims=True), covariances, plain)
        covariances = rotation @ covariances @ rotation.T + _LEAST_M**2 * np.eye(3)
        measured = poses.sources == Source.MEASURED
        return np.concatenate([
            points, covariances.reshape(*shape, 9), poses.scores[..., None], measured[..., None]
        ], axis=-1)  # fmt: skip

    def _moved(self, keys: np.ndarray, body: Joints, stamp_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return velocities and their covariances, and remember them."""
        if stamp_ns < self._stamp_ns:
            self.reset()
        there = np.isfinite(body.points).all(axis=-1)
        points = np.where(there[..., None], body.points, 0)
        covariances = np.where(there[..., None, None], body.covariances, np.eye(3))
        fresh = Motion.begin(points, covariances)
        same = (self._keys == keys[:, None]) & (keys != 0)[:, None]
        known = same.any(axis=1)
        motion, seen_ns = fresh, np.where(there, stamp_ns, 0)
        if known.any():
            rows = same.argmax(axis=1)
            seconds = (stamp_ns - self._stamp_ns) * 1e-9
            old = self._motion.select(rows).later(seconds, _ACCELERATION**2)
            goes_on = known[:, None] & (stamp_ns - self._seen_ns[rows] <= _MEMORY_S * 1e9)
            # The same moment again tells nothing new.
            now = old.seen(points, covariances)[0] if seconds > 0 else old
            motion = fresh.where(goes_on, old).where(goes_on & there, now)
            seen_ns = np.where(there, stamp_ns, np.where(goes_on, self._seen_ns[rows], 0))
        self._stamp_ns, self._keys, self._seen_ns, self._motion = stamp_ns, keys, seen_ns, motion
        still = np.where(there[..., None, None], motion.velocity_spread, _STILL)
        return np.where(there[..., None], motion.velocity, np.nan), still
