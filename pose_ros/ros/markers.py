# SPDX-License-Identifier: Apache-2.0
"""Markers: poses as RViz shows them.

The first word of the namespace says what the positions are worth:

* ``metric``: points are known in metres in the frame of the image.
* ``local``: shape and size are metric, the place is not: the root stands ``distance_m`` away, on the ray of its
  pixel when the camera is known, else side by side.
* ``plane``: only pixels are known: they are drawn where their rays meet the plane one metre before the camera.

Without any of these (pixels of an unknown camera) nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

if TYPE_CHECKING:
    from std_msgs.msg import Header

_SPACES = ("metric", "local", "plane")
_PARTS = ("joints", "bones", "label")
_LEFT = ColorRGBA(r=0.20, g=0.60, b=1.00, a=1.0)
_RIGHT = ColorRGBA(r=1.00, g=0.45, b=0.15, a=1.0)
_MIDDLE = ColorRGBA(r=0.90, g=0.90, b=0.90, a=1.0)
#: Diameter of a joint; metres. Bones are half as wide.
_JOINT_M = 0.03
#: How far above the highest point the label stands, and how high it is; metres.
_LABEL_M = 0.12


def poses_to_markers(
    poses: Poses,
    header: Header,
    camera: Camera | None = None,
    ended_ids: Iterable[int] = (),
    *,
    min_score: float = 0.3,
    lifetime_s: float = 0.5,
    distance_m: float = 2.0,
) -> MarkerArray:
    """Return joints, bones and a label for each subject.

    Args:
        poses: What to draw.
        header: Of the image; taken as it is.
        camera: Gives places to what has none of its own.
        ended_ids: Tracks whose markers are deleted.
        min_score: Keypoints below it are not drawn.
        lifetime_s: Markers that are not renewed vanish after this time; those of subjects without an id end only so.
        distance_m: Where ``local`` shapes stand.
    """
    markers = [
        Marker(header=header, ns=f"{space}/{part}", id=int(track), action=Marker.DELETE)
        for track in ended_ids for space in _SPACES for part in _PARTS
    ]
    space, points = _place(poses, camera, distance_m)
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    colors = keypoint_colors(poses.skeleton)
    shown = np.isfinite(points).all(axis=2) & (poses.scores >= min_score)
    for row in np.flatnonzero(shown.any(axis=1)):
        at = {i: Point(x=x, y=y, z=z) for i, (x, y, z) in enumerate(points[row].tolist()) if shown[row, i]}
        ends = [i for edge in poses.skeleton.edges if edge[0] in at and edge[1] in at for i in edge]
        top = points[row, shown[row]].min(axis=0)[1] - _LABEL_M
        middle = points[row, shown[row]].mean(axis=0)
        # Ids of tracks are positive: subjects without one take the negative numbers.
        track = int(poses.ids[row]) or -1 - int(row)
        subject = (
            Marker(type=Marker.SPHERE_LIST, points=list(at.values()), colors=[colors[i] for i in at],
                   scale=_cube(_JOINT_M)),
            Marker(type=Marker.LINE_LIST, points=[at[i] for i in ends], colors=[colors[i] for i in ends],
                   scale=_cube(_JOINT_M / 2)),
            Marker(type=Marker.TEXT_VIEW_FACING, text=str(track) if track > 0 else "?", scale=_cube(_LABEL_M)),
        )
        subject[2].pose.position = Point(x=float(middle[0]), y=float(top), z=float(middle[2]))
        for part, marker in zip(_PARTS, subject, strict=True):
            marker.header, marker.ns, marker.id = header, f"{space}/{part}", track
            marker.color, marker.lifetime = _MIDDLE, lifetime
            # Viewers take a list without points for a mistake.
            marker.action = Marker.ADD if marker.points or marker.text else Marker.DELETE
        markers += subject
    return MarkerArray(markers=markers)


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


def keypoint_colors(skeleton: Skeleton) -> list[ColorRGBA]:
    """Return a colour for each keypoint: blue left, orange right, white in the middle."""
    return [
        _MIDDLE if mirrored == i else _LEFT if "left" in skeleton.keypoints[i] else _RIGHT
        for i, mirrored in enumerate(skeleton.flip)
    ]
