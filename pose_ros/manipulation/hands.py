# SPDX-License-Identifier: Apache-2.0
"""Hands: where palms are, how they are turned, how far they are open, and where thumb and forefinger meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_ros.anatomy import hand_frames
from pose_ros.anatomy.body_frames import cross, dot, unit
from pose_ros.core.poses import SIDE_NAMES
from pose_ros.manipulation.people import AT, HAND, SIDES, Joints, People

#: From the wrist to the middle of the palm, where no hand is seen; metres, and its standard deviation: a quarter of a
#: hand of 0.19 m, which may be bent against the forearm.
_PALM_M, _PALM_SIGMA_M = 0.05, 0.05
#: A wrist is bent by so much, standard deviation; radians.
_BENT = 0.5
#: Variance of an angle that may be anything.
_ANY = np.pi**2 / 3
_FINGERS = ("forefinger", "middle_finger", "ring_finger", "pinky_finger")
_KNUCKLES, _TIPS = (np.array([HAND.index(f"{finger}{i}") for finger in _FINGERS]) for i in (1, 4))
#: Joints of the body that say where a palm is and how it is turned.
_PALM = ("palm", "forefinger", "middle_finger", "little_finger")


@dataclass(frozen=True, eq=False)
class Hands:
    """H hands in the frame of the base, of people who have more than a shoulder to show for it."""

    #: (H,) row of its person, id of the body, and of the hand; 0: none.
    people: np.ndarray
    ids: np.ndarray
    hand_ids: np.ndarray
    #: (H,) LEFT or RIGHT; 0 of a tracked hand of which that is not known.
    sides: np.ndarray
    #: (H, 3) middle of the palm, metres.
    palms: np.ndarray
    #: (H, 3, 3) as columns: x where the fingers point, z out of the palm. Of a forearm alone z is up as far as can be.
    rotations: np.ndarray
    #: (H,) bool: the palm was seen, not only the forearm.
    turned: np.ndarray
    #: (H, 6, 6) of position and of small turns about the axes of the base, m^2 and rad^2.
    covariances: np.ndarray
    #: (H,) the least sure of the joints, and whether all of them were seen in this image.
    scores: np.ndarray
    measured: np.ndarray
    #: (H,) 0 closed .. 1 open; NaN unknown.
    openings: np.ndarray
    #: (H, 3) half way between the tips of thumb and forefinger; NaN unknown.
    pinches: np.ndarray
    #: (H, 3) metres per second.
    velocities: np.ndarray

    def __len__(self) -> int:
        """Return H."""
        return len(self.ids)

    @property
    def keys(self) -> np.ndarray:
        """(H,) what a hand is remembered by; 0: by nothing."""
        own = np.where(self.ids > 0, self.ids * 4 + self.sides, -4 * self.hand_ids)
        return np.where((self.ids > 0) | (self.hand_ids > 0), own, 0)

    def select(self, rows: np.ndarray) -> Hands:
        """Return the hands at ``rows``, indices or a mask."""
        return Hands(**{name: column[rows] for name, column in self.__dict__.items()})


def hands(people: People, up: np.ndarray) -> Hands:
    """Return all hands of which at least the forearm is seen, the left ones first.

    A palm is half way between its wrist and the knuckle of the middle finger. Covariances are bounds that hold
    whatever the errors of joints have in common: that of a mean is no more than the mean of theirs.

    Args:
        people: Whose.
        up: (3,) unit vector away from the ground.
    """
    parts = [_side(people, side, up) for side in range(2)]
    return Hands(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _side(people: People, side: int, up: np.ndarray) -> dict[str, Any]:
    name = SIDE_NAMES[SIDES[side]]
    body, own = people.body, people.hands
    at = [AT[f"{name}_{joint}"] for joint in _PALM]
    wrist, fore, middle, little = np.moveaxis(body.points[:, at], 1, 0)
    spread = body.covariances[:, at]
    elbow, end = AT[f"{name}_elbow"], AT[f"{name}_wrist"]
    # The palm of a hand may look either way where its side is not known.
    sides = np.where(people.sided[:, side], SIDES[side], 0)
    right = np.where(people.sided[:, side], 2.0 * side - 1, np.nan)
    rotations = hand_frames.axes(middle - wrist, (fore - little) * right[:, None])
    # That frame has z out of the back.
    rotations = rotations * np.array([1.0, -1.0, -1.0])
    turned = np.isfinite(rotations).all(axis=(1, 2))
    palms = (wrist + middle) / 2
    along = unit(body.points[:, end] - body.points[:, elbow])
    seen = np.isfinite(palms).all(axis=1)
    palms = np.where(seen[:, None], palms, body.points[:, end] + _PALM_M * along)
    fingers = _quiet(middle - wrist)
    x = np.where(np.isfinite(fingers), fingers, along)
    rotations = np.where(turned[:, None, None], rotations, _upwards(x, up))

    position = np.where(
        seen[:, None, None], (spread[:, 0] + spread[:, 2]) / 2, body.covariances[:, end] + _PALM_SIGMA_M**2 * np.eye(3)
    )
    relative = ((spread[:, 0] + spread[:, 2]), (spread[:, 1] + spread[:, 3]))
    turns = _turns(rotations, turned, seen, relative, middle - wrist, fore - little)
    covariances = np.zeros((len(people), 6, 6))
    covariances[:, :3, :3], covariances[:, 3:, 3:] = position, turns
    scores, measured = _sure(body, at, [elbow, end], seen, turned)
    whole = Joints(own.points[:, side], own.covariances[:, side], own.scores[:, side], own.measured[:, side])
    velocity = people.velocities
    velocity = np.where(seen[:, None], (velocity[:, at[0]] + velocity[:, at[2]]) / 2, velocity[:, end])
    columns = {
        "people": np.arange(len(people)), "ids": people.ids, "hand_ids": people.hand_ids[:, side], "sides": sides,
        "palms": palms, "rotations": rotations, "turned": turned, "covariances": covariances, "scores": scores,
        "measured": measured, "openings": _openings(whole.points), "velocities": velocity,
        "pinches": hand_frames.pinches(whole.points[:, : len(hand_frames.JOINTS)])[0],
    }  # fmt: skip
    there = np.isfinite(palms).all(axis=1) & np.isfinite(rotations).all(axis=(1, 2))
    return {key: column[there] for key, column in columns.items()}


def _quiet(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return unit(x)


def _upwards(x: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return rotations (N, 3, 3) with x as it is and z up as far as can be."""
    # Of what points straight up or down any z will do.
    steep = np.abs(dot(x, up)) > 1 - 1e-6
    y = cross(np.where(steep, np.roll(up, 1), up), x)
    y = _quiet(y)
    return np.stack([x, y, cross(x, y)], axis=-1)


