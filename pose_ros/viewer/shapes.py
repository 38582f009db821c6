# SPDX-License-Identifier: Apache-2.0
"""Shapes: poses as what Rerun draws: points, lines, boxes, ellipsoids, arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.core.colors import keypoint_colors
from pose_ros.core.poses import Poses
from pose_ros.core.quaternion import from_rotations, to_matrices
from pose_ros.core.skeleton import Skeleton
from pose_ros.media.draw import SUBJECTS, title

if TYPE_CHECKING:
    import rerun as rr

_WHITE = (255, 255, 255)
#: Radius of keypoints and of limbs: metres; negative numbers are points of the screen.
_JOINT_M, _BONE_M, _JOINT_PT, _BONE_PT, _LINE_PT = 0.012, 0.006, -3.0, -1.2, -0.4
#: Skeletons of more keypoints, such as faces, get smaller ones, and no ellipsoids.
_MANY_KEYPOINTS, _SMALLER = 60, 0.4
#: Length of the axes of a frame of a subject, and of the space for each subject whose place is unknown; metres.
_AXIS_M, APART_M = 0.1, 1.0
_AXES = ((255, 0, 0), (0, 204, 0), (51, 102, 255))


def explained(skeletons: list[Skeleton]) -> rr.AnnotationContext:
    """Return what explains the class, the index in the list, and keypoint ids of all points."""
    import rerun as rr

    # Connections are not given: Rerun would draw one skeleton through all subjects of a class.
    return rr.AnnotationContext([
        rr.ClassDescription(
            info=rr.AnnotationInfo(id=number, label=skeleton.name),
            keypoint_annotations=[
                rr.AnnotationInfo(id=k, label=name, color=color)
                for k, (name, color) in enumerate(zip(skeleton.keypoints, keypoint_colors(skeleton), strict=True))
            ],
        )
        for number, skeleton in enumerate(skeletons)
    ])


def about(poses: Poses) -> rr.AnyValues:
    """Return what is said of whole subjects, for whoever selects them or reads the file."""
    import pyarrow as pa
    import rerun as rr

    # Of arrays without a type Rerun takes that of the first one, and refuses it where that is empty.
    return rr.AnyValues(
        track_ids=pa.array(poses.ids, pa.int64()), scores=pa.array(poses.subject_scores, pa.float32()),
        states=pa.array(poses.states, pa.uint8()),
    )


def in_image(poses: Poses, kind: str, number: int, min_score: float) -> dict[str, Any]:
    """Return keypoints, limbs and boxes in pixels, as archetypes by name.

    Args:
        poses: N subjects.
        kind: What parts are called, such as ``hand``.
        number: Class of the skeleton.
        min_score: Keypoints below it are left out.
    """
    import rerun as rr

    boxed = np.isfinite(poses.boxes).all(axis=1)
    colors = _colors(poses)
    return {
        **_figures(poses, poses.keypoints, number, min_score, rr.Points2D, rr.LineStrips2D, (_JOINT_PT, _BONE_PT)),
        "boxes": rr.Boxes2D(
            mins=poses.boxes[boxed, :2], sizes=poses.boxes[boxed, 2:] - poses.boxes[boxed, :2], colors=colors[boxed],
            radii=_BONE_PT / 2, labels=[title(poses, row, kind) for row in np.flatnonzero(boxed).tolist()],
        ),
    }


def in_space(poses: Poses, number: int, min_score: float) -> dict[str, Any]:
    """Return keypoints, limbs and their precision (one standard deviation) in metres, as archetypes by name.

    Poses without a place stand beside one another, :data:`APART_M` from root to root; they have a shape only.
    """
    import rerun as rr

    points = poses.points if poses.points is not None else apart(poses)
    if points is None:
        return {}
    shapes = _figures(poses, points, number, min_score, rr.Points3D, rr.LineStrips3D, (_JOINT_M, _BONE_M))
    if poses.points is not None and poses.covariances is not None and len(poses.skeleton) <= _MANY_KEYPOINTS:
        shapes["covariances"] = _ellipsoids(poses, min_score)
    if poses.frames is not None:
        shapes["frames"] = _axes(poses.frames)
    return shapes


def apart(poses: Poses) -> np.ndarray | None:
    """Return ``local_points`` with each subject at a place of its own, (N, K, 3) metres; None where there are none."""
    if poses.local_points is None:
        return None
    return poses.local_points + np.arange(len(poses))[:, None, None] * np.array([APART_M, 0, 0], np.float32)


def seen(poses: Poses, points: np.ndarray, min_score: float) -> np.ndarray:
    """Return which keypoints are drawn, (N, K) bool."""
    return np.isfinite(points).all(axis=2) & (poses.scores >= min_score)


def _figures(
    poses: Poses, points: np.ndarray, number: int, min_score: float, dots: Any, strips: Any, radii: tuple[float, float],
) -> dict[str, Any]:
    shown = seen(poses, points, min_score)
    edges = np.array(poses.skeleton.edges, int).reshape(-1, 2)
    limbs = np.argwhere(shown[:, edges].all(axis=2))
    small = _SMALLER if len(poses.skeleton) > _MANY_KEYPOINTS else 1.0
    return {
        "keypoints": dots(
            points[shown], keypoint_ids=np.nonzero(shown)[1], class_ids=number, show_labels=False,
            radii=radii[0] * small,
        ),
        "limbs": strips(
            points[limbs[:, :1], edges[limbs[:, 1]]], colors=_colors(poses)[limbs[:, 0]], radii=radii[1] * small,
        ),
    }


def _colors(poses: Poses) -> np.ndarray:
    """Return the colour of each subject, (N, 3) uint8; the parts of a subject have its own."""
    owners = np.where(poses.parents > 0, poses.parents, poses.ids)
    palette = np.array([*SUBJECTS, _WHITE], np.uint8)
    return palette[np.where(owners > 0, owners % len(SUBJECTS), len(SUBJECTS))]


def _ellipsoids(poses: Poses, min_score: float) -> rr.Ellipsoids3D:
    import rerun as rr

    assert poses.points is not None
    assert poses.covariances is not None
    known = seen(poses, poses.points, min_score) & np.isfinite(poses.covariances).all(axis=(2, 3))
    variances, axes = np.linalg.eigh(poses.covariances[known].astype(np.float64))
    # Eigenvectors are orthogonal, not always right-handed.
    axes[..., 0] *= np.where(np.linalg.det(axes) < 0, -1.0, 1.0)[:, None]
    return rr.Ellipsoids3D(
        centers=poses.points[known], half_sizes=np.sqrt(np.maximum(variances, 0)),
        quaternions=from_rotations(axes), colors=_colors(poses)[np.nonzero(known)[0]],
        line_radii=_LINE_PT, fill_mode=rr.components.FillMode.MajorWireframe,
    )


def _axes(frames: np.ndarray) -> rr.Arrows3D:
    import rerun as rr

    known = frames[np.isfinite(frames).all(axis=2)]
    return rr.Arrows3D(
        origins=np.repeat(known[:, :3], 3, axis=0), colors=np.tile(_AXES, (len(known), 1)), radii=_BONE_M / 2,
        vectors=_AXIS_M * np.swapaxes(to_matrices(known[:, 3:]), 1, 2).reshape(-1, 3),
    )
