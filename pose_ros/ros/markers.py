# SPDX-License-Identifier: Apache-2.0
"""Markers: poses as RViz shows them.

The first word of the namespace says what the positions are worth:

* ``metric``: points are known in metres in the frame of the image.
* ``local``: shape and size are metric, the place is not: the root stands ``distance_m`` away, on the ray of its
  pixel when the camera is known, else side by side.
* ``plane``: only pixels are known: they are drawn where their rays meet the plane one metre before the camera.

Without any of these (pixels of an unknown camera) nothing is drawn. ``axes`` are the frames of subjects: x red, y
green, z blue. Parts have their own word before these, such as ``hands/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from pose_ros.core.camera import Camera
from pose_ros.core.colors import Color, edge_colors, keypoint_colors
from pose_ros.core.poses import Poses
from pose_ros.core.quaternion import to_matrices
from pose_ros.core.skeleton import Skeleton
from pose_ros.media.draw import title

if TYPE_CHECKING:
    from std_msgs.msg import Header

_SPACES = ("metric", "local", "plane")
_PARTS = ("joints", "bones", "label")
_WHITE = ColorRGBA(r=0.90, g=0.90, b=0.90, a=1.0)
#: Largest diameter of a joint, metres, and its share of a subject's extent by the root of its number of keypoints, so
#: that the joints of a face do not run into one. Bones are half as wide.
_JOINT_M, _JOINT_SHARE = 0.03, 0.25
#: How far above the highest point the label stands, and how high it is: at most so many metres, and this share of the
#: subject's extent.
_LABEL_M, _LABEL_SHARE = 0.12, 0.5
#: Length of the axes of a frame, metres.
_AXIS_M = 0.1
_AXES = (ColorRGBA(r=1.0, a=1.0), ColorRGBA(g=0.8, a=1.0), ColorRGBA(r=0.2, g=0.4, b=1.0, a=1.0))


def poses_to_markers(
    poses: Poses,
    header: Header,
    camera: Camera | None = None,
    ended_ids: Iterable[int] = (),
    *,
    min_score: float = 0.3,
    lifetime_s: float = 0.5,
    distance_m: float = 2.0,
    prefix: str = "",
    kind: str = "",
    up: str = "-y",
) -> list[Marker]:
    """Return joints, bones, a label and the axes of its frames for each subject.

    Args:
        poses: What to draw.
        header: Of the image; taken as it is.
        camera: Gives places to what has none of its own.
        ended_ids: Tracks whose markers are deleted.
        min_score: Keypoints below it are not drawn.
        lifetime_s: Markers that are not renewed vanish after this time; those of subjects without an id end only so.
        distance_m: Where ``local`` shapes stand.
        prefix: Before all namespaces.
        kind: What parts are called, such as ``hand``.
        up: Axis of the frame that points upwards: ``-y`` of a camera, ``z`` of a robot or a room (REP-103).
    """
    names = [f"{prefix}{space}/{part}" for space in _SPACES for part in _PARTS]
    names += [f"{prefix}axes"] if poses.skeleton.frames else []
    markers = [
        Marker(header=header, ns=name, id=int(track), action=Marker.DELETE) for track in ended_ids for name in names
    ]
    space, points = _place(poses, camera, distance_m)
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    colors, bones = _colors(poses.skeleton)
    shown = np.isfinite(points).all(axis=2) & (poses.scores >= min_score)
    for row in np.flatnonzero(shown.any(axis=1)).tolist():
        at = {i: Point(x=x, y=y, z=z) for i, (x, y, z) in enumerate(points[row].tolist()) if shown[row, i]}
        drawn = [e for e, (a, b) in enumerate(poses.skeleton.edges) if a in at and b in at]
        ends = [i for e in drawn for i in poses.skeleton.edges[e]]
        seen = points[row, shown[row]]
        extent = float(np.ptp(seen, axis=0).max())
        joint_m = min(_JOINT_M, _JOINT_SHARE * extent / len(poses.skeleton) ** 0.5) or _JOINT_M
        label_m = min(_LABEL_M, _LABEL_SHARE * extent) or _LABEL_M
        label_at, axis, sign = seen.mean(axis=0), "xyz".index(up[-1]), -1 if up[0] == "-" else 1
        label_at[axis] = sign * ((sign * seen[:, axis]).max() + label_m)
        # Ids of tracks are positive: subjects without one take the negative numbers.
        track = int(poses.ids[row]) or -1 - row
        subject = (
            Marker(type=Marker.SPHERE_LIST, points=list(at.values()), colors=[colors[i] for i in at],
                   scale=_cube(joint_m)),
            Marker(type=Marker.LINE_LIST, points=[at[i] for i in ends],
                   colors=[bones[e] for e in drawn for _ in range(2)], scale=_cube(joint_m / 2)),
            Marker(type=Marker.TEXT_VIEW_FACING, text=title(poses, row, kind) or "?", scale=_cube(label_m)),
        )
        subject[2].pose.position = _point(label_at.tolist())
        for part, marker in zip(_PARTS, subject, strict=True):
            marker.header, marker.ns, marker.id = header, f"{prefix}{space}/{part}", track
            marker.color, marker.lifetime = _WHITE, lifetime
            # Viewers take a list without points for a mistake.
            marker.action = Marker.ADD if marker.points or marker.text else Marker.DELETE
        markers += subject
    return markers + _axes(poses, header, f"{prefix}axes", lifetime)


def _axes(poses: Poses, header: Header, name: str, lifetime: Duration) -> list[Marker]:
    """Return one marker for each subject with the axes of all its frames."""
    if poses.frames is None:
        return []
    markers = []
    for row, frames in enumerate(poses.frames.astype(np.float64)):
        axes = Marker(header=header, ns=name, id=int(poses.ids[row]) or -1 - row, type=Marker.LINE_LIST,
                      scale=_cube(_AXIS_M / 10), color=_WHITE, lifetime=lifetime)
        for origin, turn in ((frame[:3], frame[3:]) for frame in frames if np.isfinite(frame).all()):
            ends = origin + _AXIS_M * to_matrices(turn).T
            for end, color in zip(ends.tolist(), _AXES, strict=True):
                axes.points += [_point(origin.tolist()), _point(end)]
                axes.colors += [color, color]
        axes.action = Marker.ADD if axes.points else Marker.DELETE
        markers.append(axes)
    return markers


def _point(xyz: list[float]) -> Point:
    return Point(x=xyz[0], y=xyz[1], z=xyz[2])


def _cube(size_m: float) -> Vector3:
    return Vector3(x=size_m, y=size_m, z=size_m)


def _place(poses: Poses, camera: Camera | None, distance_m: float) -> tuple[str, np.ndarray]:
    """Return the name of the space and (N, K, 3) metres in the optical frame; NaN where there is no place."""
    if poses.points is not None:
        return "metric", poses.points
    if poses.local_points is not None:
        root = poses.skeleton.root
        if camera is not None:
            places = camera.rays(poses.keypoints[:, root]) * distance_m
        else:
            places = np.array([[row, 0.0, distance_m] for row in range(len(poses))]).reshape(-1, 3)
        return "local", poses.local_points + (places - poses.local_points[:, root])[:, None]
    if camera is not None:
        return "plane", camera.rays(poses.keypoints)
    return "plane", np.full((*poses.scores.shape, 3), np.nan)


@lru_cache(maxsize=32)
def _colors(skeleton: Skeleton) -> tuple[list[ColorRGBA], list[ColorRGBA]]:
    """Return the colours of keypoints and of edges."""
    def rgba(color: Color) -> ColorRGBA:
        red, green, blue = (value / 255 for value in color)
        return ColorRGBA(r=red, g=green, b=blue, a=1.0)

    return [rgba(c) for c in keypoint_colors(skeleton)], [rgba(c) for c in edge_colors(skeleton)]
