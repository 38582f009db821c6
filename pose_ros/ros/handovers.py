# SPDX-License-Identifier: Apache-2.0
"""Handovers: what is known of hands and of distances, as HandoverArray, SeparationArray, TF frames and markers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from pose_ros.core.poses import SIDE_NAMES
from pose_ros.core.quaternion import from_matrices
from pose_ros.manipulation.separation import Separation, Zone
from pose_ros.msg import Handover, HandoverArray, SeparationArray
from pose_ros.msg import Separation as SeparationMsg
from pose_ros.ros.transforms import frame_name

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from pose_ros.manipulation.separation import Robot
    from pose_ros.manipulation.watch import Sight

#: Longest age that a message can say, seconds.
_LONGEST_S = 2**31 - 1
_INTENTS = ("", "take", "give")
#: Blue, orange, vermilion: told apart by colour-blind people too (Okabe and Ito 2008).
_COLORS = {
    Zone.FREE: ColorRGBA(r=0.0, g=0.45, b=0.7, a=0.8), Zone.SLOW: ColorRGBA(r=0.9, g=0.62, b=0.0, a=0.8),
    Zone.STOP: ColorRGBA(r=0.84, g=0.37, b=0.0, a=0.9),
}  # fmt: skip
_VALID, _INVALID = ColorRGBA(r=0.0, g=0.62, b=0.45, a=1.0), ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.8)
#: Markers that are not renewed vanish, nanoseconds; length and thickness of what is drawn, metres.
_LIFETIME = Duration(nanosec=500_000_000)
_ARROW_M, _LINE_M, _TEXT_M = 0.15, 0.01, 0.06


def sight_to_handovers(sight: Sight, header: Header) -> HandoverArray:
    """Return the message of a moment; ``header`` has the stamp of the skeletons and the frame of the base."""
    found = sight.hands
    array = HandoverArray(header=header)
    for row in range(len(found)):
        handover = Handover(
            track_id=int(found.ids[row]), hand_id=int(found.hand_ids[row]), side=int(found.sides[row]),
            intent=int(sight.intents[row]), intent_score=float(sight.intent_scores[row]), grip=int(sight.grips[row]),
            opening=float(found.openings[row]), score=float(found.scores[row]), approach=_vector(sight.approaches[row]),
            pinch=_point(found.pinches[row]), velocity=_vector(found.velocities[row]), valid=not sight.reasons[row],
            reason=sight.reasons[row],
        )  # fmt: skip
        handover.pose.pose, handover.pose.covariance = pose(sight, row), found.covariances[row].ravel()
        seconds = min(float(sight.ages_s[row]), _LONGEST_S)
        handover.age = Duration(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
        array.handovers.append(handover)
    return array


def pose(sight: Sight, row: int) -> Pose:
    """Return the pose of a palm."""
    turn = Quaternion(**dict(zip("xyzw", from_matrices(sight.hands.rotations[row]).tolist(), strict=True)))
    return Pose(position=_point(sight.hands.palms[row]), orientation=turn)


def sight_to_target(sight: Sight, header: Header) -> PoseStamped | None:
    """Return the pose of the palm that a robot should go to; None where there is none."""
    return None if sight.target is None else PoseStamped(header=header, pose=pose(sight, sight.target))


def sight_to_transforms(sight: Sight, header: Header, prefix: str = "") -> list[TransformStamped]:
    """Return frames ``<prefix>handover_<id>_<side>`` of the valid hands of bodies with an id."""
    made = []
    for row, reason in enumerate(sight.reasons):
        track, side = int(sight.hands.ids[row]), SIDE_NAMES.get(int(sight.hands.sides[row]))
        if reason or not track or side is None:
            continue
        at = pose(sight, row)
        place = Transform(translation=_vector(sight.hands.palms[row]), rotation=at.orientation)
        child = frame_name(f"{prefix}handover_{track}_{side}")
        made.append(TransformStamped(header=header, child_frame_id=child, transform=place))
    return made


def separations_to_array(
    header: Header, zone: int, reason: str, found: Sequence[Separation] = ()
) -> SeparationArray:
    """Return the message of a moment; nobody is an empty array."""
    return SeparationArray(header=header, zone=int(zone), reason=reason, separations=[
        SeparationMsg(
            track_id=one.id, robot_frame=one.robot_frame, keypoint=one.keypoint, distance=one.distance,
            distance_sigma=one.distance_sigma, closing_speed=one.closing_speed,
            protective_distance=one.protective_distance, zone=int(one.zone), person_point=_point(one.person_point),
            robot_point=_point(one.robot_point),
        ) for one in found
    ])  # fmt: skip


def sight_to_markers(sight: Sight, robot: Robot, header: Header) -> list[Marker]:
    """Return the parts of the robot in the colour of the zone, lines to the people, and arrows and words at hands."""
    color = _COLORS[sight.zone]
    parts = Marker(ns="robot", type=Marker.SPHERE_LIST, color=ColorRGBA(r=color.r, g=color.g, b=color.b, a=0.35))
    widest = float(robot.radii.max(initial=0.0))
    parts.scale, parts.points = Vector3(x=2 * widest, y=2 * widest, z=2 * widest), [*map(_point, _beads(robot))]
    lines = Marker(ns="separation", type=Marker.LINE_LIST, scale=Vector3(x=_LINE_M), color=color)
    markers = [parts, lines]
    for number, one in enumerate(sight.separations):
        ends = _point(one.person_point), _point(one.robot_point)
        lines.points += ends
        lines.colors += [_COLORS[one.zone]] * 2
        text = Marker(ns="distance", id=number, type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=_TEXT_M),
                      color=_COLORS[one.zone], text=f"{one.distance:.2f} m, {one.protective_distance:.2f} m to keep")
        text.pose.position = _point((one.person_point + one.robot_point) / 2)
        markers.append(text)
    if sight.reason:
        why = Marker(ns="reason", type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=_TEXT_M), color=color,
                     text=sight.reason)
        markers.append(why)
    for row, reason in enumerate(sight.reasons):
        color = _INVALID if reason else _VALID
        palm, approach = sight.hands.palms[row], sight.approaches[row]
        markers.append(Marker(
            ns="approach", id=row, type=Marker.ARROW, color=color, scale=Vector3(x=0.015, y=0.03, z=0.04),
            points=[_point(palm - _ARROW_M * approach), _point(palm)],
        ))  # fmt: skip
        words = Marker(ns="hand", id=row, type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=_TEXT_M), color=color,
                       text=f"{_INTENTS[sight.intents[row]]} {sight.intent_scores[row]:.2f}\n{reason}".strip())
        words.pose.position = _point(palm - (_ARROW_M + 0.05) * approach)
        markers.append(words)
    for marker in markers:
        marker.header, marker.lifetime = header, _LIFETIME
        # Viewers take a list without points for a mistake.
        listed = marker.type in (Marker.SPHERE_LIST, Marker.LINE_LIST)
        marker.action = Marker.DELETE if listed and not marker.points else Marker.ADD
    return markers


def _beads(robot: Robot) -> np.ndarray:
    """Return points (B, 3) along the parts of a robot, about a radius from one to the next."""
    beads = [np.empty((0, 3))]
    for (first, last), radius in zip(robot.ends, robot.radii, strict=True):
        count = 1 + min(math.ceil(float(np.linalg.norm(last - first)) / max(radius, 0.01)), 50)
        beads.append(first + np.linspace(0, 1, count)[:, None] * (last - first))
    return np.concatenate(beads)


def _point(xyz: np.ndarray) -> Point:
    x, y, z = (float(value) for value in xyz)
    return Point(x=x, y=y, z=z)


def _vector(xyz: np.ndarray) -> Vector3:
    x, y, z = (float(value) for value in xyz)
    return Vector3(x=x, y=y, z=z)
