# SPDX-License-Identifier: Apache-2.0
"""Joint angles of bodies that were put together with known ones, in any pose, and of those that cannot be known."""

from __future__ import annotations

import isb
import numpy as np
import pytest
from scenes import at, walker
from scipy.spatial.transform import Rotation

from pose_ros.anatomy.angles import ANGLES
from pose_ros.anatomy.describe import UNITS, described
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

SETS = ("coco17", "mediapipe33", "halpe26", "body25", "wholebody133", "holistic543", "hri18", "coco19", "h36m17")


def measured(poses: Poses) -> dict[str, np.ndarray]:
    """Return the measures of poses in degrees by name, each (N,)."""
    measures = described(poses, None).measures
    assert measures is not None
    return dict(zip(poses.skeleton.measures, np.rad2deg(measures.T.astype(float)), strict=True))


def one(name: str, **changed: float) -> dict[str, float]:
    """Return the angles of somebody who stands but for some joints, degrees."""
    angles = measured(isb.poses(name, isb.build(isb.STANDING | changed)[0]))
    return {joint: float(value[0]) for joint, value in angles.items()}


def spine_m(name: str) -> float:
    return 0.2 if name == "h36m17" else 0.0


@pytest.mark.parametrize("name", SETS)
def test_angles_are_those_of_the_isb_in_any_pose(name: str, rng: np.random.Generator) -> None:
    truth = [isb.random_angles(rng) for _ in range(100)]
    if not spine_m(name):
        truth = [angles | {"trunk_flexion": 0.0} for angles in truth]
    bodies = [isb.build(angles, Rotation.random(rng=rng).as_matrix(), (0.2, -0.4, 3), spine_m=spine_m(name))[0]
              for angles in truth]
    found = measured(isb.poses(name, *bodies))
    assert found.keys() & set(isb.BENT) >= {"left_knee_flexion", "right_shoulder_plane", "left_hip_rotation"}
    for joint in found.keys() & set(isb.BENT):
        np.testing.assert_allclose(found[joint], [angles[joint] for angles in truth], atol=0.1, err_msg=joint)


def test_sets_name_what_they_can_know() -> None:
    coco, feet, hands, h36m, mpii = (set(catalogue.get(name).measures)
                                     for name in ("coco17", "halpe26", "wholebody133", "h36m17", "mpii16"))
    assert "trunk_flexion" in h36m - coco
    assert {"left_ankle_dorsiflexion", "right_ankle_inversion"} <= feet - coco
    assert {"left_forearm_pronation", "right_wrist_flexion", "left_grasp_opening"} <= hands - feet
    assert {"neck_flexion"} <= coco - mpii
    mediapipe = set(catalogue.get("mediapipe33").measures)
    assert "left_ankle_dorsiflexion" in mediapipe
    assert "left_ankle_inversion" not in mediapipe
    for name in ("ap10k17", "macaque17", "hand_circle2", "face5"):
        assert catalogue.get(name).measures == ()
    assert set(ANGLES) <= UNITS.keys()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("joint", "degrees"), [
    ("hip_flexion", 90), ("hip_adduction", 20), ("knee_flexion", 70), ("ankle_dorsiflexion", 15),
    ("ankle_inversion", 10), ("elbow_flexion", 90), ("forearm_pronation", 90), ("wrist_flexion", 50),
    ("wrist_deviation", 20), ("shoulder_elevation", 90),
])  # fmt: skip
def test_one_joint_that_moves_has_one_angle(side: str, joint: str, degrees: float) -> None:
    bent = {f"{side}_elbow_flexion": 60} if joint in ("forearm_pronation", "shoulder_elevation") else {}
    bent |= {f"{side}_{joint}": degrees}
    found = one("wholebody133", **bent)
    for name in isb.BENT.keys() & found.keys():
        if np.isfinite(found[name]):
            assert found[name] == pytest.approx(bent.get(name, 0), abs=0.05), name
    assert found[f"{side}_{joint}"] == pytest.approx(degrees, abs=0.05)


