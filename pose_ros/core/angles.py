# SPDX-License-Identifier: Apache-2.0
"""Angles of a body's joints as the International Society of Biomechanics defines them.

Wu et al., J. Biomech. 35 (2002) for ankle, hip and spine, 38 (2005) for shoulder, elbow and wrist; Grood and Suntay,
J. Biomech. Eng. 105 (1983) for the knee. Joints turn about z of the near segment, then x, then y of the far one, in the
axes X, Y, Z of the ISB; the shoulder about y, x, y of the thorax. All are 0 in the anatomical position, and left limbs
are looked at in a mirror, so that the same movement has the same numbers on both sides. Radians. What the keypoints do
not tell is NaN.
"""

from __future__ import annotations

import numpy as np

from pose_ros.core.body_frames import BENT, SEGMENTS, Segments

#: Nearer than this to where two axes of a joint become one, they cannot be told apart: radians.
LOCKED = np.deg2rad(10)

_TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
_HEAD = ("left_ear", "right_ear", "face_front")
_LEG = (*_TRUNK, "{}_knee", "{}_ankle")
_FOOT = (*_LEG, "{}_heel", "{}_toe")
_ARM = (*_TRUNK, "{}_elbow", "{}_wrist")
_HAND = ("{}_palm", "{}_forefinger", "{}_middle_finger", "{}_little_finger")
#: Angle -> the joints (of :data:`pose_ros.core.body_frames.BODY`) without which it is never known.
CENTRAL = {
    "trunk_flexion": (*_TRUNK, "spine"),
    "trunk_bending": _TRUNK,
    "trunk_rotation": _TRUNK,
    "neck_flexion": (*_TRUNK, *_HEAD),
    "neck_bending": (*_TRUNK, *_HEAD),
    "neck_rotation": (*_TRUNK, *_HEAD),
}
SIDED = {
    "hip_flexion": _LEG,
    "hip_adduction": _LEG,
    "hip_rotation": _LEG,
    "knee_flexion": ("{}_hip", "{}_knee", "{}_ankle"),
    "ankle_dorsiflexion": _FOOT,
    "ankle_inversion": (*_FOOT, "{}_big_toe", "{}_small_toe"),
    "ankle_rotation": _FOOT,
    "shoulder_plane": _ARM,
    "shoulder_elevation": _ARM,
    "shoulder_rotation": _ARM,
    "elbow_flexion": ("{}_shoulder", "{}_elbow", "{}_wrist"),
    "forearm_pronation": (*_ARM, *_HAND),
    "wrist_flexion": (*_HAND, "{}_elbow"),
    "wrist_deviation": (*_HAND, "{}_elbow"),
}  # fmt: skip
#: Columns of :func:`angles`.
ANGLES = (*CENTRAL, *(f"{side}_{name}" for side in ("right", "left") for name in SIDED))

_HIP, _ANKLE, _, _ELBOW, _, _, _SHOULDER = range(7)
#: Near and far segments of these joints.
_NEAR = [SEGMENTS.index(name) for name in ("body", "shank", "forearm", "upper_arm", "body", "torso", "torso")]
_FAR = [SEGMENTS.index(name) for name in ("thigh", "foot", "hand", "forearm", "torso", "head", "upper_arm")]


def angles(segments: Segments) -> np.ndarray:
    """Return the angles of N bodies, (N, A) radians, of :data:`ANGLES`."""
    turns = segments.rotations[:, :, _NEAR].swapaxes(-1, -2) @ segments.rotations[:, :, _FAR]
    # The far segment's long axis, in axes that are X, -Z, Y of the ISB.
    x, y, z = turns[..., 0, 2], turns[..., 1, 2], turns[..., 2, 2]
    known = np.ones((*turns.shape[:2], len(SIDED)), bool)
    with np.errstate(invalid="ignore"):
        first, second = np.arctan2(-x, z), np.arcsin(np.clip(-y, -1, 1))
        third = np.arctan2(turns[..., 1, 0], turns[..., 1, 1])
        locked = np.abs(second) > np.pi / 2 - LOCKED
        elevation = np.arctan2(np.hypot(x[..., _SHOULDER], y[..., _SHOULDER]), z[..., _SHOULDER])
        bent = segments.bends >= BENT
        known[..., 7] = known[..., 9] = np.abs(elevation - np.pi / 2) < np.pi / 2 - LOCKED
    first[locked] = third[locked] = np.nan

    knee, elbow = bent[..., 0], bent[..., 1]
    known[..., 2] = known[..., 6] = knee
    known[..., 5] = segments.soles
    known[..., 9] &= elbow
    known[..., 12] = known[..., 13] = segments.palms
    known[..., 11] = elbow & segments.palms
    sided = np.empty(known.shape)
    sided[..., (0, 4, 12)] = first[..., :3]
    sided[..., (1, 5, 13)] = second[..., :3]
    sided[..., (2, 6, 11)] = third[..., (_HIP, _ANKLE, _ELBOW)]
    sided[..., (3, 10)] = segments.bends
    sided[..., 7] = np.arctan2(-x[..., _SHOULDER], y[..., _SHOULDER])
    sided[..., 8] = elevation
    sided[..., 9] = np.arctan2(-turns[..., _SHOULDER, 2, 0], -turns[..., _SHOULDER, 2, 1])
    sided[~known] = np.nan

    central = np.stack([-first[0, :, 4:6], second[0, :, 4:6], third[0, :, 4:6]], axis=2)
    central[~segments.jointed, 0, 0] = np.nan
    return np.concatenate([central.reshape(-1, len(CENTRAL)), sided[0], sided[1]], axis=1)
