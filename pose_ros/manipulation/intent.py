# SPDX-License-Identifier: Apache-2.0
"""Intent: whether a hand is held out to be given something, or to have something taken from it.

Rules, each a ramp from 0 to 1, whose product is the evidence. They follow what studies of handovers between people and
robots describe: the arm is stretched toward the partner at about the height of the chest, and the hand waits there
(Basili et al., Investigating Human-Human Approach and Hand-Over, 2009; Strabala et al., Toward Seamless Human-Robot
Handovers, J. Human-Robot Interaction 2(1), 2013; Pan et al., Automated detection of handovers using kinematic features,
Int. J. Robotics Research 36, 2017; review: Ortenzi et al., Object Handovers, IEEE T-RO 37(6), 2021). An open hand with
its palm up asks; fingers that are closed about something offer (Yang et al., Human Grasp Classification for Reactive
Human-to-Robot Handovers, 2020, tell them apart in the same way). The numbers of the ramps are ours, not theirs.

No object is looked for. A robot that knows whether it holds one itself should say so: then only one intent is possible,
and where no fingers are seen it decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pose_ros.anatomy.body_frames import dot
from pose_ros.core.options import option
from pose_ros.core.poses import SIDE_NAMES
from pose_ros.manipulation.hands import Hands
from pose_ros.manipulation.people import AT, SIDES, People


class Intent(IntEnum):
    """What a hand is held out for; the values of Handover.msg."""

    NONE = 0
    TAKE = 1
    GIVE = 2


class Grip(IntEnum):
    """How far a hand is open; the values of Handover.msg."""

    UNKNOWN = 0
    OPEN = 1
    CLOSED = 2


#: From, to: where evidence is 0 and where it is 1.
_STRETCH = 0.6, 0.8  # shoulder to wrist, by the length of the arm
_TOWARD = np.cos(np.deg2rad((60, 30)))  # cosine between arm and the way to the robot, seen from above
_ABOVE_HIPS, _BELOW_EYES = (-0.2, 0.0), (0.35, 0.15)  # metres: of the wrist above the hips, and above the shoulders
_STILL = 0.7, 0.35  # metres per second
_OPEN, _CLOSED = (0.5, 0.8), (0.8, 0.55)
_PALM_UP = 0.0, 0.5  # cosine
#: What evidence is worth about which nothing is seen, and an open hand whose palm does not look up where it may also
#: give.
_UNSEEN, _PALM_ASIDE = 0.7, 0.5
#: A hand that was not seen for longer begins anew, seconds.
_MEMORY_S = 0.5
#: Openings between these keep the grip that was.
_GRIPS = 0.55, 0.75


@dataclass(frozen=True)
class IntentOptions:
    """When a hand counts as held out."""

    robot_holds: str = option(
        "unknown", "Whether the robot holds something: 'yes', so that hands can only take; 'no', so that they can only "
        "give; 'unknown'.", choices=("unknown", "yes", "no"), live=True,
    )
    on_score: float = option(0.6, "A hand is held out from this score on.", low=0.0, high=1.0, live=True)
    off_score: float = option(0.35, "And until its score falls below this.", low=0.0, high=1.0, live=True)
    settle: float = option(0.2, "Scores are means over about this time.", unit="s", low=0.0, high=5.0, live=True)


def evidence(people: People, hands: Hands, robot: np.ndarray, up: np.ndarray, holds: str = "unknown") -> np.ndarray:
    """Return how much says that hands take and that they give, (H, 2) in 0 .. 1.

    Args:
        people: With their arms.
        hands: Theirs.
        robot: (3,) where the robot hands things over.
        up: (3,) unit vector away from the ground.
        holds: As :class:`IntentOptions` has it.
    """
    body, rows = people.body.points, hands.people
    right = hands.sides == SIDES[1]
    shoulder, elbow, wrist = (
        np.where(right[:, None], *(body[rows, AT[f"{SIDE_NAMES[s]}_{joint}"]] for s in reversed(SIDES)))
        for joint in ("shoulder", "elbow", "wrist")
    )
    hips, shoulders = ((body[rows, AT[name]] @ up) for name in ("hips", "shoulders"))
    arm, way = wrist - shoulder, robot - np.where(np.isfinite(shoulder), shoulder, wrist)
    length = _norm(elbow - shoulder) + _norm(wrist - elbow)
    pointing = np.where(np.isfinite(arm), arm, wrist - elbow)
    flat_arm, flat_way = (np.asarray(v - dot(v, up) * up) for v in (pointing, way))
    with np.errstate(invalid="ignore", divide="ignore"):
        toward = dot(flat_arm, flat_way)[:, 0] / (_norm(flat_arm) * _norm(flat_way))
        stretch = _norm(arm) / length
    height = hands.palms @ up
    held_out = (
        _ramp(stretch, *_STRETCH) * _ramp(toward, *_TOWARD) * _ramp(height - hips, *_ABOVE_HIPS)
        * _ramp(height - shoulders, *_BELOW_EYES) * _ramp(_norm(hands.velocities), *_STILL)
    )  # fmt: skip
    facing = np.where(hands.turned, dot(hands.rotations[:, :, 2], up)[:, 0], np.nan)
    palm_up, opened, closed = _ramp(facing, *_PALM_UP), _ramp(hands.openings, *_OPEN), _ramp(hands.openings, *_CLOSED)
    if holds == "no":
        # What lies on a flat hand is offered, too.
        closed = np.maximum(closed, opened * palm_up)
    elif holds == "unknown":
        opened = opened * (_PALM_ASIDE + (1 - _PALM_ASIDE) * palm_up)
    fingers, blind = np.stack([opened, closed], axis=1), np.isnan(hands.openings)
    # One of both is told apart only by fingers, or by what the robot knows.
    fingers[blind] = _UNSEEN if holds != "unknown" else 0.0
    possible = {"unknown": (1, 1), "yes": (1, 0), "no": (0, 1)}[holds]
    return np.asarray(held_out[:, None] * fingers * possible)


def _norm(v: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(v, axis=-1))


def _ramp(values: np.ndarray, zero: float, one: float) -> np.ndarray:
    """Return evidence 0 .. 1; what is not known is worth a little less than what is."""
    part = np.clip((values - zero) / (one - zero), 0, 1)
    return np.where(np.isnan(values), _UNSEEN, part)


class Intents:
    """Remembers what each hand was held out for: evidence settles, and what is decided stays for a while."""

    def __init__(self, options: IntentOptions = IntentOptions()) -> None:
        """Start with nobody."""
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._stamp_ns, self._keys = 0, np.empty(0, np.int64)
        self._scores, self._intents, self._grips = np.empty((0, 2)), np.empty(0, np.int64), np.empty(0, np.int64)

    def __call__(
        self, hands: Hands, seen: np.ndarray, stamp_ns: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the intents (H,), their scores (H,) and the grips (H,) of a moment.

        Args:
            hands: H hands.
            seen: (H, 2) of :func:`evidence`.
            stamp_ns: When; earlier than the last one, or long after it: all begin anew.
        """
        options, seconds = self.options, (stamp_ns - self._stamp_ns) * 1e-9
        if not 0 <= seconds <= _MEMORY_S:
            self.reset()
        same = (self._keys == hands.keys[:, None]) & (hands.keys != 0)[:, None]
        known = same.any(axis=1)
        row = same.argmax(axis=1) if len(self._keys) else np.zeros(len(hands), np.int64)
        before, (intents, grips) = np.zeros((len(hands), 2)), np.zeros((2, len(hands)), np.int64)
        for new, old in ((before, self._scores), (intents, self._intents), (grips, self._grips)):
            new[known] = old[row[known]]
        keep = np.exp(-seconds / options.settle) if options.settle and seconds < _MEMORY_S else 0.0
        # What is seen for the first time has to last, too.
        scores = np.where(known[:, None], keep * before + (1 - keep) * seen, 0 if options.settle else seen)
        held = np.take_along_axis(scores, np.maximum(intents - 1, 0)[:, None], axis=1)[:, 0]
        stays = (intents > 0) & (held >= options.off_score) & (held >= scores.max(axis=1) / 2)
        best = scores.argmax(axis=1) + 1
        intents = np.where(stays, intents, np.where(scores.max(axis=1) >= options.on_score, best, Intent.NONE))
        closed, opened = _GRIPS
        sure = [np.isnan(hands.openings), hands.openings >= opened, hands.openings <= closed]
        grips = np.select(sure, [Grip.UNKNOWN, Grip.OPEN, Grip.CLOSED], grips)
        self._stamp_ns, self._keys, self._scores = stamp_ns, hands.keys, scores
        self._intents, self._grips = intents, grips
        column = np.maximum(np.where(intents > 0, intents, best) - 1, 0)
        return intents, np.take_along_axis(scores, column[:, None], axis=1)[:, 0], grips
