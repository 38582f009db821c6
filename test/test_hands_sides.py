# SPDX-License-Identifier: Apache-2.0
"""On which side a hand is, over time."""

from __future__ import annotations

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.skeletons import catalogue
from pose_ros.tracking.smooth import PoseSmoother

HAND = catalogue.get("hand21")
STEP_NS = 33_333_333


def seen(sides: list[int], scores: list[float], parents: list[int] | None = None) -> Poses:
    n = len(sides)
    return Poses(
        HAND, np.zeros((n, 21, 2)), np.ones((n, 21)), boxes=np.tile([0, 0, 90, 90], (n, 1)), ids=np.arange(1, n + 1),
        sides=np.array(sides), side_scores=np.array(scores), parents=np.array(parents or [0] * n),
    )  # fmt: skip


def test_a_hand_keeps_its_side_through_single_frames_that_say_otherwise():
    smoother = PoseSmoother()
    answers = [smoother(seen([RIGHT if n % 10 else LEFT, LEFT], [0.95, 0.99]), n * STEP_NS) for n in range(5, 60)]
    assert {tuple(answer.sides.tolist()) for answer in answers} == {(RIGHT, LEFT)}
    # ... and says that it is less sure then.
    assert answers[5].side_scores[0] < answers[4].side_scores[0] < 1
    np.testing.assert_allclose(answers[-1].side_scores[1], 0.99, atol=1e-6)


def test_a_hand_that_was_taken_for_the_other_one_is_put_right_within_a_second():
    smoother = PoseSmoother()
    sides = [int(smoother(seen([LEFT if n < 5 else RIGHT], [0.8]), n * STEP_NS).sides[0]) for n in range(35)]
    assert sides[:5] == [LEFT] * 5
    assert sides[-1] == RIGHT
    assert np.count_nonzero(np.diff(sides)) == 1


def test_what_a_body_says_of_its_hands_and_what_has_no_side_stays():
    smoother = PoseSmoother()
    for n in range(5):
        poses = smoother(seen([RIGHT if n % 2 else LEFT, 0], [0.6, 0.0], [7, 0]), n * STEP_NS)
        assert poses.sides.tolist() == [RIGHT if n % 2 else LEFT, 0]
        np.testing.assert_allclose(poses.side_scores, [0.6, 0])


def test_after_a_reset_nothing_is_remembered():
    smoother = PoseSmoother()
    for n in range(20):
        smoother(seen([LEFT], [0.99]), n * STEP_NS)
    smoother.reset()
    assert smoother(seen([RIGHT], [0.6]), 21 * STEP_NS).sides.tolist() == [RIGHT]
