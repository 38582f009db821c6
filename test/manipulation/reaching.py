# SPDX-License-Identifier: Apache-2.0
"""People who hold out a hand to a robot at the origin, with palms whose pose is known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from scenes import body, hands
from scenes.choreography import Do, Play, perform
from scenes.people import at

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.manipulation.separation import Robot
from pose_ros.skeletons import catalogue

BODY, HAND = catalogue.get("wholebody133"), catalogue.get("hand21")
SIDES = {"left": LEFT, "right": RIGHT}
#: Stamp at which plays begin.
BEGIN_NS = 1_700_000_000_000_000_000
#: Degrees about the forearm in which the palm of an arm that is stretched to the front looks there.
PALM = {"up": -90.0, "aside": 0.0, "down": 90.0}


@cache
def reach(
    palm: str = "up", curl: float = 0.1, side: str = "right", seconds: float = 1.2, away_m: float = 1.2, **angles: float
) -> Play:
    """Return somebody who stands ``away_m`` in front of the robot, looks at it and holds out a hand after a second."""
    arm = {"@_shoulder_flexion": 55, "@_shoulder_abduction": 0, "@_elbow_flexion": 30,
           "@_forearm_pronation": PALM[palm], "@_hand_curl": np.degrees(curl),
           **{f"@_{name}": value for name, value in angles.items()}}
    return perform(Do("stand", 0.5), Do("point", seconds, side=side, angles=arm), place=(away_m, 0.0), yaw=np.pi)


def seen(
    play: Play, *, skeleton: str = "wholebody133", sigma_m: float = 0.0, rate_hz: float = 30.0, seed: int = 0,
    score: float = 0.9, given: bool = True, until_s: float | None = None,
) -> Iterator[tuple[int, Poses, Poses, np.ndarray]]:
    """Yield stamp, body and tracked hands in metres of the base, and the true points of body.MODEL (J, 3).

    The noise of points is white; ``given`` tells whether their covariances say how large it is.
    """
    rng, kind = np.random.default_rng(seed), catalogue.get(skeleton)
    times, bodies, both, model = _truth(play, skeleton, rate_hz, play.seconds if until_s is None else until_s)
    for i, time in enumerate(times):
        yield (
            BEGIN_NS + round(time * 1e9),
            _poses(kind, bodies[i][None], rng, sigma_m, score, given, ids=np.array([1])),
            _poses(HAND, both[i], rng, sigma_m, score, given, ids=np.array([11, 12]), parents=np.array([1, 1]),
                   sides=np.array([*SIDES.values()])),
            model[i, 0],
        )  # fmt: skip


@cache
def _truth(play: Play, skeleton: str, rate_hz: float, until_s: float) -> tuple[np.ndarray, ...]:
    times = np.arange(0, until_s, 1 / rate_hz)
    truth = at([play.person], times)
    both = np.stack([truth.model[:, 0, [body.MODEL.index[f"{side}_hand/{name}"] for name in hands.NAMES]]
                     for side in SIDES], axis=1)  # fmt: skip
    return times, truth.points(skeleton)[:, 0], both, truth.model


def _poses(kind, points, rng, sigma_m, score, given, **columns) -> Poses:
    points = points + sigma_m * rng.standard_normal(points.shape)
    known = np.isfinite(points).all(axis=2)
    covariances = np.broadcast_to(sigma_m**2 * np.eye(3), (*known.shape, 3, 3)) if given else None
    pixels = np.where(known[..., None], 100.0, np.nan) * np.ones(2)
    return Poses(kind, pixels, known * score, points=points, covariances=covariances, **columns)


def true_palm(model: np.ndarray, play: Play, time_s: float, side: str = "right") -> tuple[np.ndarray, np.ndarray]:
    """Return where a palm is (3,), and how the hand's segment is turned (3, 3): x along it, z out of the palm."""
    joint = {name: model[body.MODEL.index[f"{side}_hand/{name}"]] for name in ("wrist", "middle_finger1")}
    rotation = at([play.person], [time_s]).rotations[f"{side}_hand"][0, 0]
    x, z = -rotation[:, 2], rotation[:, 1] * (1 if side == "right" else -1)
    return (joint["wrist"] + joint["middle_finger1"]) / 2, np.stack([x, np.cross(z, x), z], axis=1)


def sphere(x: float = 0.0, y: float = 0.0, z: float = 1.0, radius: float = 0.1, velocity=(0.0, 0.0, 0.0)) -> Robot:
    """Return a robot that is one sphere."""
    return Robot([("tool0", "tool0")], np.full((1, 2, 3), (x, y, z)), np.full((1, 2, 3), velocity), np.array([radius]))
