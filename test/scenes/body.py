# SPDX-License-Identifier: Apache-2.0
"""An articulated body: joint angles in, points and segment rotations out.

Axes of every segment are those of a standing person: x forward, y left, z up; all angles are zero when the arms hang
and the palms face the thighs. Lengths are parts of the body's height: segments by Drillis and Contini (1966) as given
by Winter, Biomechanics and Motor Control of Human Movement (4th edition 2009), figure 4.1; what lies across (hips,
shoulders, face, feet) are round numbers between those of joint centres of people.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pose_ros.core.skeleton import Skeleton
from scenes import hands

#: Segment -> the one that carries it, and where its joint is in that, in parts of the height; y of the left side.
_TREE = {
    "pelvis": ("", (0.0, 0.0, 0.0)),
    "thorax": ("pelvis", (0.0, 0.0, 0.0)),
    "head": ("thorax", (0.0, 0.0, 0.288)),
    "thigh": ("pelvis", (0.0, 0.05, 0.0)),
    "shank": ("thigh", (0.0, 0.0, -0.245)),
    "foot": ("shank", (0.0, 0.0, -0.246)),
    "upper_arm": ("thorax", (0.0, 0.105, 0.288)),
    "forearm": ("upper_arm", (0.0, 0.0, -0.186)),
    "hand": ("forearm", (0.0, 0.0, -0.146)),
}
_MIDDLE = ("pelvis", "thorax", "head")
#: Segment -> its turns in order: axis, name of the angle, sense of a positive angle about the axis. On the right side
#: turns about x and z have the opposite sense, so that flexion, abduction and rotation mean the same on both. Three
#: turns y, x, z are the sequence of Grood and Suntay (1983) that the ISB recommends for hip, knee and spine.
_TURNS = {
    "pelvis": (("z", "pelvis_rotation", 1), ("y", "pelvis_tilt", 1), ("x", "pelvis_list", 1)),
    "thorax": (("y", "trunk_flexion", 1), ("x", "trunk_bending", 1), ("z", "trunk_rotation", 1)),
    "head": (("y", "neck_flexion", 1), ("x", "neck_bending", 1), ("z", "neck_rotation", 1)),
    "thigh": (("y", "hip_flexion", -1), ("x", "hip_abduction", 1), ("z", "hip_rotation", -1)),
    "shank": (("y", "knee_flexion", 1),),
    "foot": (("y", "ankle_dorsiflexion", -1),),
    "upper_arm": (("y", "shoulder_flexion", -1), ("x", "shoulder_abduction", 1), ("z", "shoulder_rotation", -1)),
    "forearm": (("y", "elbow_flexion", -1),),
    "hand": (("z", "forearm_pronation", -1), ("x", "wrist_flexion", -1), ("y", "wrist_deviation", -1)),
}
#: Point -> segment and place in it; the left one where there are two.
_POINTS = {
    "mid_hip": ("pelvis", (0.0, 0.0, 0.0)),
    "root": ("pelvis", (0.0, 0.0, 0.0)),
    "h36m_spine": ("thorax", (0.0, 0.0, 0.144)),
    "h36m_thorax": ("thorax", (0.0, 0.0, 0.288)),
    "neck": ("thorax", (0.0, 0.0, 0.288)),
    "neck_nose": ("head", (0.01, 0.0, 0.07)),
    "h36m_head": ("head", (0.0, 0.0, 0.135)),
    "head_top": ("head", (0.0, 0.0, 0.182)),
    "nose": ("head", (0.065, 0.0, 0.1)),
    "*_eye": ("head", (0.052, 0.018, 0.118)),
    "*_eye_inner": ("head", (0.054, 0.01, 0.118)),
    "*_eye_outer": ("head", (0.048, 0.026, 0.118)),
    "*_ear": ("head", (0.0, 0.045, 0.108)),
    "mouth_*": ("head", (0.05, 0.014, 0.085)),
    "*_shoulder": ("upper_arm", (0.0, 0.0, 0.0)),
    "*_elbow": ("forearm", (0.0, 0.0, 0.0)),
    "*_wrist": ("hand", (0.0, 0.0, 0.0)),
    "*_hip": ("thigh", (0.0, 0.0, 0.0)),
    "*_knee": ("shank", (0.0, 0.0, 0.0)),
    "*_ankle": ("foot", (0.0, 0.0, 0.0)),
    "*_heel": ("foot", (-0.035, 0.0, -0.039)),
    "*_big_toe": ("foot", (0.117, -0.015, -0.039)),
    "*_small_toe": ("foot", (0.095, 0.03, -0.039)),
}
#: Where flesh ends and no joint is; in no skeleton.
_INNER = {
    "_*_chest": ("thorax", (0.0, 0.05, 0.24)),
    "_skull_back": ("head", (-0.012, 0.0, 0.108)),
    "_skull_front": ("head", (0.012, 0.0, 0.108)),
    "_crown": ("head", (0.0, 0.0, 0.138)),
}
#: Length of a hand as part of the height.
_HAND = 0.108
SIDES = {"left": 1.0, "right": -1.0}
#: Fist or open hand; in radians like the rest would say nothing.
CURLS = tuple(f"{side}_hand_curl" for side in SIDES)
#: What surrounds the bones: two points and a radius, in parts of the height. The face lies just outside of the head.
_FLESH = (
    ("mid_hip", "neck", 0.062), ("*_hip", "_*_chest", 0.05), ("left_shoulder", "right_shoulder", 0.035),
    ("left_hip", "right_hip", 0.055), ("*_shoulder", "*_elbow", 0.026), ("*_elbow", "*_wrist", 0.019),
    ("*_wrist", "*_hand/middle_finger1", 0.018), ("*_hip", "*_knee", 0.038), ("*_knee", "*_ankle", 0.026),
    ("*_ankle", "*_big_toe", 0.02), ("neck", "neck_nose", 0.033), ("_skull_back", "_skull_front", 0.043),
    ("_skull_back", "_crown", 0.043),
)  # fmt: skip


def _both(name: str) -> list[tuple[str, str]]:
    return [(name.replace("*", side), side) for side in SIDES] if "*" in name else [(name, "")]


def _names() -> tuple[str, ...]:
    names = [name for pattern in (*_POINTS, *_INNER) for name, _ in _both(pattern)]
    names += [f"{side}_hand/{point}" for side in SIDES for point in hands.NAMES]
    return tuple(names)


#: What the model knows; every other skeleton's points are made of these by name.
MODEL = Skeleton("scene", _names(), joints=_names())
#: Names of all angles.
ANGLES = tuple(
    f"{side}_{name}" if side else name
    for segment, turns in _TURNS.items()
    for side in ([""] if segment in _MIDDLE else SIDES)
    for _, name, _ in turns
)
SEGMENTS = tuple(name for segment in _TREE for name in ([segment] if segment in _MIDDLE else
                                                       [f"{side}_{segment}" for side in SIDES]))  # fmt: skip


def _flesh() -> tuple[np.ndarray, np.ndarray]:
    rows = [(a.replace("*", side), b.replace("*", side), r)
            for a, b, r in _FLESH for side in (SIDES if "*" in a + b else ("",))]  # fmt: skip
    ends = np.array([(MODEL.index[a], MODEL.index[b]) for a, b, _ in rows])
    return ends, np.array([r for *_, r in rows])


#: (C, 2) points of MODEL at the ends of each capsule of a body, and (C,) its radius in parts of the height.
CAPSULES, RADII = _flesh()


def turn(axis: str, angle: np.ndarray) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) about x, y or z; radians."""
    angle = np.asarray(angle, np.float64)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    out = np.zeros((*angle.shape, 3, 3))
    out[..., "xyz".index(axis), "xyz".index(axis)] = 1
    out[..., i, i] = out[..., j, j] = np.cos(angle)
    out[..., j, i] = np.sin(angle)
    out[..., i, j] = -out[..., j, i]
    return out


