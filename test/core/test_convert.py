# SPDX-License-Identifier: Apache-2.0
"""Conversion between skeletons: every pair of the catalogue, by synthetic bodies, mirror images and other programs."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest

from pose_ros.core.convert import conversion, converts
from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.skeletons import catalogue

RECORD = Path(__file__).parents[1] / "data/networks/skeletons.npz"
ALL = [catalogue.get(name) for name in catalogue.names()]
PAIRS = [(a, b) for a, b in itertools.permutations(ALL, 2) if converts(a, b)]
NAMED = ("coco17", "mediapipe33", "h36m17", "body25", "halpe26", "hri18")
HALF = {
    "neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip"), "pelvis": ("mid_hip",),
    "root": ("mid_hip",), "spine_base": ("mid_hip",), "spine_shoulder": ("neck",), "h36m_thorax": ("neck",),
    "spine_mid": ("spine_base", "spine_shoulder"), "h36m_spine": ("root", "h36m_thorax"), "neck_nose": ("nose",),
    "h36m_head": ("head_top",), "left_foot_index": ("left_big_toe",), "right_foot_index": ("right_big_toe",),
    "mouth_left": ("face/outer_lips_6",), "mouth_right": ("face/outer_lips_0",),
    "left_eye_inner": ("face/left_eye_0",), "left_eye_outer": ("face/left_eye_3",),
    "right_eye_inner": ("face/right_eye_3",), "right_eye_outer": ("face/right_eye_0",),
    **{f"{side}_{ours}": (f"{side}_hand/{theirs}",) for side in ("left", "right") for ours, theirs in
       (("index", "forefinger1"), ("pinky", "pinky_finger1"), ("thumb", "thumb2"))},
}  # fmt: skip


def place(joint: str) -> np.ndarray:
    """Return where a joint of the one body of these tests is: in the middle of others, or anywhere."""
    if joint in HALF:
        return np.mean([place(part) for part in HALF[joint]], axis=0)
    return np.random.default_rng(zlib.crc32(joint.encode())).integers(0, 1000, 3).astype(float)


def body(skeleton: Skeleton, **columns: np.ndarray) -> Poses:
    points = np.array([[place(joint) for joint in skeleton.joints]])
    k = len(skeleton)
    return Poses(skeleton, points[..., :2], np.full((1, k), 0.5), points=points / 100, local_points=-points, **columns)


def mirrored(poses: Poses) -> Poses:
    flip = poses.skeleton.flip_index
    return poses.replace(keypoints=(poses.keypoints * (-1, 1))[:, flip], scores=poses.scores[:, flip],
                         sources=poses.sources[:, flip])  # fmt: skip


def recorded(name: str) -> np.ndarray:
    with np.load(RECORD) as file:
        return file[f"conversions/{name}"]


def known(source: str, target: str) -> list[str]:
    poses = body(catalogue.get(source)).to(catalogue.get(target))
    there = np.isfinite(poses.keypoints[0, :, 0])
    return [keypoint for keypoint, found in zip(poses.skeleton.keypoints, there, strict=True) if found]


def test_every_pair_puts_joints_where_they_are_or_nowhere():
    assert len(PAIRS) > 500
    for source, target in PAIRS:
        found, truth = body(source).to(target), body(target)
        there = np.isfinite(found.keypoints[0, :, 0])
        message = f"{source.name} to {target.name}"
        assert there.any(), message
        # Kinect's hands, feet and head are made of what is near them, and lie in the same place for nobody.
        exact = there & ~np.char.startswith(target.joints, "kinect_")
        np.testing.assert_allclose(found.keypoints[0, exact], truth.keypoints[0, exact], atol=1e-3, err_msg=message)
        np.testing.assert_allclose(found.points[0, exact], truth.points[0, exact], atol=1e-5, err_msg=message)
        np.testing.assert_allclose(found.local_points[0, exact], truth.local_points[0, exact], atol=1e-3)
        assert (np.isnan(found.points[0]).all(axis=1) == ~there).all()
        assert ((found.scores[0] == 0.5) == there).all()
        assert ((found.sources[0] == Source.MISSING) == ~there).all()


def test_every_pair_commutes_with_the_mirror():
    for source, target in PAIRS:
        rng = np.random.default_rng(0)
        poses = Poses(source, rng.normal(size=(2, len(source), 2)), rng.uniform(size=(2, len(source))))
        there, back = poses.to(target), mirrored(mirrored(poses).to(target))
        np.testing.assert_allclose(back.keypoints, there.keypoints, atol=1e-6, err_msg=f"{source.name} {target.name}")
        np.testing.assert_array_equal(back.scores, there.scores, err_msg=f"{source.name} {target.name}")
        np.testing.assert_array_equal(back.sources, there.sources, err_msg=f"{source.name} {target.name}")


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(NAMED, 2)))
def test_there_and_back_nothing_that_both_have_is_lost_or_moved(source, target):
    a, b = catalogue.get(source), catalogue.get(target)
    poses = body(a)
    back = poses.to(b).to(a)
    both = [i for i, joint in enumerate(a.joints) if joint in b.joints]
    assert len(both) >= 12
    np.testing.assert_array_equal(back.keypoints[:, both], poses.keypoints[:, both])
    np.testing.assert_array_equal(back.scores[:, both], poses.scores[:, both])
    assert (back.sources[:, both] == Source.MEASURED).all()


LIMBS = {f"{side}_{joint}" for side in ("left", "right")
         for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}  # fmt: skip
HEAD = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
TOES, HEELS = {"left_big_toe", "right_big_toe"}, {"left_heel", "right_heel"}
SMALL = {"left_small_toe", "right_small_toe"}
FEET = {"left_foot_index", "right_foot_index"}
H36M = LIMBS - {"left_ankle", "right_ankle"} | {"left_foot", "right_foot", "root", "spine", "thorax"}


@pytest.mark.parametrize(("source", "target", "expected"), [
    ("coco17", "mediapipe33", LIMBS | HEAD),
    ("coco17", "h36m17", H36M | {"neck_nose"}),
    ("coco17", "body25", LIMBS | HEAD | {"neck", "mid_hip"}),
    ("coco17", "halpe26", LIMBS | HEAD | {"neck", "hip"}),
    ("coco17", "hri18", LIMBS | HEAD | {"neck"}),
    ("mediapipe33", "coco17", LIMBS | HEAD),
    ("mediapipe33", "h36m17", H36M | {"neck_nose"}),
    ("mediapipe33", "body25", LIMBS | HEAD | TOES | HEELS | {"neck", "mid_hip"}),
    ("mediapipe33", "halpe26", LIMBS | HEAD | TOES | HEELS | {"neck", "hip"}),
    ("mediapipe33", "hri18", LIMBS | HEAD | {"neck"}),
    ("h36m17", "coco17", LIMBS),
    ("h36m17", "mediapipe33", LIMBS),
    ("h36m17", "body25", LIMBS | {"neck", "mid_hip"}),
    ("h36m17", "halpe26", LIMBS | {"neck", "hip"}),
    ("h36m17", "hri18", LIMBS | {"neck"}),
    ("body25", "mediapipe33", LIMBS | HEAD | HEELS | FEET),
    ("body25", "h36m17", H36M | {"neck_nose"}),
    ("body25", "halpe26", LIMBS | HEAD | TOES | SMALL | HEELS | {"neck", "hip"}),
    ("halpe26", "coco17", LIMBS | HEAD),
    ("halpe26", "h36m17", H36M | {"neck_nose", "head"}),
    ("halpe26", "body25", LIMBS | HEAD | TOES | SMALL | HEELS | {"neck", "mid_hip"}),
    ("hri18", "coco17", LIMBS | HEAD),
    ("hri18", "h36m17", H36M | {"neck_nose"}),
    ("mediapipe33", "wholebody133", LIMBS | HEAD | TOES | HEELS),
    ("mpii16", "coco18", LIMBS | {"neck"}),
    ("coco17", "mpii16", LIMBS | {"pelvis"}),
    ("mpii16", "body25b", LIMBS | {"upper_neck", "head_top"}),
    ("mpii16", "h36m17", H36M | {"head"}),
    ("aic14", "halpe26", LIMBS | {"neck", "head", "hip"}),
    ("crowdpose14", "aic14", LIMBS | {"neck", "head_top"}),
    ("ap10k17", "superanimal_quadruped39", {
        "nose", "left_eye", "right_eye", "neck_base", "tail_base", *(f"front_{s}_{j}" for s in ("left", "right")
        for j in ("thai", "paw")), *(f"back_{s}_{j}" for s in ("left", "right") for j in ("thai", "knee", "paw"))}),
    ("superanimal_quadruped39", "animalpose20", set(catalogue.get("animalpose20").keypoints)),
])  # fmt: skip
def test_known_is_what_the_source_can_tell(source, target, expected):
    assert set(known(source, target)) == expected


def test_what_is_made_is_as_sure_as_its_least_sure_part():
    source, target = catalogue.get("coco17"), catalogue.get("h36m17")
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.1, 1, (3, 17)).astype(np.float32)
    spread = rng.normal(size=(3, 17, 3, 3)).astype(np.float32)
    spread = spread @ spread.swapaxes(2, 3)
    keypoints = rng.normal(size=(3, 17, 2))
    keypoints[2, source.index["left_hip"]] = np.nan
    scores[2, source.index["left_hip"]] = 0
    poses = Poses(source, keypoints, scores, covariances=spread)
    found = poses.to(target)
    hips = [source.index[f"{side}_hip"] for side in ("left", "right")]
    shoulders = [source.index[f"{side}_shoulder"] for side in ("left", "right")]
    root, spine = target.index["root"], target.index["spine"]
    np.testing.assert_array_equal(found.scores[:, root], scores[:, hips].min(axis=1))
    np.testing.assert_array_equal(found.scores[:, spine], scores[:, hips + shoulders].min(axis=1))
    np.testing.assert_allclose(found.covariances[:, root], spread[:, hips].sum(axis=1) / 4, rtol=1e-5)
    np.testing.assert_allclose(found.covariances[:, spine], spread[:, hips + shoulders].sum(axis=1) / 16, rtol=1e-5)
    assert found.sources[:, root].tolist() == [Source.INFERRED, Source.INFERRED, Source.MISSING]
    assert np.isnan(found.keypoints[2, [root, spine]]).all()
    assert found.scores[2, root] == 0
    nose = target.index["neck_nose"]
    assert (found.sources[:, nose] == Source.INFERRED).all(), "the nose stands in for it"
    np.testing.assert_array_equal(found.keypoints[:, nose], poses.keypoint("nose"))


@pytest.mark.parametrize(("source", "target", "keypoint"), [
    ("mpii16", "h36m17", "thorax"), ("h36m17", "mpii16", "thorax"), ("mpii16", "h36m17", "root"),
    ("mpii16", "coco18", "neck"), ("mpi15", "coco18", "neck"), ("body25b", "halpe26", "neck"),
    ("posetrack17", "mpii16", "upper_neck"), ("posetrack17", "coco18", "neck"), ("jhmdb15", "halpe26", "head"),
    ("h36m17", "halpe26", "head"), ("h36m17", "coco17", "nose"), ("halpe26", "h36m17", "head"),
    ("coco17", "h36m17", "neck_nose"), ("ap10k17", "animalpose20", "left_front_knee"), ("face5", "coco17", "nose"),
    ("atrw15", "ap10k17", "left_knee"), ("horse10_22", "superanimal_quadruped39", "left_eye"),
])  # fmt: skip
def test_names_that_mislead_are_not_taken_for_the_same(source, target, keypoint):
    a, b = catalogue.get(source), catalogue.get(target)
    if converts(a, b):
        assert conversion(a, b).index[b.index[keypoint]] == -1


def test_the_neck_of_ros4hri_is_as_sure_as_the_shoulders():
    poses = body(catalogue.get("coco17"))
    poses.scores[0, 5] = 0.2
    found = poses.to(catalogue.get("hri18"))
    assert found.scores[0, 1] == np.float32(0.2)
    np.testing.assert_array_equal(found.keypoints[0, 14], poses.keypoint("left_eye")[0])


def test_halpe_becomes_human36m_as_in_motionbert():
    """lib/data/dataset_wild.py, halpe2h36m, of Walter0807/MotionBERT."""
    table = {0: 19, 1: 12, 2: 14, 3: 16, 4: 11, 5: 13, 6: 15, 8: 18, 9: 0, 10: 17, 11: 5, 12: 7, 13: 9, 14: 6, 15: 8,
             16: 10}  # fmt: skip
    x = np.random.default_rng(2).normal(size=(4, 26, 2)).astype(np.float32)
    found = Poses(catalogue.get("halpe26"), x, np.ones((4, 26))).to(catalogue.get("h36m17")).keypoints
    np.testing.assert_array_equal(found[:, list(table)], x[:, list(table.values())])
    np.testing.assert_allclose(found[:, 7], x[:, [18, 19]].mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("source", "others"), [
    # mmpose takes the middle of the eyes for the head, and places along the neck for neck and head.
    ("coco17", ["head"]), ("aic14", ["neck_nose", "head", "thorax", "spine"]),
    ("crowdpose14", ["neck_nose", "head", "thorax", "spine"]),
])  # fmt: skip
def test_bodies_become_human36m_as_in_mmpose_but_for_the_head(source, others):
    x = recorded(f"{source}/body").astype(np.float32)
    target = catalogue.get("h36m17")
    found = Poses(catalogue.get(source), x, np.ones(x.shape[:2])).to(target).keypoints
    same = [i for i, name in enumerate(target.keypoints) if name not in others]
    np.testing.assert_allclose(found[:, same], recorded(f"{source}/h36m17")[:, same], atol=1e-4)


@pytest.mark.parametrize(("source", "others"), [
    ("aic14", set()), ("coco17", set()), ("crowdpose14", set()), ("posetrack17", set()), ("wholebody133", set()),
    # mmpose takes MPII's upper neck for Halpe's neck, and the middle of JHMDB's faces for the top of the head.
    ("mpii16", {18}), ("jhmdb15", {17}),
])  # fmt: skip
def test_bodies_become_halpe_as_in_mmpose(source, others):
    way = conversion(catalogue.get(source), catalogue.get("halpe26"))
    for theirs, ours in recorded(f"{source}/halpe26").tolist():
        assert way.index[ours] == (-1 if ours in others else theirs)


def test_faces_are_picked_by_index():
    """Of WFLW-98 and LaPa-106 as users of HRNet's and LaPa's networks pick 68 of them; of the mesh as many do."""
    target = catalogue.get("face68")
    jaw = list(range(0, 33, 2))
    assert conversion(catalogue.get("wflw98"), target).index.tolist() == [
        *jaw, *range(33, 38), *range(42, 47), *range(51, 60), 60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75,
        *range(76, 96)]  # fmt: skip
    assert conversion(catalogue.get("lapa106"), target).index.tolist() == [
        *jaw, *range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63), 66, 67, 69, 70, 71, 73, 75, 76, 78, 79,
        80, 82, *range(84, 104)]  # fmt: skip
    mesh = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 70, 63, 105, 66, 107,
            336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387,
            263, 373, 380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14,
            87]  # fmt: skip
    for name in ("facemesh468", "facemesh478"):
        assert conversion(catalogue.get(name), target).index.tolist() == mesh
    pupils = conversion(catalogue.get("facemesh478"), catalogue.get("openpose_face70")).index[68:]
    assert pupils.tolist() == [468, 473]


def test_blazepose_becomes_coco_as_ever():
    way = conversion(catalogue.get("mediapipe33"), catalogue.get("coco17"))
    assert way.index.tolist() == [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    assert not len(way.made)


@pytest.mark.parametrize("order", [("body25", [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]),
                                   ("coco18", [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10])])
def test_openpose_becomes_coco_as_documented(order):
    assert conversion(catalogue.get(order[0]), catalogue.get("coco17")).index.tolist() == order[1]


@pytest.mark.parametrize(("source", "target"), [
    ("hand21", "coco17"), ("coco17", "ap10k17"), ("macaque17", "coco17"), ("hand21", "wholebody133"),
    ("superanimal_topviewmouse27", "superanimal_quadruped39"), ("fly32", "locust35"), ("face68", "hand21"),
])  # fmt: skip
def test_other_subjects_have_nothing_in_common(source, target):
    with pytest.raises(ConfigError, match=f"'{source}' and '{target}' have no keypoint in common"):
        Poses.empty(catalogue.get(source)).to(catalogue.get(target))


def test_nobody_converts():
    assert Poses.empty(catalogue.get("mediapipe33")).to(catalogue.get("h36m17")).keypoints.shape == (0, 17, 2)


def test_ways_are_tried_in_turn_and_never_in_circles():
    source = Skeleton("s", ("a", "b", "c"))
    made = {"x": (("y",), ("missing", "a"), ("a", "b")), "y": (("x",), ("y",)), "z": (("x", "a"),)}
    way = conversion(source, Skeleton("t", ("x", "y", "z"), made=made))
    assert way.index.tolist() == [-1, -1, -1]
    points = way.points(np.array([[[2.0, 0], [4, 0], [7, 0]]]))
    np.testing.assert_allclose(points[0, :, 0], [3, 3, 2.5])
    np.testing.assert_allclose(way.weights, [[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]])
    assert conversion(source, Skeleton("t", ("x", "a", "z"), made=made)).made.tolist() == [0, 2]


def test_a_conversion_is_worked_out_once():
    a, b = catalogue.get("coco17"), catalogue.get("body25")
    assert conversion(a, b) is conversion(a, b)
