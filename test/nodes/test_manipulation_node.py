# SPDX-License-Identifier: Apache-2.0
"""The manipulation node: people who hold out hands and a robot in TF in, handovers and separations out."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from manipulation_cell import SIZE, TIMELESS, Cell
from multiview_room import header
from pose_ros.msg import Handover
from reaching import reach, seen, true_palm
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError
from pose_ros.nodes import managed
from pose_ros.pipeline import Result
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import RESULT, TF


@pytest.fixture
def cell(ros, capfd, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(**parameters):
        made.append(Cell(ros, capfd, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.node.close()


def test_a_hand_that_is_held_out_is_the_target_in_the_frame_of_the_base(cell):
    cell, play = cell(exact=True, **TIMELESS).listen(), reach()
    model, time_s = cell.play(play, rate_hz=5.0)
    array = cell.handovers[-1]
    best = array.handovers[0]
    assert (array.header.frame_id, best.track_id, best.hand_id, best.side) == ("base_link", 1, 12, 2)
    assert (best.valid, best.reason, best.grip) == (True, "", Handover.GRIP_OPEN)
    palm, axes = true_palm(model, play, time_s)
    position = best.pose.pose.position
    np.testing.assert_allclose([position.x, position.y, position.z], palm, atol=1e-5)
    assert (cell.targets[-1].header, cell.targets[-1].pose) == (array.header, best.pose.pose)
    # The gripper comes into the palm.
    approach = [best.approach.x, best.approach.y, best.approach.z]
    assert np.dot(approach, -axes[:, 2]) > np.cos(np.deg2rad(8))
    frames = [t for message in cell.tf for t in message.transforms if t.child_frame_id.startswith("handover")]
    assert {t.child_frame_id for t in frames} == {"handover_1_right"}
    assert {m.ns for m in cell.markers[-1].markers} >= {"robot", "separation", "distance", "approach", "hand"}


def test_bodies_alone_are_answered_too(cell):
    cell = cell(exact=True, robot_holds="yes", **TIMELESS).listen()
    for publisher in cell.publishers["hands/"]:  # hands that somebody offers would be waited for
        cell.other.destroy_publisher(publisher)
    cell.play(reach(), hands=False, skeleton="coco17", rate_hz=5.0)
    assert [h.hand_id for h in cell.handovers[-1].handovers] == [0, 0]
    assert cell.handovers[-1].handovers[0].valid


def test_separations_are_said_at_every_array_and_zones_follow(cell):
    cell = cell(**TIMELESS).listen()
    cell.play(reach(away_m=1.2), rate_hz=5.0)
    array = cell.separations[-1]
    (one,) = array.separations
    assert (array.zone, array.reason, array.header.frame_id) == (2, "", "base_link")
    assert (one.track_id, one.robot_frame) == (1, "tool0")
    assert one.distance < one.protective_distance
    assert array.header.stamp == cell.handovers[-1].header.stamp
    assert list(cell.node._health._stages) == ["transport", "transforms", "watch", "publish"]
    cell.play(reach(away_m=4.0), rate_hz=5.0)
    assert (cell.separations[-1].zone, cell.separations[-1].reason) == (0, "")


def test_a_robot_that_comes_nearer_is_as_fast_as_tf_says(cell):
    cell = cell(**TIMELESS, least_human_speed=0.0, least_robot_speed=0.0, sigmas=0.0).listen(("camera", "arm"))
    play = reach(away_m=3.0)
    _, body, _, _ = next(seen(play))
    moving = cell.other.create_publisher(TFMessage, "/tf", TF)
    cell.ros.spin_for(0.2)
    now = cell.other.get_clock().now().nanoseconds
    for i in range(6):
        moving.publish(TFMessage(transforms=[cell.transform("tool0", (0.1 * i, 0.0, 1.0), now - (5 - i) * 10**8)]))
    cell.ros.spin_for(0.1)
    arrays, infos = cell.publishers[""]
    infos.publish(skeleton_to_info(body.skeleton, "model"))
    arrays.publish(poses_to_array(Result(body, (), Stages()), header(now, "camera"), SIZE, "model"))
    assert cell.ros.spin_until(lambda: cell.separations and cell.separations[-1].separations)
    (one,) = cell.separations[-1].separations
    # It moves along x at 1 m/s; somebody stands there, a little beside.
    assert one.closing_speed == pytest.approx(1.0, abs=0.02)
    # T_r is 0.2 s and the delay; S_s, C and Z_r are 0.1 m, 0.1 m and 0.02 m.
    assert 0.42 < one.protective_distance < 0.42 + 0.5


@pytest.mark.parametrize(("how", "words"), [
    ({"frames": ("camera", "arm")}, "nobody publishes 'tool0'"), ({"frames": ("tool0", "arm")}, "'camera'"),
])  # fmt: skip
def test_without_a_transform_it_says_stop_and_why(cell, how, words):
    cell = cell(tf_wait=0.0).listen(**how)
    cell.play(reach(), rate_hz=5.0, until_s=0.5)
    stop = next(array for array in reversed(cell.separations) if "transform" in array.reason)
    assert stop.zone == 2
    assert words in stop.reason
    assert (len(cell.handovers[-1].handovers), cell.handovers[-1].header.frame_id) == (0, "base_link")
    assert cell.targets == []


def test_silence_means_stop_and_so_do_old_skeletons_and_those_of_another_clock(cell):
    cell = cell().listen()
    assert cell.ros.spin_until(lambda: cell.separations)
    assert (cell.separations[0].zone, cell.separations[0].reason) == (2, "no skeletons yet")
    cell.play(reach(away_m=4.0), rate_hz=5.0, until_s=0.3)
    assert cell.ros.spin_until(lambda: cell.separations[-1].reason.startswith("no skeletons for"))
    count = len(cell.separations)
    cell.ros.spin_for(0.3)
    # 50 Hz are asked for.
    assert len(cell.separations) - count >= 5
    for late_ns, words in ((10**9, "s old, expected <= 0.3 s"), (-(10**9), "ahead of this node's clock")):
        cell.play(reach(away_m=4.0), rate_hz=5.0, until_s=0.3, late_ns=late_ns)
        stop = next(array for array in reversed(cell.separations) if array.separations)
        assert stop.zone == 2
        assert words in stop.reason
        assert not any(h.valid for h in cell.handovers[-1].handovers)


def test_a_bag_that_is_played_slowly_is_not_silent(cell, ros):
    cell = cell(use_sim_time=True, max_silence=0.3).listen()
    clock = cell.other.create_publisher(Clock, "/clock", RESULT)
    ((_, body, _, _),) = seen(reach(away_m=4.0), rate_hz=5.0, until_s=0.1)
    arrays, infos = cell.publishers[""]
    infos.publish(skeleton_to_info(body.skeleton, "model"))

    def play(stamp_ns):
        arrays.publish(poses_to_array(Result(body, (), Stages()), header(stamp_ns, "camera"), SIZE, "model"))
        count = len(cell.handovers)
        assert ros.spin_until(lambda: len(cell.handovers) > count)

    def pass_on(stamp_ns):
        clock.publish(Clock(clock=header(stamp_ns, "").stamp))
        assert ros.spin_until(lambda: cell.node.get_clock().now().nanoseconds == stamp_ns)

    pass_on(10**9)
    play(10**9)
    # What was said before it may still be on its way.
    assert ros.spin_until(lambda: cell.separations and cell.separations[-1].reason == "")
    count = len(cell.separations)
    ros.spin_for(0.6)
    assert {array.reason for array in cell.separations[count:]} <= {""}
    pass_on(1_500_000_000)
    assert ros.spin_until(lambda: cell.separations[-1].reason == "no skeletons for 0.5 s")
    # The bag begins again.
    pass_on(10**8)
    assert ros.spin_until(lambda: cell.separations[-1].reason == "no skeletons for 0.9 s")


def test_a_node_that_pauses_or_rests_says_stop(cell):
    cell = cell(**TIMELESS).listen()
    cell.play(reach(away_m=4.0), rate_hz=5.0, until_s=0.3)
    assert cell.separations[-1].zone == 0
    client = cell.other.create_client(SetBool, "/manipulation/enable")
    assert cell.ros.spin_until(client.service_is_ready)
    future = client.call_async(SetBool.Request(data=False))
    assert cell.ros.spin_until(future.done)
    assert cell.ros.spin_until(lambda: cell.separations[-1].reason == "paused: no input is taken")
    assert cell.separations[-1].zone == 2
    cell.node.trigger_deactivate()
    assert cell.ros.spin_until(lambda: cell.separations[-1].reason == "the node is not active")


def test_diagnostics_name_the_zone_and_what_is_wrong(cell):
    cell, got = cell(watchdog=0.2).listen(), []
    cell.other.create_subscription(DiagnosticArray, "/diagnostics", got.append, 10)
    assert cell.ros.spin_until(lambda: got and "nobody was minded for" in got[-1].status[0].message)
    values = {pair.key: pair.value for pair in got[-1].status[0].values}
    assert values["zone"] == "stop"
    assert "publishes /pose/skeletons" in got[-1].status[0].message


def test_nothing_is_heard_while_nobody_listens(cell, ros):
    cell = cell(publish_tf=False)
    ros.spin_for(0.3)
    assert not cell.node._minding.listening


@pytest.mark.parametrize(("parameters", "words"), [
    ({"robot_frames": ["tool0:wide"]}, "expected 'frame', 'frame:radius' or 'frame>frame:radius', got 'tool0:wide'"),
    ({"robot_frames": ["tool0>:0.1"]}, "'tool0>:0.1'"), ({"base_frame": ""}, "expected a TF frame of the robot"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(cell, parameters, words):
    with pytest.raises(ConfigError, match=words):
        cell(**parameters)
