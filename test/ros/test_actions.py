# SPDX-License-Identifier: Apache-2.0
"""Actions as messages and as markers."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from pose_ros.core.poses import LEFT, Poses
from pose_ros.recognisers.episodes import Action, Phase
from pose_ros.recognition import Actions
from pose_ros.ros.actions import actions_to_array, actions_to_markers
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
POINTING = Action("pointing", "rule", Phase.ONGOING, 0.9, 7, 0, LEFT, 1_500_000_000, values={"reach": 0.6},
                  units={"reach": "m"}, ray=np.array([0, 0, 2, 0, 1.0, 0]), target=np.array([0, 1, 2.0]),
                  target_name="floor")
SQUAT = Action("squat", "rule", Phase.EVENT, 0.8, 7, 0, 0, 1_000_000_000, 2_000_000_001, count=3)
OVER = Action("sitting", "rule", Phase.ENDED, 0.5, 7, 0, 0, 1_000_000_000, 2_000_000_000)


def test_all_that_is_known_is_in_the_message():
    array = actions_to_array(Actions([POINTING, SQUAT], [4]), Header(frame_id="cam"), "coco17", {"rule": 1.5})
    assert (array.header.frame_id, array.schema, list(array.ended_ids)) == ("cam", "coco17", [4])
    assert (array.stage_names, list(array.stage_ms)) == (["rule"], [1.5])
    one, two = array.actions
    assert (one.name, one.recogniser, one.phase, one.track_id, one.side) == ("pointing", "rule", 2, 7, LEFT)
    assert (one.onset.sec, one.onset.nanosec, one.end.sec) == (1, 500_000_000, 0)
    assert (one.value_names, one.value_units) == (["reach"], ["m"])
    np.testing.assert_allclose(one.values, [0.6])
    np.testing.assert_allclose(one.ray, [0, 0, 2, 0, 1, 0])
    np.testing.assert_allclose(one.target, [0, 1, 2])
    assert one.target_name == "floor"
    assert (two.phase, two.count, two.end.sec, two.end.nanosec, len(two.ray), len(two.target)) == (4, 3, 2, 1, 0, 0)


def test_words_stand_above_heads_and_arrows_lead_to_what_is_met():
    points = np.tile([0, 0.5, 2], (2, 17, 1))
    points[0, 0] = [0, -0.5, 2]
    poses = Poses(COCO, points[..., :2], np.ones((2, 17)), ids=np.array([7, 8]), points=points)
    markers = actions_to_markers(Actions([POINTING, SQUAT, OVER], [4]), poses, Header(), np.array([0.0, -1, 0]))
    gone, text, arrow = [m for m in markers if m.action == Marker.DELETE], *markers[-2:]
    assert {(m.id, m.ns) for m in gone} == {(4, "actions/label"), (4, "actions/ray")}
    assert text.text == "pointing left 0.90 at floor\nsquat 3"
    assert -0.9 < text.pose.position.y < -0.6
    assert [(p.x, p.y, p.z) for p in arrow.points] == [(0, 0, 2), (0, 1, 2)]


def test_without_a_place_nothing_is_drawn():
    poses = Poses(COCO, np.ones((1, 17, 2)), np.ones((1, 17)), ids=np.array([7]))
    assert actions_to_markers(Actions([POINTING], []), poses, Header(), np.array([0.0, -1, 0])) == []
