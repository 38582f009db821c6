# SPDX-License-Identifier: Apache-2.0
"""The manipulation node: people who hold out hands and a robot in TF in, handovers and separations out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TransformStamped
from multiview_room import header
from pose_ros.msg import Handover, HandoverArray, SeparationArray, SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError
from pose_ros.nodes import managed
from pose_ros.nodes.manipulation_node import ManipulationNode
from pose_ros.pipeline import Result
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT, TF, TF_STATIC

sys.path.append(str(Path(__file__).parents[1] / "manipulation"))
from reaching import BEGIN_NS, reach, seen, true_palm

STOP, FREE = SeparationArray().separations or 2, 0
SIZE = (1280, 720)


class Cell:
    """A robot at the origin, a pose node that is none, a manipulation node, and a listener."""

    def __init__(self, ros, capture, **parameters):
        self.ros, self.capture, self.other = ros, capture, ros.node("other")
        self.handovers, self.separations, self.targets, self.markers, self.tf = [], [], [], [], []
        self.publishers = {
            kind: (self.other.create_publisher(SkeletonArray, f"/pose/{kind}skeletons", RESULT),
                   self.other.create_publisher(SkeletonInfo, f"/pose/{kind}skeleton_info", LATCHED))
            for kind in ("", "hands/")
        }  # fmt: skip
        self.static = self.other.create_publisher(TFMessage, "/tf_static", TF_STATIC)
        values = {"base_frame": "base_link", "tool_frame": "tool0", "reach_frame": "arm", "robot_frames": ["tool0:0.1"],
                  "stop_rate": 50.0, **parameters}
        self.node = ros.add(ManipulationNode(
            context=ros.context, parameter_overrides=[Parameter(n, value=v) for n, v in values.items()]
        ))
        self.said_info = False

    def listen(self, frames=("camera", "tool0", "arm")):
        subscribe = self.other.create_subscription
        subscribe(HandoverArray, "/manipulation/handovers", self.handovers.append, 100)
        subscribe(SeparationArray, "/manipulation/separation", self.separations.append, 100)
        subscribe(PoseStamped, "/manipulation/handover_target", self.targets.append, 100)
        subscribe(MarkerArray, "/manipulation/markers", self.markers.append, 100)
        subscribe(TFMessage, "/tf", self.tf.append, TF)
        places = {"camera": (0.0, 0.0, 0.0), "tool0": (0.2, 0.0, 1.0), "arm": (0.0, 0.0, 1.0)}
        self.static.publish(TFMessage(transforms=[self.transform(name, places[name]) for name in frames]))
        assert self.ros.spin_until(lambda: all(
            publisher.get_subscription_count() for pair in self.publishers.values() for publisher in pair
        ))
        self.ros.spin_for(0.1)
        return self

    @staticmethod
    def transform(name, xyz, stamp=0):
        made = TransformStamped(header=header(stamp, "base_link"), child_frame_id=name)
        made.transform.translation.x, made.transform.translation.y, made.transform.translation.z = xyz
        made.transform.rotation.w = 1.0
        return made

    def play(self, play, hands=True, late_ns=0, **how):
        """Send what is seen now, one image after the other; returns the last true points and its stamp."""
        begin = self.other.get_clock().now().nanoseconds
        for stamp, body, hand, model in seen(play, **how):
            # As if it took no time to come here.
            now, count = self.other.get_clock().now().nanoseconds - late_ns, len(self.handovers)
            now = max(now, begin - late_ns)
            for kind, poses in (("", body), ("hands/", hand)) if hands else (("", body),):
                arrays, infos = self.publishers[kind]
                if not self.said_info:
                    infos.publish(skeleton_to_info(poses.skeleton, "model"))
                arrays.publish(poses_to_array(Result(poses, (), Stages()), header(now, "camera"), SIZE, "model"))
            self.said_info = True
            assert self.ros.spin_until(lambda count=count: len(self.handovers) > count), "no array came"
        self.ros.spin_for(0.05)
        return model, (stamp - BEGIN_NS) * 1e-9


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
    # Images come as fast as they are answered, so that the pose is held in all of them.
    cell, play = cell(settle=0.0, max_hand_speed=10.0, max_silence=5.0, max_age=5.0).listen(), reach()
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
