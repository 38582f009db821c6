# SPDX-License-Identifier: Apache-2.0
"""Watch: skeletons over time to hands that may be reached and distances that have to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, Poses
from pose_ros.manipulation.gates import Ages, GateOptions, gated
from pose_ros.manipulation.hands import Hands, hands
from pose_ros.manipulation.intent import Intent, IntentOptions, Intents, evidence
from pose_ros.manipulation.people import Company, People, PeopleOptions
from pose_ros.manipulation.separation import Robot, Separation, SeparationOptions, Zone, separations

#: Away from the ground in the frame of a robot's base (REP-103).
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class WatchOptions(PeopleOptions, IntentOptions, GateOptions, SeparationOptions):
    """All that :class:`Watch` can be told."""

    free_target: bool = option(
        False, "Leave the forearm and hand of the best valid handover out of separations: only for robots whose "
        "contacts are limited in power and force.", live=True,
    )


@dataclass(frozen=True, eq=False)
class Sight:
    """What is known at a moment, in the frame of the base."""

    people: People
    #: H hands, the best first, and of each (H,):
    hands: Hands
    intents: np.ndarray
    intent_scores: np.ndarray
    grips: np.ndarray
    #: (H,) seconds since it was measured, by stamps; and why a robot must not act on it, empty while it may.
    ages_s: np.ndarray
    reasons: Sequence[str]
    #: (H, 3) unit vectors along which a gripper should come.
    approaches: np.ndarray
    #: The most critical first.
    separations: Sequence[Separation]
    #: The most severe one; STOP as well where something needed is unknown, which ``reason`` names.
    zone: Zone
    reason: str

    @property
    def target(self) -> int | None:
        """Row of the hand that a robot should go to: the best one, while it is valid."""
        return 0 if self.reasons and not self.reasons[0] else None


class Watch:
    """Watches people and their hands. A stamp before the last one starts over."""

    def __init__(self, options: WatchOptions = WatchOptions()) -> None:
        """Start with nobody."""
        self._company, self._intents, self._ages = Company(options), Intents(options), Ages()
        self.options = options
        self._target = 0

    @property
    def options(self) -> WatchOptions:
        """What it was told; may be set."""
        return self._options

    @options.setter
    def options(self, options: WatchOptions) -> None:
        self._options = self._company.options = self._intents.options = options

    def reset(self) -> None:
        """Forget everybody."""
        for memory in (self._company, self._intents, self._ages):
            memory.reset()
        self._target = 0

    def __call__(
        self, bodies: Poses, hand_poses: Poses | None, stamp_ns: int, rotation: np.ndarray, translation: np.ndarray,
        robot: Robot, tool: np.ndarray, shoulder: np.ndarray, delay_s: float = 0.0,
    ) -> Sight:
        """Return what is known of a moment.

        Args:
            bodies: People; or hands that are looked at alone.
            hand_poses: Their tracked hands at that moment, if any.
            stamp_ns: When.
            rotation: (3, 3) and ``translation`` (3,): from the frame of the poses to that of the base.
            translation: See ``rotation``.
            robot: Its parts at that moment.
            tool: (3,) where it hands things over, metres.
            shoulder: (3,) from where it reaches, metres.
            delay_s: How old all this is by now.
        """
        options = self._options
        people = self._company(bodies, hand_poses, stamp_ns, rotation, translation)
        found = hands(people, UP)
        intents, scores, grips = self._intents(found, evidence(people, found, tool, UP, options.robot_holds), stamp_ns)
        ages = self._ages(found, stamp_ns)
        reasons = gated(options, found, intents, ages + max(delay_s, 0.0), shoulder)
        valid = np.array([not reason for reason in reasons], bool)
        # The hand that a robot is under way to stays the best one for as long as it is valid.
        rank = np.lexsort((-found.scores * scores, (found.keys != self._target) | (self._target == 0), ~valid))
        found, reasons = found.select(rank), [reasons[row] for row in rank]
        intents, scores, grips, ages = (column[rank] for column in (intents, scores, grips, ages))
        best = bool(reasons) and not reasons[0]
        self._target = int(found.keys[0]) if best else 0
        free = (int(found.people[0]), int(found.sides[0] != LEFT)) if best and options.free_target else None
        apart = separations(people, robot, options, delay_s, free)
        lacking = np.setdiff1d(np.arange(len(people)), [one.person for one in apart])
        reason = "" if robot.names else "no robot_frames are given"
        if robot.names and len(lacking):
            names = ", ".join(str(people.ids[row]) if people.ids[row] else "of a hand alone" for row in lacking)
            reason = f"no place in metres is known of person {names}"
        zone = Zone.STOP if reason else max((one.zone for one in apart), default=Zone.FREE)
        return Sight(
            people, found, intents, scores, grips, ages, reasons, _approaches(found, intents, tool), apart, zone, reason
        )


def _approaches(found: Hands, intents: np.ndarray, tool: np.ndarray) -> np.ndarray:
    """Return where grippers should come from: into the palm that takes, against the fingers that give."""
    way = found.palms - tool
    way = way / np.maximum(np.linalg.norm(way, axis=1), 1e-9)[:, None]
    takes = (intents == Intent.TAKE) & found.turned
    rows = [takes[:, None], (intents == Intent.GIVE)[:, None]]
    return np.select(rows, [-found.rotations[:, :, 2], -found.rotations[:, :, 0]], way)