def test_both_sides_have_the_same_numbers_in_a_mirror(rng: np.random.Generator) -> None:
    angles = [isb.random_angles(rng) | {"trunk_flexion": 0.0} for _ in range(30)]
    bodies = [isb.build(a, Rotation.random(rng=rng).as_matrix())[0] for a in angles]
    swap = {"left": "right", "right": "left"}

    def other(name: str) -> str:
        side, bar, rest = name.partition("_")
        return swap.get(side, side) + bar + rest

    mirrored = [{other(joint): point * (1, 1, -1) for joint, point in body.items()} for body in bodies]
    found, seen = measured(isb.poses("wholebody133", *bodies)), measured(isb.poses("wholebody133", *mirrored))
    for name in isb.BENT.keys() & found.keys():
        sign = -1 if name in ("trunk_bending", "trunk_rotation", "neck_bending", "neck_rotation") else 1
        np.testing.assert_allclose(seen[other(name)], sign * found[name], atol=0.01, err_msg=name)


def test_straight_limbs_do_not_say_how_they_are_turned() -> None:
    found = one("wholebody133", left_knee_flexion=5, right_knee_flexion=25, left_elbow_flexion=5,
                left_shoulder_elevation=45, right_elbow_flexion=25, right_shoulder_elevation=45)  # fmt: skip
    unknown = {"left_hip_rotation", "left_ankle_rotation", "left_shoulder_rotation", "left_forearm_pronation"}
    assert {name for name in unknown if np.isnan(found[name])} == unknown
    assert all(np.isfinite(found[name.replace("left", "right")]) for name in unknown)
    assert found["left_hip_flexion"] == pytest.approx(0, abs=0.1)
    assert found["left_elbow_flexion"] == pytest.approx(5, abs=0.1)
    assert found["left_ankle_dorsiflexion"] == pytest.approx(0, abs=0.5)


def test_a_hanging_arm_is_in_no_plane() -> None:
    found = one("coco17", left_shoulder_elevation=4, left_shoulder_plane=80, left_elbow_flexion=60)
    assert found["left_shoulder_elevation"] == pytest.approx(4, abs=0.1)
    assert np.isnan([found["left_shoulder_plane"], found["left_shoulder_rotation"]]).all()


