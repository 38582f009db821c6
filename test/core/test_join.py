# SPDX-License-Identifier: Apache-2.0
"""Bodies, hands and faces become one pose of a whole-body skeleton."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.anatomy.describe import described
from pose_ros.core.join import join
from pose_ros.core.poses import LEFT, RIGHT, Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.skeletons import catalogue

WHOLE, BODY, HAND, MESH = (catalogue.get(name) for name in ("wholebody133", "mediapipe33", "hand21", "facemesh468"))
LEFT_HAND, RIGHT_HAND, FACE = (list(WHOLE.blocks[name][1]) for name in ("left_hand", "right_hand", "face"))
rng = np.random.default_rng(5)


def poses(skeleton: Skeleton, count: int, **columns: object) -> Poses:
    return Poses(skeleton, rng.uniform(0, 99, (count, len(skeleton), 2)), rng.uniform(0.1, 1, (count, len(skeleton))),
                 **columns)  # type: ignore[arg-type]


def hands(*parents_and_sides: tuple[int, int], **columns: object) -> Poses:
    parents, sides = np.array(parents_and_sides).reshape(-1, 2).T
    return poses(HAND, len(parents), parents=parents, sides=sides, **columns)


def test_each_part_gets_its_place():
    bodies, found = poses(BODY, 2, ids=[7, 9]), hands((9, LEFT), (7, RIGHT), (7, LEFT))
    faces = poses(MESH, 1, parents=[9])
    joined = join(bodies, {"hands": found, "faces": faces}, WHOLE)
    assert joined.skeleton == WHOLE
    assert joined.ids.tolist() == [7, 9]
    for row, block, hand in ((1, LEFT_HAND, 0), (0, RIGHT_HAND, 1), (0, LEFT_HAND, 2)):
        np.testing.assert_array_equal(joined.keypoints[row, block], found.keypoints[hand])
        np.testing.assert_array_equal(joined.scores[row, block], found.scores[hand])
    # Nobody saw the right hand of the second, or the face of the first.
    for row, block in ((1, RIGHT_HAND), (0, FACE)):
        assert np.isnan(joined.keypoints[row, block]).all()
        assert (joined.scores[row, block] == 0).all()
        assert (joined.sources[row, block] == Source.MISSING).all()
    # The mesh has the 68 points of the face; what the body says of itself is what it said.
    same = [MESH.joints.index(joint) for joint in (f"face/{name}" for name in catalogue.get("face68").keypoints)]
    np.testing.assert_array_equal(joined.keypoints[1, FACE], faces.keypoints[0, same])
    np.testing.assert_array_equal(joined.keypoint("left_knee"), bodies.keypoint("left_knee"))


@pytest.mark.parametrize("worse", [0, 1])
def test_the_better_of_two_hands_on_one_side(worse):
    found = hands((7, LEFT), (7, LEFT), subject_scores=[0.6 if worse == i else 0.9 for i in range(2)])
    joined = join(poses(BODY, 1, ids=[7]), {"hands": found}, WHOLE)
    np.testing.assert_array_equal(joined.keypoints[0, LEFT_HAND], found.keypoints[1 - worse])


def test_parts_of_nobody_and_of_no_side_have_no_place():
    joined = join(poses(BODY, 1, ids=[0]), {"hands": hands((0, LEFT), (8, RIGHT), (0, 0))}, WHOLE)
    assert np.isnan(joined.keypoints[0, LEFT_HAND + RIGHT_HAND]).all()


def test_what_the_body_has_itself_stays_where_no_part_is():
    bodies = poses(WHOLE, 1, ids=[3])
    found = hands((3, RIGHT))
    joined = join(bodies, {"hands": found}, WHOLE)
    np.testing.assert_array_equal(joined.keypoints[0, LEFT_HAND + FACE], bodies.keypoints[0, LEFT_HAND + FACE])
    np.testing.assert_array_equal(joined.keypoints[0, RIGHT_HAND], found.keypoints[0])


def test_local_points_hang_on_the_wrist():
    bodies = poses(BODY, 1, ids=[3], local_points=rng.normal(0, 1, (1, 33, 3)))
    found = hands((3, LEFT), local_points=rng.normal(0, 0.1, (1, 21, 3)))
    joined = join(bodies, {"hands": found}, WHOLE)
    hand, wrist = joined.local_points[0, LEFT_HAND], bodies.local_points[0, BODY.index["left_wrist"]]
    np.testing.assert_allclose(hand[0], wrist, atol=1e-6)
    np.testing.assert_allclose(hand - hand[0], found.local_points[0] - found.local_points[0, 0], atol=1e-6)
    assert np.isnan(joined.local_points[0, RIGHT_HAND]).all()


def test_a_place_that_the_part_has_no_keypoint_for():
    target, face = catalogue.get("body135"), poses(catalogue.get("face68"), 1, parents=[3])
    joined = join(poses(BODY, 1, ids=[3]), {"faces": face}, target)
    places = list(target.blocks["face"][1])
    np.testing.assert_array_equal(joined.keypoints[0, places[:68]], face.keypoints[0])
    pupils = joined.keypoints[0, places[68:]]
    assert not np.isin(pupils, face.keypoints).any()


def test_points_and_covariances_are_as_each_part_has_them():
    found = hands((3, LEFT), points=rng.normal(0, 1, (1, 21, 3)), covariances=rng.random((1, 21, 3, 3)))
    joined = join(poses(BODY, 1, ids=[3]), {"hands": found}, WHOLE)
    np.testing.assert_array_equal(joined.points[0, LEFT_HAND], found.points[0])
    np.testing.assert_array_equal(joined.covariances[0, LEFT_HAND], found.covariances[0])
    assert np.isnan(joined.points[0, WHOLE.index["nose"]]).all()


def test_what_is_said_of_a_face_is_said_of_its_body():
    frames = rng.random((1, 2, 7))
    faces = poses(MESH, 1, parents=[9], measures=[[0.1, 0.2, 0.3]], frames=frames)
    joined = join(poses(BODY, 2, ids=[7, 9]), {"faces": faces}, WHOLE)
    openings, turned = joined.measures, joined.frames
    np.testing.assert_allclose(openings[1, [WHOLE.measures.index(name) for name in MESH.measures]], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(turned[1, [WHOLE.frames.index(name) for name in MESH.frames]], frames[0], rtol=1e-6)
    assert (np.isfinite(openings).sum(), np.isfinite(turned).sum()) == (3, 14)
    # Described as a whole, the face stays as it was.
    whole = described(joined.replace(points=rng.random((2, len(WHOLE), 3)), scores=np.ones((2, len(WHOLE)))), None)
    assert np.isfinite(whole.measures[1]).all()
    np.testing.assert_array_equal(whole.measures[:, :3], openings[:, :3])
    np.testing.assert_array_equal(whole.frames[:, :2], turned[:, :2])
    assert np.isfinite(whole.frames[1]).all()
    bare = join(poses(BODY, 1, ids=[7]), {"faces": poses(MESH, 1, parents=[7])}, WHOLE)
    assert (bare.measures, bare.frames) == (None, None)


@pytest.mark.parametrize("target", ["wholebody133", "holistic543", "holistic553", "halpe136", "body135"])
def test_nobody_and_nothing(target):
    skeleton = catalogue.get(target)
    nobody = join(Poses.empty(BODY), {"hands": Poses.empty(HAND), "faces": Poses.empty(MESH)}, skeleton)
    assert nobody.keypoints.shape == (0, len(skeleton), 2)
    alone = join(poses(BODY, 1, ids=[3]), {}, skeleton)
    np.testing.assert_array_equal(np.isfinite(alone.keypoints[0, :, 0]), alone.scores[0] > 0)


def test_what_has_no_point_in_common():
    with pytest.raises(ConfigError, match=r"animalpose20.*face68.*common"):
        join(poses(BODY, 1, ids=[3]), {"faces": poses(catalogue.get("animalpose20"), 1, parents=[3])}, WHOLE)
