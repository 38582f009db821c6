# SPDX-License-Identifier: Apache-2.0
"""The human of REP-155: whoever follows the URDF with the angles comes to where the keypoints are."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from scenes import body, people

from pose_ros.anatomy import humanoid
from pose_ros.anatomy.humanoid import LENGTHS, MOVING, completed, humanoids, urdf
from pose_ros.skeletons import catalogue

REP_155 = {
    "waist", "r_head", "y_head", "p_head",
    *(f"{s}_{n}" for s in "lr" for n in ("y_shoulder", "p_shoulder", "r_shoulder", "elbow", "y_hip", "p_hip", "r_hip",
                                         "knee")),
}  # fmt: skip
ENDS = {f"{s[0]}_{name}": f"{s}_{name}" for s in ("left", "right") for name in ("elbow", "wrist", "knee", "ankle")}


def follow(text: str, angles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return link -> its origins (T, 3) in the root, by nothing but the text of the URDF and Rodrigues' formula."""
    count = len(next(iter(angles.values())))
    places = {"body_x": (np.zeros((count, 3)), np.broadcast_to(np.eye(3), (count, 3, 3)))}
    joints = list(ElementTree.fromstring(text).iter("joint"))
    assert len({j.get("name") for j in joints}) == len(joints)
    for joint in joints:
        at, turned = places[joint.find("parent").get("link")]
        offset = np.array([float(v) for v in joint.find("origin").get("xyz").split()])
        assert joint.find("origin").get("rpy") == "0 0 0"
        own = np.broadcast_to(np.eye(3), (count, 3, 3))
        if joint.get("type") == "revolute":
            x, y, z = (float(v) for v in joint.find("axis").get("xyz").split())
            k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            a = angles[joint.get("name")][:, None, None]
            own = np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * (k @ k)
        places[joint.find("child").get("link")] = at + turned @ offset, turned @ own
    return {link.removesuffix("_x"): at for link, (at, _) in places.items()}


def moving(rng: np.random.Generator, wild: float) -> people.Person:
    rates, phases = rng.uniform(1, 4, len(body.ANGLES)), rng.uniform(0, 6, len(body.ANGLES))
    most = [wild * rng.uniform(-1, 1) * (0.4 if name.startswith(("trunk", "pelvis", "neck")) else 1)
            for name in body.ANGLES]  # fmt: skip

    def moves(times: np.ndarray) -> dict[str, np.ndarray]:
        return {n: m * np.sin(r * times + p) for n, m, r, p in zip(body.ANGLES, most, rates, phases, strict=True)}

    return people.Person(people.circle(), height_m=1.6, moves=moves if wild else None)


def truth(person: people.Person, skeleton: str) -> np.ndarray:
    return people.at([person], np.linspace(0, 6, 150)).points(skeleton)[:, 0]


def off_mm(points: np.ndarray, skeleton: str, **more: bool) -> dict[str, float]:
    """Return link -> how far it is from its keypoint at worst, millimetres."""
    kind = catalogue.get(skeleton)
    found = humanoids(points, kind, **more)
    seen = np.isfinite(found.lengths).any(axis=0)
    lengths = np.full(len(LENGTHS), np.nan)
    lengths[seen] = np.nanmedian(found.lengths[:, seen], axis=0)
    angles = {f"{name}_x": np.nan_to_num(a) for name, a in zip(MOVING, found.angles.T, strict=True)}
    links = follow(urdf("x", completed(lengths)), angles)
    own = {link: points[:, kind.joints.index(name)] - found.origins for link, name in ENDS.items()}
    return {link: 1e3 * np.linalg.norm(links[link] - np.einsum("tji,tj->ti", found.rotations, at), axis=1).max()
            for link, at in own.items()}  # fmt: skip


@pytest.mark.parametrize("skeleton", ["coco17", "halpe26", "h36m17"])
@pytest.mark.parametrize("wild", [0.0, 0.5, 1.3])
def test_urdf_and_angles_lead_to_the_keypoints(skeleton: str, wild: float, rng: np.random.Generator) -> None:
    """Walking, and with all joints moving at once; straight and folded limbs are among them."""
    for _ in range(1 if not wild else 4):
        off = off_mm(truth(moving(rng, wild), skeleton), skeleton)
        assert max(off.values()) < 3, off


