# SPDX-License-Identifier: Apache-2.0
"""Frames of segments: of bodies whose rotations are known, in poses where axes could jump, and where joints lack."""

from __future__ import annotations

from collections.abc import Mapping

import isb
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose_ros.anatomy.describe import described
from pose_ros.core import quaternion
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

SETS = ("coco17", "mediapipe33", "halpe26", "body25", "wholebody133", "hri18", "h36m17")
#: Where frames have their origins.
AT = {"thigh": "hip", "shank": "knee", "foot": "ankle", "upper_arm": "shoulder", "forearm": "elbow", "hand": "wrist"}


def frames(poses: Poses) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return origins (N, 3) and rotations (N, 3, 3) by name."""
    found = described(poses, None).frames
    assert found is not None
    return {name: (found[:, i, :3], quaternion.to_matrices(found[:, i, 3:]))
            for i, name in enumerate(poses.skeleton.frames)}  # fmt: skip


def turned(name: str, angles: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the rotation (3, 3) of each segment of one body that stands upright in REP-103 axes."""
    return {key: value[1][0] for key, value in frames(isb.poses(name, isb.build(isb.STANDING | angles)[0])).items()}


def away(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles between rotations (..., 3, 3), degrees."""
    return np.asarray(np.rad2deg((Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)).magnitude()))


@pytest.mark.parametrize("name", SETS)
def test_segments_are_turned_as_the_body_was_built(name: str, rng: np.random.Generator) -> None:
    spine_m = 0.2 if name == "h36m17" else 0.0
    truth = [isb.random_angles(rng) | ({} if spine_m else {"trunk_flexion": 0.0}) for _ in range(50)]
    built = [isb.build(a, Rotation.random(rng=rng).as_matrix(), (0.2, -0.4, 3), spine_m=spine_m) for a in truth]
    found = frames(isb.poses(name, *(points for points, _ in built)))
    hands = "left_hand" in found
    assert {"body", "torso", "left_thigh", "right_forearm"} <= found.keys()
    for segment, (origins, rotations) in found.items():
        expected = np.array([rotations.get(segment, np.eye(3)) for _, rotations in built])
        if segment.endswith("hand"):
            # Palm down on a table instead of hanging with the palm to the front.
            expected = -expected[:, :, ::-1]
        if segment.endswith("forearm") and not hands:
            np.testing.assert_allclose(rotations[..., 2], expected[..., 2], atol=1e-4)
        elif segment in built[0][1]:
            assert away(rotations, expected).max() < 0.1, segment
        side, _, rest = segment.partition("_")
        if rest in AT:
            np.testing.assert_allclose(origins, [points[f"{side}_{AT[rest]}"] for points, _ in built], atol=1e-5)
    np.testing.assert_allclose(found["body"][0], [points["mid_hip"] for points, _ in built], atol=1e-5)
    np.testing.assert_allclose(found["torso"][0], [points["neck"] for points, _ in built], atol=1e-5)


def test_all_axes_are_those_of_rep_103_in_the_anatomical_position() -> None:
    for name, rotation in turned("wholebody133", {}).items():
        if name in ("face", "gaze") or name.endswith("pinch"):
            continue
        # Fingers point down, the back of the hand to the back.
        expected = [[0, 0, -1], [0, -1, 0], [-1, 0, 0]] if name.endswith("hand") else np.eye(3)
        np.testing.assert_allclose(rotation, expected, atol=1e-6, err_msg=name)


def test_a_forearm_without_a_hand_goes_with_its_elbow() -> None:
    pose = {"left_elbow_flexion": 80.0, "left_forearm_pronation": 90.0}
    with_hand, without = (turned(name, pose)["left_forearm"] for name in ("wholebody133", "coco17"))
    np.testing.assert_allclose(without[:, 1], (0, 1, 0), atol=1e-6)
    assert away(with_hand, without) == pytest.approx(90, abs=0.1)


@pytest.mark.parametrize("limb", ["knee", "elbow"])
def test_a_straight_limb_takes_the_axes_of_its_parent(limb: str) -> None:
    """Whatever the hinge says of it: hip and shoulder are turned by 40 degrees."""
    upper, lower, joint = (("left_thigh", "left_shank", "hip") if limb == "knee"
                           else ("left_upper_arm", "left_forearm", "shoulder"))  # fmt: skip
    for flexion, expected in ((0.0, 0.0), (9.9, 0.0), (20.0, 40.0), (60.0, 40.0)):
        found = turned("coco17", {f"left_{joint}_rotation": 40.0, f"left_{limb}_flexion": flexion})
        assert away(found[upper], np.eye(3)) == pytest.approx(expected, abs=0.1)
        assert found[upper][:, 1] == pytest.approx(found[lower][:, 1], abs=0.12)


def test_axes_do_not_jump_while_a_limb_bends() -> None:
    """Also where the hinge is turned far away from the parent."""
    steps = np.arange(0, 60, 0.25)
    for joint in ("shoulder", "hip"):
        limb, name = ("elbow", "left_upper_arm") if joint == "shoulder" else ("knee", "left_thigh")
        found = np.array([
            turned("coco17", {f"left_{joint}_rotation": -60.0, f"left_{limb}_flexion": step})[name] for step in steps
        ])  # fmt: skip
        assert away(found[1:], found[:-1]).max() < 4


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("flexion", [0.0, 5.0])
def test_straight_limbs_are_steady_wherever_they_point(side: str, flexion: float, rng: np.random.Generator) -> None:
    """A degree of noise turns no axis by more than a few, with arms down, to the front, to the side and overhead."""
    def found(plane: float, elevation: float, wobble: np.ndarray) -> np.ndarray:
        body = isb.build(isb.STANDING | {f"{side}_shoulder_plane": plane, f"{side}_shoulder_elevation": elevation,
                                         f"{side}_elbow_flexion": flexion})[0]  # fmt: skip
        elbow, wrist = f"{side}_elbow", f"{side}_wrist"
        moved = {elbow: body[elbow] + wobble, wrist: body[wrist] + 2 * wobble}
        return frames(isb.poses("coco17", {**body, **moved}))[f"{side}_upper_arm"][1][0]

    for plane, elevation in ((0, 0), (90, 0), (0, 90), (90, 90), (45, 90), (0, 180), (90, 179), (0, 150), (-30, 40),
                             (120, 80)):
        still = found(plane, elevation, np.zeros(3))
        for _ in range(5):
            assert away(found(plane, elevation, rng.normal(0, 0.005, 3)), still) < 8, (plane, elevation)


def test_an_arm_that_hangs_or_is_half_raised_is_carried_by_the_least_rotation() -> None:
    np.testing.assert_allclose(turned("coco17", {})["right_upper_arm"], np.eye(3), atol=1e-6)
    raised = turned("coco17", {"right_hip_flexion": 45.0})["right_thigh"]
    np.testing.assert_allclose(raised, Rotation.from_euler("y", -45, degrees=True).as_matrix(), atol=1e-6)


def test_upside_down_and_sitting_are_poses_like_others() -> None:
    for world in (np.diag([1, -1, -1]) @ isb.ISB, Rotation.from_euler("y", 90, degrees=True).as_matrix() @ isb.ISB):
        points, rotations = isb.build(isb.BENT, world)
        found = frames(isb.poses("halpe26", points))
        assert away(found["body"][1][0], rotations["body"]) < 0.1
        assert away(found["left_foot"][1][0], rotations["left_foot"]) < 0.1
    sitting = {f"{side}_{joint}_flexion": 90.0 for side in ("left", "right") for joint in ("hip", "knee")}
    found = turned("coco17", sitting)
    np.testing.assert_allclose(found["left_thigh"], Rotation.from_euler("y", -90, degrees=True).as_matrix(), atol=1e-6)
    np.testing.assert_allclose(found["left_shank"], np.eye(3), atol=1e-6)


@pytest.mark.parametrize(("lost", "unknown"), [
    ("left_hip", {"body", "torso", "left_thigh", "left_shank"}),
    ("left_shoulder", {"body", "torso", "left_upper_arm", "left_forearm"}),
    ("right_ear", {"head"}), ("left_ankle", {"left_thigh", "left_shank", "left_foot"}), ("right_heel", {"right_foot"}),
])  # fmt: skip
def test_what_is_not_seen_has_no_frame(lost: str, unknown: set[str]) -> None:
    """A bent limb needs no parent to know its axes."""
    points = isb.build(isb.BENT)[0]
    poses = isb.poses("halpe26", points, {name: point for name, point in points.items() if name != lost})
    known = np.isfinite(described(poses, None).frames).all(axis=2)
    assert known[0].all()
    assert {name for name, is_known in zip(poses.skeleton.frames, known[1], strict=True) if not is_known} == unknown
    assert np.isnan(described(poses, None).frames[1][~known[1]]).all()


def test_toes_say_how_a_foot_is_tilted_wherever_the_ankle_is() -> None:
    points, rotations = isb.build(isb.BENT)
    moved = {**points, "left_ankle": points["left_ankle"] + rotations["left_foot"] @ (0, 0.02, 0)}
    assert away(frames(isb.poses("halpe26", moved))["left_foot"][1][0], rotations["left_foot"]) < 0.1
    assert away(frames(isb.poses("mediapipe33", moved))["left_foot"][1][0], rotations["left_foot"]) > 5


def test_rows_do_not_depend_on_one_another(rng: np.random.Generator) -> None:
    bodies = [isb.build(isb.random_angles(rng), Rotation.random(rng=rng).as_matrix())[0] for _ in range(5)]
    poses = isb.poses("mediapipe33", *bodies)
    poses.points[2] = np.nan
    whole = described(poses, None)
    for row in range(5):
        alone = described(poses.select(np.array([row])), None)
        np.testing.assert_allclose(alone.frames[0], whole.frames[row], atol=1e-6)
        np.testing.assert_allclose(alone.measures[0], whole.measures[row], atol=1e-6)
    assert np.isnan(whole.frames[2]).all()


def test_frames_and_angles_stay_when_the_keypoints_are_converted() -> None:
    poses = described(isb.poses("halpe26", isb.build(isb.BENT)[0]), None)
    coco = poses.to(catalogue.get("coco17"))
    for name in ("measures", "frames"):
        ours, theirs = getattr(poses.skeleton, name), getattr(coco.skeleton, name)
        assert set(theirs) < set(ours)
        np.testing.assert_array_equal(getattr(coco, name), getattr(poses, name)[:, [ours.index(n) for n in theirs]])
    assert np.isnan(coco.to(poses.skeleton).frames[0, poses.skeleton.frames.index("left_foot")]).all()
    assert poses.to(catalogue.get("holistic543")).frames is not None


def test_quaternions_of_rotations_are_those_of_scipy(rng: np.random.Generator) -> None:
    turns = [Rotation.random(200, rng=rng), Rotation.from_euler("xyz", np.eye(3) * 180, degrees=True),
             Rotation.from_rotvec(np.eye(3) * 1e-9)]  # fmt: skip
    for rotations in turns:
        found = quaternion.from_rotations(rotations.as_matrix())
        assert (found[:, 3] >= 0).all()
        np.testing.assert_allclose(np.abs((found * rotations.as_quat()).sum(axis=1)), 1, atol=1e-12)
    assert np.isnan(quaternion.from_rotations(np.full((2, 3, 3), np.nan))).all()
    assert quaternion.from_rotations(np.empty((0, 3, 3))).shape == (0, 4)
