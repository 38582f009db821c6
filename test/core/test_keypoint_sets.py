# SPDX-License-Identifier: Apache-2.0
"""Shipped skeletons against mmpose's definitions, recorded in skeletons.npz; see test/data/networks/README.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pose_ros.core.colors import LEFT, MIDDLE, RIGHT, edge_colors, keypoint_colors
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.skeletons import catalogue

RECORD = Path(__file__).parents[1] / "data/networks/skeletons.npz"
with np.load(RECORD) as _file:
    SETS = sorted({key.split("/")[1] for key in _file if key.startswith("sets/")})
ALL = catalogue.names()
#: Keypoints that are joined to nothing: what lies between the lines of a mesh, and pupils.
LONELY = {"facemesh468": 316, "facemesh478": 318, "holistic543": 316, "holistic553": 318, "openpose_face70": 2,
          "body135": 2, "wflw98": 2, "lapa106": 4, "eye76": 56}  # fmt: skip

#: Of so many lines: a face is jaw, brows, nose (and its bridge), eyes, lips; BlazePose's face is apart from its body.
PIECES = {"aflw19": 6, "body135": 10, "cofw29": 6, "eye76": 2, "face68": 9, "facemesh468": 10, "facemesh478": 12,
          "halpe136": 12, "holistic543": 15, "holistic553": 17, "lapa106": 9, "mediapipe33": 3, "openpose_face70": 9,
          "wflw98": 9, "wholebody133": 12}  # fmt: skip


def recorded(name: str, column: str) -> np.ndarray:
    with np.load(RECORD) as file:
        return file[f"sets/{name}/{column}"]


def pieces(skeleton: Skeleton) -> list[set[int]]:
    """Return the sets of keypoints that edges join."""
    found = [{i} for i in range(len(skeleton))]
    for a, b in skeleton.edges:
        one, other = (next(p for p in found if i in p) for i in (a, b))
        if one is not other:
            one |= other
            found.remove(other)
    return found


@pytest.mark.parametrize("name", SETS)
def test_keypoints_mirror_one_another_as_in_mmpose(name):
    np.testing.assert_array_equal(catalogue.get(name).flip_index, recorded(name, "flip"))


@pytest.mark.parametrize("name", SETS)
def test_sigmas_are_those_of_mmpose(name):
    sigmas = recorded(name, "sigmas")
    if name == "coco18":
        # mmpose gives the neck that of COCO's ears; Lightweight OpenPose that of the shoulders.
        assert catalogue.get(name).sigmas[1] == 0.079
    else:
        np.testing.assert_allclose(catalogue.get(name).sigmas, sigmas)


# mmpose draws the fingers of Halpe-136 from the wrists of the body, not from those of the hands.
@pytest.mark.parametrize("name", [name for name in SETS if name != "halpe136"])
def test_edges_are_at_least_those_of_mmpose(name):
    ours = {tuple(sorted(edge)) for edge in catalogue.get(name).edges}
    assert {tuple(sorted(edge)) for edge in recorded(name, "edges").tolist()} <= ours


@pytest.mark.parametrize("name", ["coco17", "coco18", "halpe26", "hand21", "mpii16", "ap10k17", "animalpose20",
                                  "h36m17", "crowdpose14", "aic14", "jhmdb15", "macaque17", "atrw15", "zebra9"])
def test_sets_whose_authors_draw_them_are_drawn_so(name):
    assert len(catalogue.get(name).edges) == len(recorded(name, "edges"))


@pytest.mark.parametrize("name", ["coco17", "halpe26", "wholebody133", "hand21", "mhp16", "posetrack17", "jhmdb15"])
def test_names_are_those_of_mmpose_but_for_what_is_not_unique_or_clear(name):
    """There left_thumb1 is what is left_hand_thumb1 here."""
    ours = [n.replace("_hand_", "_").replace("face_", "face-") for n in catalogue.get(name).keypoints]
    assert ours == [n.replace("hand_root", "root") for n in recorded(name, "names").tolist()]


def test_coco_has_the_sigmas_of_its_authors():
    """Of cocoeval.py in cocodataset/cocoapi, Params.setKpParams."""
    theirs = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
    np.testing.assert_allclose(catalogue.get("coco17").sigmas, np.array(theirs) / 10)


def test_the_message_of_ros4hri_has_the_left_eye_first():
    """The constants of hri_msgs/Skeleton2D, 2.0.0."""
    constants = {"nose": 0, "neck": 1, "right_shoulder": 2, "right_elbow": 3, "right_wrist": 4, "left_shoulder": 5,
                 "left_elbow": 6, "left_wrist": 7, "right_hip": 8, "right_knee": 9, "right_ankle": 10, "left_hip": 11,
                 "left_knee": 12, "left_ankle": 13, "left_eye": 14, "right_eye": 15, "left_ear": 16,
                 "right_ear": 17}  # fmt: skip
    assert dict(catalogue.get("hri18").index) == constants
    assert catalogue.get("coco18").index["right_eye"] == 14


@pytest.mark.parametrize("name", ALL)
def test_sides_keep_to_their_sides(name):
    skeleton = catalogue.get(name)
    for i, j in enumerate(skeleton.flip):
        words = [set(re.split(r"_|(?<=[a-z])(?=[0-9])", skeleton.keypoints[k])) for k in (i, j)]
        assert ("left" in words[0]) == ("right" in words[1]), skeleton.keypoints[i]
        assert ("left" in words[0]) <= (i != j), skeleton.keypoints[i]


@pytest.mark.parametrize("name", ALL)
def test_edges_join_everything_and_mirror_one_another(name):
    skeleton = catalogue.get(name)
    edges = {tuple(sorted(edge)) for edge in skeleton.edges}
    assert len(edges) == len(skeleton.edges), "none twice"
    assert all(a != b for a, b in edges)
    assert {tuple(sorted((skeleton.flip[a], skeleton.flip[b]))) for a, b in edges} == edges
    alone = [p for p in pieces(skeleton) if len(p) == 1]
    assert len(alone) == LONELY.get(name, 0)


@pytest.mark.parametrize("name", ALL)
def test_a_body_is_in_one_piece(name):
    groups = [p for p in pieces(catalogue.get(name)) if len(p) > 1]
    assert len(groups) == PIECES.get(name, 1)


@pytest.mark.parametrize(("name", "blocks"), [
    ("wholebody133", {"face": (68, "face68", 23), "left_hand": (21, "hand21", 91), "right_hand": (21, "hand21", 112)}),
    ("halpe136", {"face": (68, "face68", 26), "left_hand": (21, "hand21", 94), "right_hand": (21, "hand21", 115)}),
    ("holistic543", {"face": (468, "facemesh468", 33), "left_hand": (21, "hand21", 501),
                     "right_hand": (21, "hand21", 522)}),
    ("holistic553", {"face": (478, "facemesh478", 33), "left_hand": (21, "hand21", 511),
                     "right_hand": (21, "hand21", 532)}),
])  # fmt: skip
def test_whole_bodies_have_their_parts_in_order(name, blocks):
    skeleton = catalogue.get(name)
    assert set(skeleton.blocks) == set(blocks)
    for block, (count, part, first) in blocks.items():
        assert skeleton.blocks[block] == (part, tuple(range(first, first + count)))
        inner = catalogue.get(part)
        shifted = {(a + first, b + first) for a, b in inner.edges}
        assert shifted <= set(skeleton.edges)
        # The root of a hand has the colour of its side.
        assert skeleton.colors[first + 1 : first + count] == inner.colors[1:]


def test_the_hands_of_body135_hang_on_its_wrists():
    """25 of the body, 20 of each hand, 70 of the face: src/openpose/pose/poseParameters.cpp."""
    skeleton = catalogue.get("body135")
    assert len(skeleton) == 135
    assert skeleton.blocks["left_hand"] == ("hand21", (9, *range(25, 45)))
    assert skeleton.blocks["right_hand"] == ("hand21", (10, *range(45, 65)))
    assert skeleton.blocks["face"] == ("openpose_face70", tuple(range(65, 135)))
    assert (9, 25) in skeleton.edges
    assert skeleton.flip[25] == 45
    assert skeleton.colors[9] == LEFT


@pytest.mark.parametrize("name", ["halpe26", "wholebody133", "body25b", "halpe136", "body135"])
def test_the_body_of_larger_sets_is_that_of_coco(name):
    assert catalogue.get(name).keypoints[:17] == catalogue.get("coco17").keypoints


@pytest.mark.parametrize("name", ALL)
def test_colours_tell_left_from_right(name):
    skeleton = catalogue.get(name)
    colors = keypoint_colors(skeleton)
    assert len(colors) == len(skeleton)
    assert len(edge_colors(skeleton)) == len(skeleton.edges)
    assert all(0 <= value <= 255 for color in colors for value in color)
    for i, j in enumerate(skeleton.flip):
        if LEFT in (colors[i], colors[j]):
            assert {colors[i], colors[j]} == {LEFT, RIGHT}, skeleton.keypoints[i]


def test_limbs_have_the_colour_of_their_side_and_fingers_their_own():
    body = catalogue.get("body25")
    colors = dict(zip(body.edges, edge_colors(body), strict=True))
    side = {tuple(body.keypoints[i] for i in edge): color for edge, color in colors.items()}
    assert side["left_shoulder", "left_elbow"] == LEFT
    assert side["neck", "right_shoulder"] == RIGHT
    assert side["neck", "mid_hip"] == MIDDLE
    coco = catalogue.get("coco17")
    across = coco.edges.index((coco.index["left_hip"], coco.index["right_hip"]))
    assert edge_colors(coco)[across] == MIDDLE
    hand = catalogue.get("hand21")
    fingers = [set(edge_colors(hand)[i : i + 4]) for i in range(0, 20, 4)]
    assert all(len(finger) == 1 for finger in fingers)
    assert len(set.union(*fingers)) == 5


def test_a_skeleton_of_the_users_own_extends_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path))
    path = tmp_path / "mine.yaml"
    path.write_text("extends: coco17\nkeypoints: [tip]\njoints: {tip: head_top}\nedges: [[nose, tip]]\n"
                    "colors: {'#010203': [tip]}\nmade: {head_top: [[nose]]}\n")  # fmt: skip
    mine = catalogue.get("mine")
    assert mine.keypoints == (*catalogue.get("coco17").keypoints, "tip")
    assert mine.joints[-1] == "head_top"
    assert mine.colors[-1] == (1, 2, 3)
    assert not mine.sigmas, "there is none for the tip"
    assert "mpii16" in catalogue.targets(mine)
    path.write_text("keypoints: [nose, left_eye]\n")
    assert not catalogue.targets(catalogue.get("mine")), "it does not say whose nose"
    path.write_text("subject: person\nkeypoints: [nose, left_eye]\n")
    assert "coco17" in catalogue.targets(catalogue.get("mine"))
    path.write_text("extends: hand21\nparts: [{skeleton: face68, block: face}]\n")
    assert len(catalogue.get("mine")) == 89


@pytest.mark.parametrize(("text", "message"), [
    ("keypoints: [a]\njoints: {b: c}\n", "does not fit together: 'b'"),
    ("keypoints: [a]\ncolors: {red: [a]}\n", "expected a colour such as '#e69f00', got 'red'"),
    ("keypoints: [a]\ncolors: {'#e69f00': [b]}\n", "does not fit together: 'b'"),
    ("keypoints: [a, b]\njoints: {a: b}\n", r"own\.joints: expected 2 names and none twice"),
    ("extends: coco17\nkeypoints: [nose]\n", "no name twice"),
    ("extends: coco17\nkeypoints: [a]\nsigmas: [0.1]\n", r"own\.sigmas: expected 18 positive numbers"),
    ("extends: own\n", "extends itself"),
    ("root: a\n", "expected keypoints and any of"),
    ("keypoints: [a]\nparts: [{skeleton: hand21}]\n", "missing 1 required"),
    ("keypoints: [a]\nparts: [{skeleton: hand21, block: left_hand, prefx: x}]\n", "unexpected keyword argument"),
])  # fmt: skip
def test_files_that_do_not_fit_together_are_refused(tmp_path, monkeypatch, text, message):
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path))
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        catalogue.get("own")


def test_a_skeleton_says_whose_it_is():
    subjects = {name: catalogue.get(name).subject for name in ("coco17", "wholebody133", "hand21", "face68", "ap10k17")}
    assert subjects == {"coco17": "person", "wholebody133": "person", "hand21": "hand", "face68": "face",
                        "ap10k17": "quadruped"}  # fmt: skip
