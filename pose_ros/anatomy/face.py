# SPDX-License-Identifier: Apache-2.0
"""What a face says beyond its keypoints: head pose, gaze, and how far eyes and mouth are open.

The rules read groups of keypoints by name (``roles`` of the skeleton), so every set of face keypoints is served that
names them: ``left_eye_corners`` (outer, inner), ``left_eye_upper_lid`` and ``left_eye_lower_lid`` (pairs, one above the
other), ``left_iris`` (centre, and where known four points around it), the same for the right, ``mouth_corners``,
``upper_lip`` and ``lower_lip`` (inner edges, in pairs).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.face_pose import head_poses
from pose_ros.anatomy.face_size import face_scales, iris_diameters
from pose_ros.anatomy.gaze import Eye, gaze_directions, gaze_frames
from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

#: Measure -> the roles of its pairs from edge to edge, and of the corners between which it is open.
OPENINGS = {
    "left_eye_opening": ("left_eye_upper_lid", "left_eye_lower_lid", "left_eye_corners"),
    "right_eye_opening": ("right_eye_upper_lid", "right_eye_lower_lid", "right_eye_corners"),
    "mouth_opening": ("upper_lip", "lower_lip", "mouth_corners"),
}
_SIDES = ("left", "right")
#: Of an eye that is less open, the iris is a guess.
_MIN_EYE_OPENING = 0.1


def described(poses: Poses, camera: Camera | None) -> Poses:
    """Return poses with ``measures`` and ``frames``, as far as their skeleton has such; others come back as they are.

    Measures are distances between the edges of eyes and mouth, relative to the distance of their corners, in the image:
    for eyes the eye aspect ratio of Soukupova and Cech (CVWW 2016), about 0.3 when open and 0.1 when shut (0.2 by a
    mesh whose eyelids no other network refined). A face that turns aside becomes narrower, so its measures grow by one
    over the cosine of its yaw.

    Frames need a camera. ``face`` has its origin between the eyes (sellion), x out of the face, y to the subject's left
    and z to the scalp, and ``gaze`` the same origin and z where the eyes look (REP-155). They suppose an average adult;
    where the rings of irises are known, those say how large the face is, and so how far away.

    Args:
        poses: N faces.
        camera: Of the image; None where it is not calibrated: ``frames`` stays None.
    """
    skeleton = poses.skeleton
    columns = {}
    if OPENINGS.keys() & set(skeleton.measures):
        columns["measures"] = _openings(poses, skeleton.measures)
    if camera is not None and skeleton.rigid and set(skeleton.frames) & {"face", "gaze"}:
        columns["frames"] = _frames(poses, camera)
    return poses.replace(**columns) if columns else poses


def _openings(poses: Poses, names: tuple[str, ...]) -> np.ndarray:
    """Return measures (N, M); NaN for those that the keypoints do not tell."""
    upper, lower, first = _ends(poses.skeleton, names)
    apart = poses.keypoints[:, upper] - poses.keypoints[:, lower]
    lengths = np.hypot(apart[..., 0], apart[..., 1])
    between, along = lengths[:, : -len(names)], lengths[:, -len(names) :]
    sums = np.add.reduceat(between, first, axis=1)
    counts = np.diff(first, append=between.shape[1])
    return np.divide(sums / counts, along, out=np.full(sums.shape, np.nan), where=along > 0)


@lru_cache(maxsize=64)
def _ends(skeleton: Skeleton, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the keypoints (L,) at both ends of distances: pairs of each measure, then the corners of each.

    The third array is where the pairs of each measure begin. A measure that the keypoints do not tell has one that is
    as wide as it is high: 0.
    """
    pairs: list[tuple[int, int]] = []
    corners, first = [], []
    for name in names:
        roles = OPENINGS.get(name, ("",))
        known = all(role in skeleton.roles for role in roles)
        upper, lower, ends = (skeleton.roles[role] for role in roles) if known else ((0,), (0,), (0, 0))
        first.append(len(pairs))
        pairs += zip(upper, lower, strict=True)
        corners.append(ends)
    both = np.array([*pairs, *corners])
    return both[:, 0], both[:, 1], np.array(first)


def _frames(poses: Poses, camera: Camera) -> np.ndarray:
    skeleton = poses.skeleton
    rotations, positions = head_poses(poses.keypoints, poses.scores, skeleton.rigid, camera)
    rays = camera.rays(poses.keypoints)
    # Of both eyes: the middle of the corners as an average face has them.
    sides = [side for side in _SIDES if _eye(skeleton, side)]
    irises, corners = ([skeleton.roles[f"{side}_{part}"] for side in sides] for part in ("iris", "eye_corners"))
    middles = [rotations @ np.mean([skeleton.rigid[c] for c in pair], axis=0) for pair in corners]
    scales = face_scales(*(
        np.array(sizes).reshape(len(sides), len(poses)).T for sizes in (
            [iris_diameters(rays, iris) * (positions + m)[:, 2] for iris, m in zip(irises, middles, strict=True)],
            [iris_diameters(poses.keypoints, iris) for iris in irises],
        )
    ))
    positions = positions * scales[:, None]
    eyes = []
    for side, iris, pair, middle in zip(sides, irises, corners, middles, strict=True):
        seen = (poses.scores[:, [iris[0], *pair]] > 0).all(axis=1)
        with np.errstate(invalid="ignore"):
            seen &= _openings(poses, (f"{side}_eye_opening",))[:, 0] >= _MIN_EYE_OPENING
        eyes.append(Eye(middle * scales[:, None] + positions, rays[:, list(pair)], rays[:, iris[0]], seen))
    turns = {"face": rotations, "gaze": gaze_frames(gaze_directions(eyes, rotations, scales), rotations)}
    frames = np.full((len(poses), len(skeleton.frames), 7), np.nan)
    for column, name in enumerate(skeleton.frames):
        if name in turns:
            frames[:, column] = np.concatenate([positions, quaternion.from_rotations(turns[name])], axis=1)
    return frames


def _eye(skeleton: Skeleton, side: str) -> bool:
    """Whether the skeleton has what is needed to see where an eye looks."""
    corners = skeleton.roles.get(f"{side}_eye_corners", ())
    return f"{side}_iris" in skeleton.roles and len(corners) == 2 and all(c in skeleton.rigid for c in corners)
