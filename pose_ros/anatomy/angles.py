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

from pose_ros.anatomy.body_frames import BENT, SEGMENTS, Segments

#: Nearer than this to where two axes of a joint become one, they cannot be told apart: radians.
LOCKED = np.deg2rad(10)

_TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
_HEAD = ("left_ear", "right_ear", "face_front")
_LEG = (*_TRUNK, "{}_knee", "{}_ankle")
_FOOT = (*_LEG, "{}_heel", "{}_toe")
_ARM = (*_TRUNK, "{}_elbow", "{}_wrist")
_HAND = ("{}_palm", "{}_forefinger", "{}_middle_finger", "{}_little_finger")
#: Angle -> the joints (of :data:`pose_ros.anatomy.body_frames.BODY`) without which it is never known.
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

#: Near and far segments of hip, ankle, wrist, elbow, trunk and neck, which turn about z, x and y, and of the shoulder.
_NEAR, _FAR = np.array([[SEGMENTS.index(name) for name in pair] for pair in (
    ("body", "thigh"), ("shank", "foot"), ("forearm", "hand"), ("upper_arm", "forearm"), ("body", "torso"),
    ("torso", "head"), ("torso", "upper_arm"))]).T
#: Hip, ankle and elbow, where the third turn is seen.
_TWISTED = np.array([0, 1, 3])


def _columns(*names: str) -> np.ndarray:
    """Return which of the angles of a side these are."""
    return np.array([list(SIDED).index(name) for name in names])


_FIRST = _columns("hip_flexion", "ankle_dorsiflexion", "wrist_flexion")
_SECOND = _columns("hip_adduction", "ankle_inversion", "wrist_deviation")
_THIRD = _columns("hip_rotation", "ankle_rotation", "forearm_pronation")
_BENDS = _columns("knee_flexion", "elbow_flexion")
_BALL = _columns("shoulder_plane", "shoulder_elevation", "shoulder_rotation")
#: Those that need a bent knee, a bent elbow, a palm, an arm that neither hangs nor points straight up.
_OF_KNEE = _columns("hip_rotation", "ankle_rotation")
_OF_ELBOW = _columns("shoulder_rotation", "forearm_pronation")
_OF_PALM = _columns("forearm_pronation", "wrist_flexion", "wrist_deviation")
_OF_RAISED = _columns("shoulder_plane", "shoulder_rotation")


def angles(segments: Segments) -> np.ndarray:
    """Return the angles of N bodies, (N, A) radians, of :data:`ANGLES`."""
    turns = segments.rotations.take(_NEAR, axis=2).swapaxes(-1, -2) @ segments.rotations.take(_FAR, axis=2)
    # The far segment's long axis, in axes that are X, -Z, Y of the ISB.
    x, y, z = turns[..., 0, 2], turns[..., 1, 2], turns[..., 2, 2]
    sided = np.empty((*turns.shape[:2], len(SIDED)))
    known = np.ones(sided.shape, bool)
    with np.errstate(invalid="ignore"):
        first, second = np.arctan2(-x, z), np.arcsin(np.clip(-y, -1, 1))
        third = np.arctan2(turns[..., 1, 0], turns[..., 1, 1])
        locked = np.abs(second) > np.pi / 2 - LOCKED
        x, y, z = x[..., -1], y[..., -1], z[..., -1]
        ball = np.stack([np.arctan2(-x, y), np.arctan2(np.hypot(x, y), z),
                         np.arctan2(-turns[..., -1, 2, 0], -turns[..., -1, 2, 1])], axis=-1)  # fmt: skip
        bent = segments.bends >= BENT
        raised = np.abs(ball[..., 1:2] - np.pi / 2) < np.pi / 2 - LOCKED
    first[locked] = third[locked] = np.nan
    sided[..., _FIRST], sided[..., _SECOND] = first[..., :3], second[..., :3]
    sided[..., _THIRD] = third[..., _TWISTED]
    sided[..., _BENDS], sided[..., _BALL] = segments.bends, ball
    known[..., _OF_KNEE] = bent[..., :1]
    known[..., _OF_PALM] = segments.palms[..., None]
    known[..., _OF_RAISED] = raised
    known[..., _OF_ELBOW] &= bent[..., 1:]
    sided[~known] = np.nan
    central = np.stack([-first[0, :, 4:6], second[0, :, 4:6], third[0, :, 4:6]], axis=2)
    return np.concatenate([central.reshape(-1, len(CENTRAL)), sided[0], sided[1]], axis=1)
