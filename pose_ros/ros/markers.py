# SPDX-License-Identifier: Apache-2.0
"""Markers: poses as RViz shows them. The namespace says what the positions are worth:

* ``metric``: points are known in metres in the frame of the image.
* ``local``: shape and size are metric, the place is not: the root stands ``distance`` metres away, on the ray of its
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
    distance: float = 2.0,
) -> MarkerArray:
    """Return joints, bones and a label for each subject.

    Args:
        poses: What to draw.
        header: Of the image; taken as it is.
        camera: Gives places to what has none of its own.
        ended_ids: Tracks whose markers are deleted.
        min_score: Keypoints below it are not drawn.
        lifetime_s: Markers that are not renewed vanish after this time; those of subjects without an id have no other end.
        distance: Where the root of ``local`` shapes stands, metres.
    """
    markers = [
        Marker(header=header, ns=f"{space}/{part}", id=int(track), action=Marker.DELETE)
        for track in ended_ids for space in _SPACES for part in _PARTS
    ]
    space, points = _place(poses, camera, distance)
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    colors = keypoint_colors(poses.skeleton)
    for row in range(len(poses)):
        shown = np.isfinite(points[row]).all(axis=1) & (poses.scores[row] >= min_score)
        if not shown.any():
            continue
        # Ids of tracks are positive: subjects without one take the negative numbers.
        track = int(poses.ids[row]) or -1 - row
        at = {i: Point(x=x, y=y, z=z) for i, (x, y, z) in enumerate(points[row].tolist()) if shown[i]}
        edges = [(a, b) for a, b in poses.skeleton.edges if a in at and b in at]

        def marker(part: str, kind: int, size: float, **fields: object) -> Marker:
            return Marker(header=header, ns=f"{space}/{part}", id=track, type=kind, action=Marker.ADD,  # noqa: B023
                          scale=Vector3(x=size, y=size, z=size), color=_MIDDLE, lifetime=lifetime, **fields)

        markers.append(marker("joints", Marker.SPHERE_LIST, _JOINT_M, points=list(at.values()),
                              colors=[colors[i] for i in at]))
        markers.append(marker("bones", Marker.LINE_LIST, _JOINT_M / 2, points=[at[i] for edge in edges for i in edge],
                              colors=[colors[i] for edge in edges for i in edge]))
        label = marker("label", Marker.TEXT_VIEW_FACING, _LABEL_M, text=f"{track}" if track > 0 else "?")
        x, y, z = (float(v) for v in (points[row, shown, 0].mean(), points[row, shown, 1].min() - _LABEL_M,
                                      points[row, shown, 2].mean()))
        label.pose.position = Point(x=x, y=y, z=z)
        markers.append(label)
    return MarkerArray(markers=markers)


def _place(poses: Poses, camera: Camera | None, distance: float) -> tuple[str, np.ndarray]:
    """Return the name of the space and (N, K, 3) metres in the optical frame; NaN where there is no place."""
    if poses.points is not None:
        return "metric", poses.points
    if poses.local_points is not None:
        if camera is not None:
            roots = camera.rays(poses.keypoints[:, poses.skeleton.root])
        else:
            # One metre apart at that distance, the first in the middle.
            roots = np.array([[row / distance, 0.0, 1.0] for row in range(len(poses))]).reshape(-1, 3)
        return "local", poses.local_points + roots[:, None] * distance
    if camera is not None:
        return "plane", camera.rays(poses.keypoints)
    return "plane", np.full((*poses.scores.shape, 3), np.nan)


def keypoint_colors(skeleton: Skeleton) -> list[ColorRGBA]:
    """Return a colour for each keypoint: blue left, orange right, white in the middle."""
    return [
        _MIDDLE if mirrored == i else _LEFT if "left" in skeleton.keypoints[i] else _RIGHT
        for i, mirrored in enumerate(skeleton.flip)
    ]