def test_a_leg_that_points_straight_aside_does_not_say_how_far_to_the_front() -> None:
    found = one("coco17", left_hip_adduction=-84, right_hip_adduction=-60, left_knee_flexion=40, right_knee_flexion=40)
    assert np.isnan([found["left_hip_flexion"], found["left_hip_rotation"]]).all()
    assert found["left_hip_adduction"] == pytest.approx(-84, abs=0.1)
    assert found["right_hip_flexion"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("lost", ["left_small_toe", "left_big_toe"])
def test_a_foot_with_half_of_its_toes_is_not_known(lost: str) -> None:
    body = isb.build(isb.BENT)[0]
    found = measured(isb.poses("halpe26", {name: point for name, point in body.items() if name != lost}))
    assert np.isnan([found["left_ankle_inversion"][0], found["left_ankle_dorsiflexion"][0]]).all()
    assert np.isfinite(found["right_ankle_inversion"]).all()


def test_a_knee_that_bends_the_wrong_way_is_negative_and_an_elbow_is_not() -> None:
    found = one("coco17", left_knee_flexion=-8, right_knee_flexion=-3, left_elbow_flexion=-6)
    assert found["left_knee_flexion"] == pytest.approx(-8, abs=0.1)
    assert found["right_knee_flexion"] == pytest.approx(-3, abs=0.1)
    assert found["left_elbow_flexion"] == pytest.approx(6, abs=0.1)
    # The knee of a leg that is crossed over the other looks far outwards, and is bent as knees are.
    crossed = one("coco17", left_hip_flexion=85, left_hip_rotation=-80, left_hip_adduction=-20, left_knee_flexion=100)
    assert crossed["left_knee_flexion"] == pytest.approx(100, abs=0.1)


def test_an_almost_straight_knee_that_trembles_aside_does_not_jump() -> None:
    """The plane of knee and hip turns all the way round while the knee goes about its straight line."""
    body = isb.build(isb.STANDING)[0]
    around = np.deg2rad(np.arange(0, 361, 2))
    bodies = [{**body, "left_knee": body["left_knee"] + 0.03 * np.array([np.cos(a), np.sin(a), 0])} for a in around]
    found = measured(isb.poses("coco17", *bodies))["left_knee_flexion"]
    np.testing.assert_allclose(found, found[0] * np.cos(around), atol=0.3)
    assert 8 < found[0] < 10
    assert np.abs(np.diff(found)).max() < 0.5


def test_a_hand_that_is_folded_back_is_none() -> None:
    body = isb.build(isb.STANDING | {"left_elbow_flexion": 60, "left_wrist_flexion": 150})[0]
    found = measured(isb.poses("wholebody133", body))
    assert np.isnan([found[name][0] for name in ("left_wrist_flexion", "left_wrist_deviation",
                                                 "left_forearm_pronation")]).all()


def test_without_hips_the_bends_of_arms_are_known() -> None:
    body = isb.build(isb.BENT)[0]
    found = measured(isb.poses("wholebody133", {k: v for k, v in body.items() if "hip" not in k}))
    assert found["right_elbow_flexion"] == pytest.approx(80, abs=0.1)
    assert found["right_wrist_flexion"] == pytest.approx(30, abs=0.1)
    assert np.isnan([found["right_shoulder_elevation"][0], found["trunk_bending"][0], found["left_hip_flexion"][0],
                     found["left_knee_flexion"][0]]).all()


def test_a_knee_needs_its_own_leg_only() -> None:
    """Without shoulders the body has no front, and a knee bends as knees do."""
    body = isb.build(isb.STANDING | {"left_knee_flexion": 8, "right_knee_flexion": 50})[0]
    found = measured(isb.poses("coco17", {k: v for k, v in body.items() if "shoulder" not in k}))
    assert found["left_knee_flexion"][0] == pytest.approx(8, abs=0.1)
    assert found["right_knee_flexion"][0] == pytest.approx(50, abs=0.1)


def test_doubtful_joints_say_nothing() -> None:
    poses = isb.poses("coco17", isb.build(isb.BENT)[0])
    scores = poses.scores.copy()
    scores[0, poses.skeleton.index["left_ankle"]] = 0.1
    found = measured(poses.replace(scores=scores))
    assert np.isnan(found["left_knee_flexion"][0])
    assert found["right_knee_flexion"] == pytest.approx(60, abs=0.1)


def test_points_around_the_root_have_the_same_angles_and_no_metres_have_none() -> None:
    poses = isb.poses("coco17", isb.build(isb.BENT, at=(1, 2, 3))[0])
    metric, local = described(poses, None), described(poses.replace(points=None, local_points=poses.points - 1), None)
    np.testing.assert_allclose(local.measures, metric.measures, atol=1e-5)
    assert local.frames is None
    assert described(poses.replace(points=None), None).measures is None
    assert described(Poses.empty(poses.skeleton).replace(points=np.empty((0, 17, 3))), None).measures.shape[0] == 0


def test_angles_of_points_that_coincide_are_unknown() -> None:
    poses = isb.poses("wholebody133", dict.fromkeys(isb.build(isb.BENT)[0], np.ones(3)))
    found = measured(poses)
    assert np.isnan([found[name][0] for name in ("left_hip_flexion", "trunk_rotation", "neck_flexion")]).all()


@pytest.mark.parametrize(("noise_m", "degrees"), [(0.0, 1.0), (0.01, 6.0)])
def test_a_walk_has_the_angles_it_was_made_of(noise_m: float, degrees: float, rng: np.random.Generator) -> None:
    """Of another model of a body, with another order of turns at the shoulders."""
    truth = at(walker(), np.arange(0, 3, 0.02))
    skeleton = catalogue.get("halpe26")
    points = truth.points("halpe26")[:, 0]
    points = points + rng.normal(0, noise_m, points.shape)
    found = measured(Poses(skeleton, np.zeros((*points.shape[:2], 2)), np.ones(points.shape[:2]), points=points))
    for side in ("left", "right"):
        for joint in ("knee_flexion", "elbow_flexion"):
            name = f"{side}_{joint}"
            off = found[name] - np.rad2deg(truth.angles[name][:, 0])
            assert np.sqrt(np.mean(off**2)) < degrees, name
    assert found["left_knee_flexion"].max() > 55
