# SPDX-License-Identifier: Apache-2.0
"""Frames of hands: palms that are turned in known ways, and pinches that open and close."""

from __future__ import annotations

import isb
import numpy as np
import pytest
from scenes import hand
from scipy.spatial.transform import Rotation

from pose_ros.anatomy.describe import described
from pose_ros.core import quaternion
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.skeletons import catalogue

SKELETON = catalogue.get("hand21")
SIDES = {"left": LEFT, "right": RIGHT}
#: A hand of the scenes points down with its thumb to the front; so it lies on a table, palm down, fingers to the front.
LYING = {"left": [[0, 0, -1], [-1, 0, 0], [0, 1, 0.0]], "right": [[0, 0, -1], [1, 0, 0], [0, -1, 0.0]]}


def poses(points: np.ndarray, sides: list[int], **columns: np.ndarray) -> Poses:
    return Poses(SKELETON, points[..., :2], np.ones(points.shape[:2]), sides=np.array(sides), points=points, **columns)


def test_a_hand_on_a_table_has_the_axes_of_rep_103() -> None:
    for side, kind in SIDES.items():
        points = hand(np.zeros(1), side) @ np.array(LYING[side]).T + (1, 2, 3)
        found = described(poses(points, [kind]), None)
        assert found.frames[0, 0, :3] == pytest.approx((1, 2, 3))
        rotation = quaternion.to_matrices(found.frames[0, 0, 3:])
        # The knuckle of the middle finger is a little beside the middle of the hand.
        np.testing.assert_allclose(rotation, np.eye(3), atol=0.12)
        # The thumb of a right hand is on its left.
        thumb = (points[0, 4] - (1, 2, 3)) @ rotation
        assert np.sign(thumb[1]) == (1 if side == "right" else -1)


@pytest.mark.parametrize("side", SIDES)
def test_frames_turn_with_the_hand(side: str, rng: np.random.Generator) -> None:
    points = hand(np.full(1, 0.3), side)
    turns = Rotation.random(20, rng=rng).as_matrix()
    still = described(poses(points, [SIDES[side]]), None)
    moved = described(poses(points @ turns.swapaxes(1, 2), [SIDES[side]] * 20), None)
    for column in (0, 1):
        np.testing.assert_allclose(
            quaternion.to_matrices(moved.frames[:, column, 3:]),
            turns @ quaternion.to_matrices(still.frames[0, column, 3:]), atol=1e-5)  # fmt: skip
        np.testing.assert_allclose(moved.frames[:, column, :3], turns @ still.frames[0, column, :3], atol=1e-5)
    np.testing.assert_allclose(moved.measures, np.repeat(still.measures, 20, axis=0), atol=1e-6)


def test_which_side_the_back_is_on_needs_the_side_and_a_pinch_does_not() -> None:
    points = hand(np.zeros(2), "left")
    found = described(poses(points, [0, LEFT]), None)
    assert np.isnan(found.frames[0, 0]).all()
    np.testing.assert_array_equal(found.frames[0, 1], found.frames[1, 1])
    wrong = described(poses(points[:1], [RIGHT]), None)
    back, front = (quaternion.to_matrices(p.frames[-1, 0, 3:])[:, 2] for p in (found, wrong))
    np.testing.assert_allclose(back, -front, atol=1e-6)


def test_a_pinch_is_between_the_tips_and_says_how_far_they_are_apart() -> None:
    points = hand(np.zeros(1), "right")
    for gap_m in (0.08, 0.02, 0.0):
        middle = np.array([0.05, 0.06, -0.12])
        for finger, sign in (("thumb", 1), ("forefinger", -1)):
            tip, before = SKELETON.index[f"{finger}4"], SKELETON.index[f"{finger}3"]
            points[0, tip] = middle + np.array([sign * gap_m / 2, 0, 0])
            points[0, before] = middle + np.array([sign * (gap_m / 2 + 0.01), -0.02, 0.02])
        found = described(poses(points, [RIGHT]), None)
        assert found.measures[0] == pytest.approx(gap_m, abs=1e-6)
        x, y, z, *turn = found.frames[0, 1]
        assert (x, y, z) == pytest.approx(middle)
        rotation = quaternion.to_matrices(np.array(turn))
        # Also when it is shut, y points to the thumb; the fingers point down.
        assert rotation[0, 1] > 0.9
        assert rotation[2, 0] < -0.5


def test_hands_of_a_person_have_the_same_frames_as_hands_alone() -> None:
    body = isb.build(isb.BENT)[0]
    whole = described(isb.poses("wholebody133", body), None)
    for side, kind in SIDES.items():
        own = {joint.removeprefix(f"{side}_"): point for joint, point in body.items() if f"{side}_hand/" in joint}
        alone = described(isb.poses("hand21", own, sides=np.array([kind])), None)
        for name, other in ((f"{side}_hand", "hand"), (f"{side}_pinch", "pinch")):
            np.testing.assert_allclose(whole.frames[0, whole.skeleton.frames.index(name)],
                                       alone.frames[0, alone.skeleton.frames.index(other)], atol=1e-5)
        opening = whole.measures[0, whole.skeleton.measures.index(f"{side}_grasp_opening")]
        assert opening == pytest.approx(alone.measures[0, 0])


def test_doubtful_and_degenerate_hands_have_no_frames() -> None:
    points = hand(np.zeros(1), "right")
    sure = poses(points, [RIGHT])
    scores = sure.scores.copy()
    scores[0, SKELETON.index["thumb4"]] = 0.1
    found = described(sure.replace(scores=scores), None)
    assert np.isfinite(found.frames[0, 0]).all()
    assert np.isnan(found.frames[0, 1]).all()
    assert np.isnan(found.measures[0, 0])
    assert np.isnan(described(poses(np.ones((1, 21, 3)), [RIGHT]), None).frames).all()
    assert described(poses(np.ones((0, 21, 3)), []), None).frames.shape == (0, 2, 7)


def test_openings_need_no_place() -> None:
    points = hand(np.zeros(1), "right")
    local = described(poses(points, [RIGHT]).replace(points=None, local_points=points), None)
    assert local.measures[0, 0] == pytest.approx(np.linalg.norm(points[0, 4] - points[0, 8]), abs=1e-6)
    assert local.frames is None
