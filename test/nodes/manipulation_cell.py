# SPDX-License-Identifier: Apache-2.0
"""A robot at the origin, people who hold out hands to it, and a manipulation node that minds both."""

from __future__ import annotations

import sys
from pathlib import Path

from geometry_msgs.msg import PoseStamped, TransformStamped
from multiview_room import header
from pose_ros.msg import HandoverArray, SeparationArray, SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.stages import Stages
from pose_ros.nodes.manipulation_node import ManipulationNode
from pose_ros.pipeline import Result
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT, TF, TF_STATIC

sys.path.append(str(Path(__file__).parents[1] / "manipulation"))
from reaching import BEGIN_NS, seen

SIZE = (1280, 720)
#: Images come as fast as they are answered, so that the clock says nothing of how fast people are.
TIMELESS = {"settle": 0.0, "max_hand_speed": 10.0, "max_silence": 5.0, "max_age": 5.0}


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
        self.said_info, self.exact = False, parameters.get("exact", False)

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
        for stamp, body, hand, model in seen(play, **how):  # noqa: B007
            # As if it took no time to come here.
            now = stamp if self.exact else self.other.get_clock().now().nanoseconds - late_ns
            count = len(self.handovers)
            for kind, poses in (("", body), ("hands/", hand)) if hands else (("", body),):
                arrays, infos = self.publishers[kind]
                if not self.said_info:
                    infos.publish(skeleton_to_info(poses.skeleton, "model"))
                arrays.publish(poses_to_array(Result(poses, (), Stages()), header(now, "camera"), SIZE, "model"))
            self.said_info = True
            assert self.ros.spin_until(lambda count=count: len(self.handovers) > count), "no array came"
        self.ros.spin_for(0.05)
        return model, (stamp - BEGIN_NS) * 1e-9
