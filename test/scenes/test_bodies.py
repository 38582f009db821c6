# SPDX-License-Identifier: Apache-2.0
"""Walking bodies keep their shape, and their angles are those between their limbs."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.skeletons import catalogue
from scenes import body
from scenes.hands import hand
from scenes.people import Person, at, circle, crossing, line, stand, walker

TIMES = np.arange(0, 3, 0.07)


def moved(**angles: float) -> dict[str, np.ndarray]:
    """Return where each joint goes, metres, when angles (degrees) of a standing person change from zero."""

    def points(values: dict[str, float]) -> np.ndarray:
        person = Person(stand(), gait=0, moves=lambda t: {name: np.radians(v) for name, v in values.items()})
        model = at([person], [0.0]).model[0, 0]
        return model - model[body.MODEL.index["mid_hip"]]

    return dict(zip(body.MODEL.joints, points(angles) - points({"left_hip_flexion": 0.0}), strict=True))


def between(points: np.ndarray, skeleton: str, a: str, b: str, c: str) -> np.ndarray:
    """Return the angle at b, radians; 0 when a, b and c are in line."""
    index = catalogue.get(skeleton).index
    u, v = (points[:, :, index[y]] - points[:, :, index[x]] for x, y in ((a, b), (b, c)))
    return np.arccos((u * v).sum(axis=-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1))


@pytest.mark.parametrize("skeleton", ["h36m17", "coco17", "halpe26", "mediapipe33", "body25", "coco19"])
def test_all_keypoints_are_known(skeleton: str) -> None:
    assert np.isfinite(at(crossing(2), TIMES).points(skeleton)).all()


def test_what_the_model_lacks_is_nan() -> None:
    whole = catalogue.get("wholebody133")
    missing = np.isnan(at(walker(), [0.0]).points(whole)[0, 0, :, 0])
    assert [joint.startswith("face/") for joint in whole.joints] == missing.tolist()


def test_limbs_keep_their_lengths() -> None:
    truth = at(crossing(3), TIMES)
    points = truth.points("h36m17")
    lengths = truth.lengths("h36m17")
    assert len(lengths) == 16
    for (a, b), length in lengths.items():
        measured = np.linalg.norm(points[:, :, a] - points[:, :, b], axis=-1)
        np.testing.assert_allclose(measured, np.broadcast_to(length, measured.shape), atol=1e-9)
    shank = catalogue.get("h36m17").index["left_knee"], catalogue.get("h36m17").index["left_foot"]
    np.testing.assert_allclose(lengths[shank], 0.246 * truth.heights_m)


def test_who_stands_is_as_tall_as_said() -> None:
    points = at([Person(stand(), 1.8, gait=0)], [0.0]).model[0, 0]
    assert points[body.MODEL.index["head_top"], 2] == pytest.approx(1.8, abs=0.01)
    assert points[:, 2].min() == pytest.approx(0, abs=1e-9)


def test_nobody_walks_through_the_floor_or_jumps() -> None:
    step = 0.01
    points = at([walker()[0], Person(line((0, 0), (1, 1)), 1.6, 1.5)], np.arange(0, 3, step)).model
    assert points[..., 2].min() > -0.002
    assert points[..., 2].min(axis=2).max() < 0.05
    assert np.abs(np.diff(points, axis=0)).max() / step < 8
    assert np.abs(np.diff(points, 2, axis=0)).max() / step**2 < 100


@pytest.mark.parametrize("side", ["left", "right"])
def test_angles_are_those_between_limbs(side: str) -> None:
    truth = at(crossing(2), TIMES)
    points = truth.points("coco17")
    for joint, limbs in {"knee": ("hip", "knee", "ankle"), "elbow": ("shoulder", "elbow", "wrist")}.items():
        measured = between(points, "coco17", *(f"{side}_{limb}" for limb in limbs))
        np.testing.assert_allclose(measured, truth.angles[f"{side}_{joint}_flexion"], atol=1e-6)


@pytest.mark.parametrize(("angle", "carrier", "segment"), [
    ("left_hip", "pelvis", "left_thigh"), ("right_hip", "pelvis", "right_thigh"),
    ("left_shoulder", "thorax", "left_upper_arm"), ("right_shoulder", "thorax", "right_upper_arm"),
])  # fmt: skip
def test_rotations_hold_the_angles(angle: str, carrier: str, segment: str) -> None:
    truth = at(crossing(2), TIMES)
    turned = np.swapaxes(truth.rotations[carrier], -1, -2) @ truth.rotations[segment]
    # R = Ry(-flexion) Rx(abduction) Rz: its middle row is -sin(abduction) in the last place.
    sense = 1 if angle.startswith("left") else -1
    flexion = -np.arctan2(turned[..., 0, 2], turned[..., 2, 2])
    abduction = sense * np.arcsin(-turned[..., 1, 2])
    np.testing.assert_allclose(flexion, truth.angles[f"{angle}_flexion"], atol=1e-9)
    np.testing.assert_allclose(abduction, truth.angles[f"{angle}_abduction"], atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("angle", "point", "axis", "sense"), [
    ("hip_flexion", "knee", 0, 1), ("hip_abduction", "knee", 1, 1), ("hip_rotation", "big_toe", 1, -1),
    ("knee_flexion", "ankle", 0, -1), ("ankle_dorsiflexion", "big_toe", 2, 1), ("shoulder_flexion", "elbow", 0, 1),
    ("shoulder_abduction", "elbow", 1, 1), ("elbow_flexion", "wrist", 0, 1),
    ("wrist_flexion", "hand/middle_finger4", 1, -1), ("wrist_deviation", "hand/middle_finger4", 0, 1),
    ("forearm_pronation", "hand/thumb4", 1, -1),
])  # fmt: skip
def test_positive_angles_move_limbs_where_anatomy_says(
    side: str, angle: str, point: str, axis: int, sense: int
) -> None:
    """Axis 1 is away from the middle on both sides."""
    where = moved(**{f"{side}_{angle}": 30.0})[f"{side}_{point}"] * (1, body.SIDES[side], 1)
    assert sense * where[axis] > 0.02
    assert np.abs(moved(**{f"{side}_{angle}": 30.0})["nose"]).max() < 1e-9


def test_trunk_and_neck_bend_forward() -> None:
    assert moved(trunk_flexion=20.0)["nose"][0] > 0.1
    assert moved(neck_flexion=20.0)["head_top"][0] > 0.1
    assert np.abs(moved(neck_flexion=20.0)["left_shoulder"]).max() < 1e-9


def test_left_and_right_are_mirror_images() -> None:
    """Half a step later the other side does the same."""
    kind = catalogue.get("mediapipe33")
    person = Person(stand(), speed_mps=0)
    one, other = at([person], TIMES).points(kind), at([person], TIMES + 0.5).points(kind)
    np.testing.assert_allclose(one * (1, -1, 1), other[:, :, kind.flip_index], atol=1e-9)


def test_people_are_where_their_path_is_while_they_are_there() -> None:
    person = Person(circle((1.0, 2.0), 1.5), speed_mps=1.0, present_s=(0.5, 2.0))
    hips = at([person], TIMES).model[:, 0, body.MODEL.index["mid_hip"], :2]
    there = (TIMES >= 0.5) & (TIMES <= 2.0)
    np.testing.assert_allclose(np.linalg.norm(hips[there] - (1, 2), axis=1), 1.5)
    assert np.isnan(hips[~there]).all()


def test_hand_closes_toward_the_palm() -> None:
    index = catalogue.get("hand21").index
    flat, fist = hand(np.array([0.0, 1.0]), "left", 0.19)
    assert flat.shape == (21, 3)
    assert flat[index["middle_finger4"], 2] == pytest.approx(-0.19)
    tips = [index[f"{finger}4"] for finger in ("forefinger", "middle_finger", "ring_finger", "pinky_finger")]
    assert (np.linalg.norm(fist[tips], axis=1) < 0.12).all()
    assert (fist[tips, 1] < flat[tips, 1] - 0.01).all()
    np.testing.assert_array_equal(hand(np.array(0.3), "right"), hand(np.array(0.3), "left") * (1, -1, 1))
