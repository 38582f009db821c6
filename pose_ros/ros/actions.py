# SPDX-License-Identifier: Apache-2.0
"""Actions: what subjects do, as ActionArray and as markers above their heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from pose_ros.core.poses import SIDE_NAMES, Poses
from pose_ros.msg import Action as ActionMsg
from pose_ros.msg import ActionArray
from pose_ros.recognisers.episodes import Action, Phase

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from pose_ros.recognition import Actions

#: How far above the highest point the words stand, above the label of the skeleton, and how high they are; metres.
_ABOVE_M, _TEXT_M = 0.28, 0.1
#: Of an arrow that meets nothing, and its diameter; metres.
_ARROW_M, _SHAFT_M = 1.0, 0.02
_YELLOW = ColorRGBA(r=1.0, g=0.85, b=0.2, a=1.0)
#: What is over is shown for so long, the rest until the next message or this time; seconds.
_EVENT_S, _LIFE_S = 1.0, 0.5


def actions_to_array(
    actions: Actions, header: Header, schema: str, stages_ms: Mapping[str, float] | None = None
) -> ActionArray:
    """Return the message of one moment.

    Args:
        actions: What is done.
        header: Of the skeletons; taken as it is.
        schema: Of the skeletons.
        stages_ms: Where the time went.
    """
    stages_ms = stages_ms or {}
    return ActionArray(
        header=header, schema=schema, actions=[_message(action) for action in actions.actions],
        ended_ids=[int(i) for i in actions.ended_ids], stage_names=list(stages_ms), stage_ms=list(stages_ms.values()),
    )  # fmt: skip


def _message(action: Action) -> ActionMsg:
    return ActionMsg(
        name=action.name, recogniser=action.recogniser, phase=int(action.phase), score=float(action.score),
        track_id=action.id, parent_id=action.parent, side=action.side, onset=_time(action.onset_ns),
        end=_time(action.end_ns or 0), count=action.count, value_names=list(action.values),
        value_units=[action.units[name] for name in action.values], values=[float(v) for v in action.values.values()],
        ray=[] if action.ray is None else [float(v) for v in action.ray],
        target=[] if action.target is None else [float(v) for v in action.target], target_name=action.target_name,
    )  # fmt: skip


def _time(stamp_ns: int) -> Time:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def actions_to_markers(
    actions: Actions, poses: Poses, header: Header, up: np.ndarray, prefix: str = ""
) -> list[Marker]:
    """Return words above the subjects that do something, and arrows where they show; of those with a place in metres.

    Args:
        actions: What is done.
        poses: The subjects.
        header: Of the skeletons; taken as it is.
        up: (3,) unit vector away from the ground in their frame.
        prefix: Before all namespaces.
    """
    names = f"{prefix}actions/label", f"{prefix}actions/ray"
    markers = [
        Marker(header=header, ns=name, id=int(track), action=Marker.DELETE)
        for track in actions.ended_ids for name in names
    ]
    doing: dict[int, list[Action]] = {}
    for action in actions.actions:
        if action.phase != Phase.ENDED:
            doing.setdefault(action.id, []).append(action)
    for row, track in enumerate(poses.ids.tolist()):
        words = doing.get(track, [])
        at = _above(poses, row, up)
        if not words or at is None:
            continue
        lasts = _EVENT_S if any(action.phase == Phase.EVENT for action in words) else _LIFE_S
        text = Marker(header=header, ns=names[0], id=track, type=Marker.TEXT_VIEW_FACING, color=_YELLOW,
                      text="\n".join(map(_words, words)), lifetime=_lifetime(lasts))
        text.scale.z, text.pose.position = _TEXT_M, _point(at)
        markers.append(text)
        for action in words:
            if action.ray is not None:
                end = action.ray[:3] + _ARROW_M * action.ray[3:] if action.target is None else action.target
                markers.append(Marker(
                    header=header, ns=names[1], id=track, type=Marker.ARROW, color=_YELLOW,
                    points=[_point(action.ray[:3]), _point(end)], lifetime=_lifetime(_LIFE_S),
                    scale=Vector3(x=_SHAFT_M, y=2 * _SHAFT_M, z=3 * _SHAFT_M),
                ))
    return markers


def _words(action: Action) -> str:
    """Return such as ``waving left 0.93``, ``squat 3`` or ``pointing right 0.90 at cup``."""
    side = f" {SIDE_NAMES[action.side]}" if action.side in SIDE_NAMES else ""
    shown = f" {action.count}" if action.phase == Phase.EVENT else f" {action.score:.2f}"
    return action.name + side + shown + (f" at {action.target_name}" if action.target_name else "")


def _above(poses: Poses, row: int, up: np.ndarray) -> np.ndarray | None:
    """Return where the words of a subject stand; None where it has no place."""
    points = poses.points[row] if poses.points is not None else np.empty((0, 3))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None
    middle, heights = points.mean(axis=0), points @ up
    return np.asarray(middle + (heights.max() + _ABOVE_M - middle @ up) * up)


def _point(xyz: np.ndarray) -> Point:
    x, y, z = (float(value) for value in xyz)
    return Point(x=x, y=y, z=z)


def _lifetime(seconds: float) -> Duration:
    return Duration(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
