# SPDX-License-Identifier: Apache-2.0
"""What modules without ROS log reaches /rosout by their node."""

from __future__ import annotations

import contextlib
import logging

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rcl_interfaces.msg import Log

from pose_ros.ros.log import ToNode


def test_warnings_of_modules_are_on_rosout(ros):
    node = ros.node("worker")
    heard: list[Log] = []
    node.create_subscription(Log, "/rosout", heard.append, 100)
    log = logging.getLogger("pose_ros.runtime.batched")
    with contextlib.closing(ToNode(node.get_logger())):

        def said() -> bool:
            log.warning("model '%s': no memory", "small")
            log.error("worse")
            return {(one.level, one.msg) for one in heard} >= {(30, "model 'small': no memory"), (40, "worse")}

        assert ros.spin_until(said)
    assert {one.name for one in heard if "memory" in one.msg} == {"worker"}
    assert logging.getLogger("pose_ros").handlers == []
    assert logging.getLogger("pose_ros").propagate