def _turns(
    rotations: np.ndarray, turned: np.ndarray, seen: np.ndarray, relative: tuple[np.ndarray, np.ndarray],
    along: np.ndarray, across: np.ndarray,
) -> np.ndarray:
    """Return covariances (N, 3, 3) of small turns: errors across two lines by the lengths of these, to first order."""
    first, second = (rotations.swapaxes(1, 2) @ covariance @ rotations for covariance in relative)
    length, width = (np.einsum("ni,ni->n", line, line) for line in (along, across))
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.stack([second[:, 2, 2] / width, first[:, 2, 2] / length, first[:, 1, 1] / length], axis=1)
    own = np.where(seen[:, None], own, [_ANY, _BENT**2, _BENT**2])
    own[~turned, 0] = _ANY
    return np.asarray((rotations * np.minimum(own, _ANY)[:, None]) @ rotations.swapaxes(1, 2))


def _sure(
    body: Joints, palm: list[int], forearm: list[int], seen: np.ndarray, turned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of the least sure joint that was used, and whether all of them were measured."""
    line = [palm[0], palm[2]]
    choices = [(turned, palm), (seen, line), (~seen, forearm)]
    scores = np.select([rows for rows, _ in choices], [body.scores[:, at].min(axis=1) for _, at in choices])
    measured = np.select([rows for rows, _ in choices], [body.measured[:, at].all(axis=1) for _, at in choices])
    return scores, measured.astype(bool)


def _openings(hand: np.ndarray) -> np.ndarray:
    """Return how far hands (N, len(HAND), 3) are open: how straight two fingers or more go on from the palm."""
    palm, finger = hand[:, _KNUCKLES] - hand[:, :1], hand[:, _TIPS] - hand[:, _KNUCKLES]
    straight = (1 + dot(_quiet(palm), _quiet(finger))[..., 0]) / 2
    known = np.isfinite(straight)
    total = np.where(known, straight, 0).sum(axis=1)
    return np.where(known.sum(axis=1) >= 2, total / np.maximum(known.sum(axis=1), 1), np.nan)
