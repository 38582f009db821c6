# SPDX-License-Identifier: Apache-2.0
"""A body put together by joint angles as the ISB defines them, by SciPy's rotations: the truth for those we measure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

#: Axes X, Y, Z of the ISB (front, up, right) as columns in those of REP-103 (front, left, up).
ISB = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])
#: Everything bent, so that everything can be seen; degrees.
BENT = {
    "trunk_flexion": 0, "trunk_bending": 7, "trunk_rotation": -12, "neck_flexion": 15, "neck_bending": -8,
    "neck_rotation": 25,
    "right_hip_flexion": 40, "right_hip_adduction": -15, "right_hip_rotation": 12, "right_knee_flexion": 60,
    "right_ankle_dorsiflexion": 12, "right_ankle_inversion": 8, "right_ankle_rotation": -10,
    "left_hip_flexion": -15, "left_hip_adduction": 6, "left_hip_rotation": -20, "left_knee_flexion": 35,
    "left_ankle_dorsiflexion": -20, "left_ankle_inversion": -6, "left_ankle_rotation": 14,
    "right_shoulder_plane": 40, "right_shoulder_elevation": 70, "right_shoulder_rotation": -30,
    "right_elbow_flexion": 80, "right_forearm_pronation": 60, "right_wrist_flexion": 30, "right_wrist_deviation": -12,
    "left_shoulder_plane": 95, "left_shoulder_elevation": 35, "left_shoulder_rotation": 20,
    "left_elbow_flexion": 45, "left_forearm_pronation": 120, "left_wrist_flexion": -40, "left_wrist_deviation": 20,
}  # fmt: skip
#: Somebody who stands as anatomy books want it, in degrees.
STANDING = dict.fromkeys(BENT, 0.0)


def random_angles(rng: np.random.Generator) -> dict[str, float]:
    """Return any pose that people can take, with bent limbs, degrees."""
    ranges = {
        "trunk_flexion": (-20, 60), "trunk_bending": (-30, 30), "trunk_rotation": (-40, 40),
        "neck_flexion": (-50, 50), "neck_bending": (-40, 40), "neck_rotation": (-70, 70),
        "hip_flexion": (-20, 110), "hip_adduction": (-45, 25), "hip_rotation": (-35, 35), "knee_flexion": (22, 140),
        "ankle_dorsiflexion": (-45, 25), "ankle_inversion": (-20, 20), "ankle_rotation": (-20, 20),
        "shoulder_plane": (-60, 130), "shoulder_elevation": (15, 165), "shoulder_rotation": (-80, 60),
        "elbow_flexion": (22, 145), "forearm_pronation": (0, 165), "wrist_flexion": (-65, 65),
        "wrist_deviation": (-20, 30),
    }  # fmt: skip
    return {name: rng.uniform(*ranges[name.removeprefix("left_").removeprefix("right_")]) for name in BENT}


def _joint(order: str, degrees: list[float], mirrored: bool) -> np.ndarray:
    """Return the rotation of a joint in axes of the ISB; a mirror turns about X and Y the other way."""
    signs = [-1 if mirrored and axis in "XY" else 1 for axis in order]
    return Rotation.from_euler(order, np.multiply(signs, degrees), degrees=True).as_matrix()


def build(
    angles: Mapping[str, float], world: np.ndarray = ISB, at: tuple[float, float, float] = (0, 0, 0), *,
    spine_m: float = 0.0,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return where the joints are, and how the segments are turned, in REP-103 axes of each.

    Args:
        angles: Degrees.
        world: (3, 3) rotation of the pelvis, from its ISB axes; standing in REP-103 axes when left out.
        at: Middle of the hips.
        spine_m: How far above the hips the trunk is bent; 0 puts the joint between them.
    """
    turn = {"body": world}
    turn["torso"] = turn["body"] @ _joint("ZXY", [-angles["trunk_flexion"], angles["trunk_bending"],
                                                  angles["trunk_rotation"]], False)
    turn["head"] = turn["torso"] @ _joint("ZXY", [-angles["neck_flexion"], angles["neck_bending"],
                                                  angles["neck_rotation"]], False)
    middle = np.array(at, float)
    points = {"mid_hip": middle, "root": middle}
    points["h36m_spine"] = middle + turn["body"] @ (0, spine_m, 0)
    shoulders = points["neck"] = points["h36m_spine"] + turn["torso"] @ (0, 0.5 - spine_m, 0)
    ears = shoulders + turn["torso"] @ (0, 0.1, 0)
    points["nose"] = ears + turn["head"] @ (0.11, -0.02, 0)
    for side, right in (("right", 1), ("left", -1)):
        mirrored = right < 0
        a = {name.removeprefix(f"{side}_"): value for name, value in angles.items()
             if name.startswith(side)}  # fmt: skip
        thigh = turn["body"] @ _joint("ZXY", [a["hip_flexion"], a["hip_adduction"], a["hip_rotation"]], mirrored)
        shank = thigh @ _joint("Z", [-a["knee_flexion"]], mirrored)
        foot = shank @ _joint("ZXY", [a["ankle_dorsiflexion"], a["ankle_inversion"], a["ankle_rotation"]], mirrored)
        arm = turn["torso"] @ _joint(
            "YXY", [a["shoulder_plane"], -a["shoulder_elevation"], a["shoulder_rotation"]], mirrored)
        forearm = arm @ _joint("ZXY", [a["elbow_flexion"], 0, a["forearm_pronation"]], mirrored)
        hand = forearm @ _joint("ZXY", [a["wrist_flexion"], a["wrist_deviation"], 0], mirrored)
        turn |= {f"{side}_{name}": value for name, value in (
            ("thigh", thigh), ("shank", shank), ("foot", foot), ("upper_arm", arm), ("forearm", forearm),
            ("hand", hand))}  # fmt: skip
        own = {"hip": middle + turn["body"] @ (0, 0, 0.09 * right)}
        own["knee"] = own["hip"] - thigh @ (0, 0.42, 0)
        own["ankle"] = own["knee"] - shank @ (0, 0.4, 0)
        for name, place in (("heel", (-0.05, -0.07, 0)), ("foot_index", (0.15, -0.07, 0)),
                            ("big_toe", (0.15, -0.07, -0.03)), ("small_toe", (0.15, -0.07, 0.03))):
            own[name] = own["ankle"] + foot @ np.multiply(place, (1, 1, right))
        own["shoulder"] = shoulders + turn["torso"] @ (0, 0, 0.18 * right)
        own["elbow"] = own["shoulder"] - arm @ (0, 0.3, 0)
        own["wrist"] = own["elbow"] - forearm @ (0, 0.26, 0)
        own["ear"] = ears + turn["head"] @ (0, 0, 0.07 * right)
        own["eye"] = ears + turn["head"] @ (0.09, 0.02, 0.03 * right)
        for name, finger, place in (("index", "forefinger1", (0, -0.09, 0.03)), ("pinky", "pinky_finger1",
                                    (0, -0.09, -0.03)), ("", "middle_finger1", (0, -0.09, 0)), ("", "wrist", (0, 0, 0)),
                                    ("thumb", "thumb2", (0.02, -0.05, 0.04)), ("", "thumb3", (0.03, -0.08, 0.04)),
                                    ("", "thumb4", (0.04, -0.1, 0.035)), ("", "forefinger3", (0.03, -0.13, 0.03)),
                                    ("", "forefinger4", (0.05, -0.12, 0.03))):
            point = own["wrist"] + hand @ np.multiply(place, (1, 1, right))
            points[f"{side}_hand/{finger}"] = point
            if name:
                own[name] = point
        points |= {f"{side}_{name}": point for name, point in own.items()}
    return points, {name: value @ ISB.T for name, value in turn.items()}


def poses(name: str, *bodies: Mapping[str, np.ndarray], **columns: object) -> Poses:
    """Return bodies in the keypoints of a skeleton, in metres; what they do not have is NaN with score 0."""
    skeleton = catalogue.get(name)
    nothing = np.full(3, np.nan)
    points = np.array([[body.get(joint, nothing) for joint in skeleton.joints] for body in bodies])
    scores = np.isfinite(points).all(axis=2).astype(np.float32)
    return Poses(skeleton, points[..., :2], scores, **{"points": points, **columns})  # type: ignore[arg-type]
