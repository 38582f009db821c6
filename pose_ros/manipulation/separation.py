# SPDX-License-Identifier: Apache-2.0
"""Separation: how far people are from parts of a robot, and how far they have to be (speed and separation monitoring).

The protective separation distance is that of ISO/TS 15066:2016, 5.5.4.2.3, as Marvel and Norcross write it for speeds
that stay as they are (Implementing speed and separation monitoring in collaborative robot workcells, Robotics and
Computer-Integrated Manufacturing 44, 2017)::

    S = v_h (T_r + T_s) + v_r T_r + S_s + C + Z_d + Z_r

It is computed with what a camera and a network say. Nothing here is rated for safety.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import SIDE_NAMES
from pose_ros.manipulation.people import AT, BODY, SIDES, People


class Zone(IntEnum):
    """How severe it is; the values of Separation.msg."""

    FREE = 0
    SLOW = 1
    STOP = 2


#: Two joints and the radius that surrounds what is between them, metres; for large people in clothes. Where a joint is
#: missing, the other one stands for both.
_CAPSULES = (
    ("hips", "shoulders", 0.18), ("*_hip", "*_shoulder", 0.13), ("left_shoulder", "right_shoulder", 0.11),
    ("left_hip", "right_hip", 0.15), ("*_shoulder", "*_elbow", 0.08), ("*_elbow", "*_wrist", 0.07),
    ("neck", "head_top", 0.13), ("*_ear", "*_ear", 0.14), ("nose", "nose", 0.15), ("*_eye", "*_eye", 0.15),
    ("*_hip", "*_knee", 0.12), ("*_knee", "*_ankle", 0.09), ("*_ankle", "*_toe", 0.1),
    ("*_palm", "*_middle_finger", 0.13), ("*_wrist", "*_wrist", 0.22),
)  # fmt: skip


def _both(side: str) -> list[tuple[str, str, float]]:
    return [(a.replace("*", side), b.replace("*", side), r) for a, b, r in _CAPSULES if ("*" in a + b) == bool(side)]


CAPSULES = [*_both(""), *(row for side in SIDES for row in _both(SIDE_NAMES[side]))]
_ENDS = np.array([(AT[a], AT[b]) for a, b, _ in CAPSULES])
_RADII = np.array([r for *_, r in CAPSULES])
#: Arms are no faster, as far as ISO 13855 goes; assumed of a joint that was seen once; metres per second.
_REACH_MPS = 2.0
#: A sphere around the wrist holds a hand that may point anywhere, where none is seen.
_WRISTS = np.array([CAPSULES.index((f"{s}_wrist", f"{s}_wrist", 0.22)) for s in (SIDE_NAMES[i] for i in SIDES)])
_SEEN_HANDS = np.array([AT[f"{SIDE_NAMES[side]}_middle_finger"] for side in SIDES])
#: Capsules of the forearm and hand of each side.
_FOREARMS = np.array([
    [any(SIDE_NAMES[side] in a and joint in b for joint in ("wrist", "middle_finger")) for a, b, _ in CAPSULES]
    for side in SIDES
])  # fmt: skip


@dataclass(frozen=True)
class SeparationOptions:
    """Terms of the protective separation distance, and the zones."""

    reaction_time: float = option(
        0.2, "T_r: from the moment that the skeletons came to that when the robot begins to stop; the delay of the "
        "skeletons is added as measured.", unit="s", low=0.0, high=10.0, live=True,
    )
    stopping_time: float = option(0.3, "T_s: how long the robot takes to stop.", unit="s", low=0.0, high=10.0,
                                  live=True)
    stopping_distance: float = option(0.1, "S_s: how far it moves meanwhile.", unit="m", low=0.0, high=10.0, live=True)
    intrusion: float = option(0.1, "C: how far a part of a body may reach in before it is seen.", unit="m", low=0.0,
                              high=10.0, live=True)
    robot_uncertainty: float = option(0.02, "Z_r: how far the robot may be from where TF says.", unit="m", low=0.0,
                                      high=1.0, live=True)
    sigmas: float = option(
        2.0, "Z_d is so many standard deviations of the distance, and so many of its change are added to v_h.",
        low=0.0, high=10.0, live=True,
    )
    least_human_speed: float = option(
        1.6, "v_h is the measured speed toward the robot, but not less than this; the standards say 1.6 m/s where "
        "speeds are not monitored.", unit="m/s", low=0.0, high=10.0, live=True,
    )
    least_robot_speed: float = option(
        0.25, "v_r is the speed toward the person as TF says, but not less than this.", unit="m/s", low=0.0, high=10.0,
        live=True,
    )
    slow_margin: float = option(0.5, "ZONE_SLOW begins so far outside of the protective distance.", unit="m", low=0.0,
                                high=10.0, live=True)


@dataclass(frozen=True, eq=False)
class Robot:
    """R parts of a robot in the frame of its base: segments between two frames with a radius."""

    #: (R,) names of the frames at both ends; the same twice for a sphere.
    names: Sequence[tuple[str, str]]
    #: (R, 2, 3) metres.
    ends: np.ndarray
    #: (R, 2, 3) metres per second.
    velocities: np.ndarray
    #: (R,) metres.
    radii: np.ndarray


@dataclass(frozen=True)
class Separation:
    """How far a person is from the robot."""

    #: Row of the person, and id of the body.
    person: int
    id: int
    robot_frame: str
    keypoint: str
    distance: float
    distance_sigma: float
    #: Metres per second, positive while they come nearer.
    closing_speed: float
    protective_distance: float
    zone: Zone
    #: (3,) on the axes of limb and part, metres.
    person_point: np.ndarray
    robot_point: np.ndarray


def nearest(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the segments ab and cd, all (..., 3), are nearest: parts (...) of the way along each, 0 .. 1.

    The least of a convex quadratic over a square: inside of it, or on one of its sides (Eberly, Robust Computation of
    Distance Between Line Segments, 2018, solves the same problem by cases).
    """
    u, v, w = np.broadcast_arrays(b - a, d - c, a - c)
    uu, uv, vv, uw, vw = (np.einsum("...i,...i->...", p, q) for p, q in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    tiny = 1e-12
    inside = np.maximum(uu * vv - uv * uv, tiny)
    zero, one = np.zeros_like(uu), np.ones_like(uu)
    # The place inside where both are at right angles to the way between them, and the best one of each side.
    s = np.stack([(uv * vw - vv * uw) / inside, zero, one, -uw / np.maximum(uu, tiny),
                  (uv - uw) / np.maximum(uu, tiny)]).clip(0, 1)  # fmt: skip
    t = np.stack([(uu * vw - uv * uw) / inside, vw / np.maximum(vv, tiny), (uv + vw) / np.maximum(vv, tiny), zero, one])
    t = t.clip(0, 1)
    squared = s * s * uu - 2 * s * t * uv + t * t * vv + 2 * s * uw - 2 * t * vw
    best = squared.argmin(axis=0)[None]
    return np.take_along_axis(s, best, axis=0)[0], np.take_along_axis(t, best, axis=0)[0]


def separations(
    people: People, robot: Robot, options: SeparationOptions, delay_s: float = 0.0,
    left_out: tuple[int, int] | None = None,
) -> list[Separation]:
    """Return of each person the pair of limb and part that is most critical, the most critical person first.

    It is the pair whose distance exceeds its protective distance least. Standard deviations are bounds that hold
    whatever the errors of both ends of a limb have in common. People of whom no joint has a place are left out.

    Args:
        people: P people.
        robot: Its parts.
        options: Terms of the protective distance.
        delay_s: Age of the skeletons, which is a part of the time to react.
        left_out: (row of a person, 0 left or 1 right) whose forearm and hand do not count.
    """
    if not len(people) or not len(robot.names):
        return []
    body = people.body
    radii = np.broadcast_to(_RADII, (len(people), len(_RADII))).copy()
    # A hand that is seen has its own capsule.
    hidden = np.zeros(radii.shape, bool)
    hidden[:, _WRISTS] = np.isfinite(body.points[:, _SEEN_HANDS]).all(axis=2)
    if left_out is not None:
        hidden[left_out[0]] |= _FOREARMS[left_out[1]]
    lost = np.isnan(body.points).any(axis=2)[:, _ENDS]
    ends = np.where(lost, _ENDS[:, ::-1], _ENDS)
    hidden |= lost.all(axis=2)
    row = np.arange(len(people))[:, None]
    first, second = ends[..., 0], ends[..., 1]

    # (P, C, R)
    a, b = (np.nan_to_num(body.points[row, end])[:, :, None] for end in (first, second))
    c, d = robot.ends[:, 0], robot.ends[:, 1]
    s, t = (part[..., None] for part in nearest(a, b, c, d))
    p, q = a + s * (b - a), c + t * (d - c)
    way = q - p
    apart = np.linalg.norm(way, axis=-1)
    u = way / np.maximum(apart, 1e-9)[..., None]
    distance = apart - radii[:, :, None] - robot.radii

    def along(values: np.ndarray) -> np.ndarray:
        """Return variances along u of what is at s between both ends; the mean of theirs is a bound."""
        at_ends = (np.nan_to_num(values[row, end]) for end in (first, second))
        one, other = (np.einsum("pcri,pcij,pcrj->pcr", u, value, u) for value in at_ends)
        return np.asarray(one + s[..., 0] * (other - one))

    sigma = np.sqrt(along(body.covariances))
    speed_sigma = np.sqrt(along(people.velocity_covariances))
    va, vb = (np.nan_to_num(people.velocities[row, end])[:, :, None] for end in (first, second))
    human = np.einsum("pcri,pcri->pcr", u, va + s * (vb - va))
    moved = robot.velocities[:, 0] + t * (robot.velocities[:, 1] - robot.velocities[:, 0])
    machine = -np.einsum("pcri,pcri->pcr", u, moved)
    unsure = np.minimum(human + options.sigmas * speed_sigma, _REACH_MPS)
    v_h = np.maximum(np.maximum(human, unsure), options.least_human_speed)
    v_r = np.maximum(machine, options.least_robot_speed)
    t_r = options.reaction_time + max(delay_s, 0.0)
    protective = (
        v_h * (t_r + options.stopping_time) + v_r * t_r + options.stopping_distance + options.intrusion
        + options.sigmas * sigma + options.robot_uncertainty
    )  # fmt: skip

    margin = np.where(hidden[:, :, None], np.inf, distance - protective).reshape(len(people), -1)
    worst = margin.argmin(axis=1)
    found = []
    for person in np.argsort(margin[np.arange(len(people)), worst], kind="stable").tolist():
        capsule, part = divmod(int(worst[person]), len(robot.names))
        if hidden[person, capsule]:
            continue
        at = person, capsule, part
        over = float(margin[person, worst[person]])
        found.append(Separation(
            person, int(people.ids[person]), robot.names[part][int(t[at][0] > 0.5)],
            _name(ends[person, capsule], float(s[at][0])), float(distance[at]), float(sigma[at]),
            float(human[at] + machine[at]), float(protective[at]),
            Zone.STOP if over < 0 else Zone.SLOW if over < options.slow_margin else Zone.FREE, p[at], q[at],
        ))  # fmt: skip
    return found


def _name(ends: np.ndarray, part: float) -> str:
    """Return the keypoint at one end, or both ends of what is between them."""
    first, second = (BODY[end] for end in ends.tolist())
    if first == second or part == 0:
        return first
    return second if part == 1 else f"{first}-{second}"