def forward(
    height_m: float, angles: Mapping[str, np.ndarray], position: np.ndarray, yaw: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return where a body's points are.

    Args:
        height_m: Of the standing body.
        angles: Any of ANGLES (radians) and CURLS -> (T,); what is left out is 0.
        position: (T, 3) of the middle between the hips, metres.
        yaw: (T,) about the world's z.

    Returns:
        Points of MODEL, (T, J, 3) metres in the world, and segment -> (T, 3, 3), rotations from segment to world.
    """
    shape = np.shape(yaw)
    rotations: dict[str, np.ndarray] = {}
    origins: dict[str, np.ndarray] = {}
    for segment, (parent, offset) in _TREE.items():
        for side in [""] if segment in _MIDDLE else SIDES:
            name = f"{side}_{segment}" if side else segment
            carrier = parent if parent in _MIDDLE or not side else f"{side}_{parent}"
            base = rotations[carrier] if parent else turn("z", yaw)
            place = height_m * np.array(offset) * (1, SIDES.get(side, 1.0), 1)
            origins[name] = origins[carrier] + base @ place if parent else position
            for axis, angle, sense in _TURNS[segment]:
                value = np.broadcast_to(angles.get(f"{side}_{angle}" if side else angle, 0.0), shape)
                base = base @ turn(axis, sense * value * (1 if axis == "y" else SIDES.get(side, 1.0)))
            rotations[name] = base
    points = []
    for pattern, (segment, offset) in (_POINTS | _INNER).items():
        for _, side in _both(pattern):
            owner = segment if segment in _MIDDLE else f"{side}_{segment}"
            place = height_m * np.array(offset) * (1, SIDES.get(side, 1.0), 1)
            points.append(origins[owner] + rotations[owner] @ place)
    out = [np.stack(points, axis=1)]
    for side in SIDES:
        curl = np.broadcast_to(angles.get(f"{side}_hand_curl", 0.2), shape)
        own = hands.hand(curl, side, _HAND * height_m)
        out.append(origins[f"{side}_hand"][:, None] + own @ np.swapaxes(rotations[f"{side}_hand"], -1, -2))
    return np.concatenate(out, axis=1), rotations