def test_without_joints_for_it_a_turned_trunk_puts_arms_off_and_legs_not(rng: np.random.Generator) -> None:
    off = off_mm(truth(moving(rng, 0.0), "coco17"), "coco17", trunk_turns=False)
    assert {name for name, mm in off.items() if mm > 5} == {"l_elbow", "l_wrist", "r_elbow", "r_wrist"}
    assert max(off.values()) < 60


def test_joints_are_those_of_the_rep_and_two_more() -> None:
    assert {*MOVING} - REP_155 == {*humanoid.BEYOND_REP}
    assert {*MOVING} >= REP_155


@pytest.mark.parametrize(("moved", "joint", "sign"), [
    ("left_elbow_flexion", "l_elbow", 1), ("right_elbow_flexion", "r_elbow", 1), ("left_knee_flexion", "l_knee", -1),
    ("right_knee_flexion", "r_knee", -1), ("left_hip_flexion", "l_r_hip", 1), ("right_hip_flexion", "r_r_hip", 1),
    ("left_hip_abduction", "l_p_hip", 1), ("right_hip_abduction", "r_p_hip", 1),
    ("left_shoulder_abduction", "l_p_shoulder", 1), ("right_shoulder_abduction", "r_p_shoulder", 1),
    ("neck_flexion", "p_head", -1), ("neck_rotation", "y_head", 1), ("trunk_rotation", "waist_rotation", 1),
])  # fmt: skip
def test_one_movement_is_one_joint(moved: str, joint: str, sign: int) -> None:
    """Senses are those of human_description: elbows bend with positive angles, knees with negative ones."""
    # A bent knee tells how the thigh is turned.
    rest = {"left_knee_flexion": np.array([0.4]), "right_knee_flexion": np.array([0.4])} if "abduction" in moved else {}
    both = (body.forward(1.7, moves, np.zeros((1, 3)), np.zeros(1))[0] for moves in (
        {**rest, moved: np.array([0.7])}, rest))
    angles, base = (humanoids(points, body.MODEL).angles[0, MOVING.index(joint)] for points in both)
    assert angles - base == pytest.approx(0.7 * sign, abs=1e-3)


def test_left_and_right_have_the_same_numbers_for_the_same_movement(rng: np.random.Generator) -> None:
    moves = {f"{s}_{n}": np.array([v]) for n, v in (("shoulder_flexion", 0.8), ("shoulder_abduction", 0.4),
             ("elbow_flexion", 1.0), ("hip_flexion", 0.5), ("knee_flexion", 0.9)) for s in body.SIDES}  # fmt: skip
    points, _ = body.forward(1.7, moves, np.zeros((1, 3)), np.zeros(1))
    angles = dict(zip(MOVING, humanoids(points, body.MODEL).angles[0], strict=True))
    for name in ("y_shoulder", "p_shoulder", "r_shoulder", "elbow", "p_hip", "r_hip", "knee"):
        assert angles[f"l_{name}"] == pytest.approx(angles[f"r_{name}"], abs=1e-9)
    assert angles["l_y_hip"] == pytest.approx(-angles["r_y_hip"], abs=1e-9)


def test_what_is_not_seen_is_not_told() -> None:
    kind = catalogue.get("coco17")
    points = truth(people.Person(people.circle()), "coco17")[:1].copy()
    points[:, kind.index["left_wrist"]] = points[:, kind.index["right_ankle"]] = np.nan
    found = humanoids(points, kind)
    unknown = {name for name, angle in zip(MOVING, found.angles[0], strict=True) if np.isnan(angle)}
    assert unknown == {"l_r_shoulder", "l_elbow", "r_y_hip", "r_p_hip", "r_r_hip", "r_knee"}
    unseen = {name for name, length in zip(LENGTHS, found.lengths[0], strict=True) if np.isnan(length)}
    assert unseen == {"l_forearm", "r_shank", "neck", "head"}
    points[:, kind.index["left_hip"]] = np.nan
    assert np.isnan(humanoids(points, kind).rotations).all()


def test_unseen_limbs_are_as_long_as_those_of_the_other_side_or_of_people() -> None:
    lengths = np.full(len(LENGTHS), np.nan)
    at = LENGTHS.index
    lengths[at("trunk")], lengths[at("l_thigh")] = 0.288 * 1.8, 0.5
    whole = completed(lengths)
    assert whole[at("r_thigh")] == 0.5
    assert whole[at("r_forearm")] == pytest.approx(0.146 * np.median([1.8, 0.5 / 0.245]))
    assert np.isfinite(whole).all()
    assert np.isnan(completed(np.full(len(LENGTHS), np.nan))).all()
