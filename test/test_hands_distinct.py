# SPDX-License-Identifier: Apache-2.0
"""When a hand that a detector finds is one that is followed already."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.doubles import distinct
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.skeletons import catalogue

HAND = catalogue.get("hand21")


def hands(*rows: tuple[float, float, int], seed: int = 0) -> Poses:
    """Return hands of (left, size, side), each with another gesture."""
    rng = np.random.default_rng(seed)
    points = []
    for left, size, _ in rows:
        gesture = rng.uniform(0, 1, (21, 2))
        gesture[:2] = (0, 0), (1, 1)
        points.append(gesture * size + [left, 0])
    return Poses(HAND, np.array(points), np.ones((len(rows), 21)), sides=np.array([side for *_, side in rows]))


@pytest.mark.parametrize(("second", "kept"), [
    ((110, 90, LEFT), [0]),       # inside the first one: overlap 0.81
    ((140, 100, LEFT), [0, 1]),   # overlap 0.43
    ((110, 90, RIGHT), [0]),      # wrists are in the same place: 0.1 of the size apart
    ((130, 70, RIGHT), [0, 1]),   # two hands that hold one another: overlap 0.49
    ((110, 90, 0), [0, 1]),       # networks that tell no side say nothing about doubles
])
def test_a_new_hand_inside_one_of_the_same_side_is_that_one(second, kept):
    assert distinct(hands((100, 100, LEFT), second), first_new=1).tolist() == kept


def test_hands_that_are_followed_may_overlap():
    both = hands((100, 100, LEFT), (110, 90, LEFT))
    assert distinct(both, first_new=2).tolist() == [0, 1]
    assert distinct(both).tolist() == [0, 1]


def test_hands_that_have_become_one_are_one_whatever_their_side():
    same = hands((100, 100, LEFT))
    poses = Poses(HAND, np.repeat(same.keypoints, 2, axis=0), np.ones((2, 21)), sides=[LEFT, RIGHT])
    assert distinct(poses, first_new=2).tolist() == [0]
