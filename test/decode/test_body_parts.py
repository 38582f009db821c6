# SPDX-License-Identifier: Apache-2.0
"""Where bodies have their hands and faces: each rule by hand, and every skeleton there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.decode.body_parts import face_regions, hand_regions
from pose_ros.skeletons import catalogue

ARMS = ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist")


def body(
    scores: dict[str, float] | None = None, skeleton: Skeleton | None = None, **places: tuple[float, float]
) -> Poses:
    """Return one body with its keypoints at places; those that are not named are missing."""
    names = skeleton.keypoints if skeleton else tuple(places)
    points = np.array([[places.get(name, (np.nan, np.nan)) for name in names]])
    sure = np.array([[(scores or {}).get(name, 1.0 if name in places else 0.0) for name in names]])
    return Poses(skeleton or Skeleton("some", names), points, sure)


def test_knuckles_say_where_a_hand_is():
    # The hand hangs down: the knuckles are 30 pixels below the wrist, the middle of the three 40 / 3 to the right.
    one = body(left_wrist=(100, 100), left_index=(120, 130), left_pinky=(90, 130))
    found = hand_regions(one, 0.5)
    middle, palm = np.array([110.0, 130.0]), np.hypot(10, 30)
    down = (middle - [100, 100]) / palm
    assert found.sides.tolist() == [LEFT]
    np.testing.assert_allclose(found.regions[0, 2:4], 2.7 * 2 * palm, rtol=1e-6)
    # It lies a tenth of the unscaled square further towards the finger tips.
    np.testing.assert_allclose(found.regions[0, :2], middle + 0.1 * 2 * palm * down, rtol=1e-5)
    # Up in the region is along the hand.
    angle = found.regions[0, 4]
    np.testing.assert_allclose([np.sin(angle), -np.cos(angle)], down, atol=1e-6)
    np.testing.assert_array_equal(found.anchors, [[100, 100]])


def test_an_arm_says_where_a_hand_is():
    one = body(right_shoulder=(100, 0), right_elbow=(100, 100), right_wrist=(160, 100))
    found = hand_regions(one, 0.5)
    assert found.sides.tolist() == [RIGHT]
    # 0.9 of the upper arm is longer than the lower arm.
    np.testing.assert_allclose(found.regions[0], [160 + 0.33 * 60, 100, 135, 135, np.pi / 2], rtol=1e-5)
    assert found.reach[0] == pytest.approx(max(0.3 * 135, 0.5 * 90))
    short = body(right_elbow=(100, 100), right_wrist=(160, 100))
    np.testing.assert_allclose(hand_regions(short, 0.5).regions[0, 2], 90, rtol=1e-5)


def test_points_of_the_hand_itself_come_first():
    whole = catalogue.get("wholebody133")
    index = whole.blocks["left_hand"][1]
    places = {whole.keypoints[i]: (200 + 10 * n % 70, 300 + n) for n, i in enumerate(index)}
    one = body(skeleton=whole, left_wrist=(190, 300), left_elbow=(190, 400), **places)
    (region,) = hand_regions(one, 0.5).regions
    x, y = np.array(list(places.values())).T
    np.testing.assert_allclose(region, [(x.min() + x.max()) / 2, (y.min() + y.max()) / 2, *[2 * np.ptp(x)] * 2, 0])
    # Three points that are sure are too few; the arm says it then.
    few = {name: 1.0 if n < 3 else 0.4 for n, name in enumerate(places)}
    one = body(few | {"left_wrist": 1, "left_elbow": 1}, whole, left_wrist=(190, 300), left_elbow=(190, 400), **places)
    np.testing.assert_allclose(hand_regions(one, 0.5).regions[0], [190, 267, 150, 150, 0], rtol=1e-6)


@pytest.mark.parametrize("wrist", [0.49, 0.0])
def test_no_wrist_no_hand(wrist):
    one = body({"left_wrist": wrist}, left_wrist=(100, 100), left_index=(120, 130), left_pinky=(90, 130))
    found = hand_regions(one, 0.5)
    assert len(found) == 0
    assert found.regions.shape == (0, 5)


def test_features_of_the_face_say_where_it_is():
    names = catalogue.get("mediapipe33").keypoints[:11]
    rng = np.random.default_rng(3)
    places = {name: tuple(rng.uniform(100, 200, 2)) for name in names}
    places |= {"left_eye": (180, 140), "right_eye": (120, 150)}
    found = face_regions(body(skeleton=catalogue.get("mediapipe33"), **places), 0.5)
    low, high = np.min(list(places.values()), axis=0), np.max(list(places.values()), axis=0)
    expected = [*(low + high) / 2, *[3 * (high - low).max()] * 2, np.arctan2(-10, 60)]
    np.testing.assert_allclose(found.regions[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found.anchors[0], places["nose"])
    assert found.sides.tolist() == [0]


def test_nose_eyes_ears_and_neck_each_say_where_the_face_is():
    front = body(nose=(100, 100), neck=(100, 150), left_eye=(110, 90), right_eye=(90, 90), left_ear=(120, 95),
                 right_ear=(80, 95))  # fmt: skip
    np.testing.assert_allclose(face_regions(front, 0.5).regions[0], [100, (125 + 90 + 95) / 3, 80, 80, 0], rtol=1e-6)
    # The mean of 2 x 50, 3 x 20 and 2 x 40.
    profile = body(nose=(100, 100), neck=(130, 150), left_eye=(110, 90), left_ear=(130, 95))
    side = 0.85 * (np.hypot(10, 10) + np.hypot(30, 5) + np.hypot(30, 50))
    np.testing.assert_allclose(face_regions(profile, 0.5).regions[0], [340 / 3, 95, side, side, 0], rtol=1e-6)
    eyes = body(left_eye=(110, 90), right_eye=(90, 90))
    found = face_regions(eyes, 0.5)
    np.testing.assert_allclose(found.regions[0], [100, 90, 60, 60, 0], rtol=1e-6)
    np.testing.assert_allclose(found.anchors[0], [100, 90])
    assert len(face_regions(body({"nose": 0.1, "neck": 0.1}, nose=(1, 1), neck=(2, 9)), 0.5)) == 0


def test_bodies_in_order_each_with_its_own():
    skeleton = Skeleton("arms", ARMS)
    points = np.random.default_rng(0).uniform(0, 100, (3, 6, 2))
    scores = np.ones((3, 6))
    scores[1, 2] = 0  # no left wrist
    found = hand_regions(Poses(skeleton, points, scores), 0.5)
    assert found.rows.tolist() == [0, 0, 1, 2, 2]
    assert found.sides.tolist() == [LEFT, RIGHT, RIGHT, LEFT, RIGHT]
    alone = hand_regions(Poses(skeleton, points[2:], scores[2:]), 0.5)
    np.testing.assert_array_equal(found.regions[3:], alone.regions)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_skeleton(name):
    skeleton = catalogue.get(name)
    rng = np.random.default_rng(0)
    for count in (0, 2):
        points = rng.uniform(0, 100, (count, len(skeleton), 2))
        everything = Poses(skeleton, points, np.ones(points.shape[:2]))
        arm, head = {"left_wrist", "left_elbow"}, {"nose", "left_eye", "right_eye"}
        for rule, needs in ((hand_regions, arm), (face_regions, head)):
            found = rule(everything, 0.5)
            assert np.isfinite(found.regions).all()
            assert np.isfinite(found.anchors).all()
            assert (found.reach > 0).all()
            if needs <= set(skeleton.keypoints):
                assert set(found.rows.tolist()) == set(range(count))
        nothing = replace(everything, scores=np.zeros(points.shape[:2]))
        assert len(hand_regions(nothing, 0.5)) == len(face_regions(nothing, 0.5)) == 0
