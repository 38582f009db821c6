# SPDX-License-Identifier: Apache-2.0
"""TF as nodes hear it."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from pose_ros.ros.frames import Frames

S = 1_000_000_000
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def transform(parent, child, stamp_ns, x):
    made = TransformStamped(child_frame_id=child)
    made.header.frame_id = parent
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(stamp_ns, S)
    made.transform.translation.x = x
    return made


@pytest.fixture
def robot(ros):
    """A node, and publishers of moving and static transforms that are older than it."""
    other, said = ros.node("other"), []
    static = other.create_publisher(TFMessage, "/tf_static", LATCHED)
    static.publish(TFMessage(transforms=[transform("base", "camera", 0, 0.5)]))
    moving = other.create_publisher(TFMessage, "/tf", 100)
    node = ros.node("node")
    frames = Frames(node, said.append)
    assert ros.spin_until(lambda: moving.get_subscription_count() and frames.lookup("base", "camera", S))
    return ros, node, frames, moving, said


def test_moving_and_static_transforms_are_joined_at_the_stamp(robot):
    ros, _, frames, moving, said = robot
    for tenth in range(5):
        moving.publish(TFMessage(transforms=[transform("world", "base", 100 * S + tenth * S // 10, float(tenth))]))
    assert ros.spin_until(lambda: frames.lookup("world", "camera", 100 * S + 4 * S // 10))
    rotation, translation = frames.lookup("world", "camera", 100 * S + S // 4)
    np.testing.assert_allclose(translation, [3.0, 0, 0], atol=1e-9)
    np.testing.assert_array_equal(rotation, np.eye(3))
    assert said == []


def test_what_is_wrong_with_tf_is_told_and_the_rest_is_taken(robot):
    ros, _, frames, moving, said = robot
    broken = transform("world", "arm", S, 1.0)
    broken.transform.rotation.w = 0.0
    moving.publish(TFMessage(transforms=[broken, transform("world", "base", 9 * S, 1.0)]))
    assert ros.spin_until(lambda: frames.lookup("world", "base", 9 * S))
    assert [text.partition(";")[0] for text in said] == [
        "tf: expected metres and a unit quaternion, got [1.0, 0.0, 0.0] and [0.0, 0.0, 0.0, 0.0] for 'arm' in 'world'"
    ]
    moving.publish(TFMessage(transforms=[transform("world", "base", 2 * S, 1.0)]))
    assert ros.spin_until(lambda: len(said) == 2)
    assert said[1] == "time on /tf ran backwards: what moves was forgotten"
    assert frames.lookup("world", "base", 9 * S) is None
    assert "known from 2.000 to 2.000 s" in frames.why_not("world", "base", 9 * S)


def test_nothing_is_heard_after_the_end(robot):
    ros, _, frames, moving, _ = robot
    frames.close()
    assert ros.spin_until(lambda: not moving.get_subscription_count())
