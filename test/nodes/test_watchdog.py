# SPDX-License-Identifier: Apache-2.0
"""A node to which nothing comes, or nothing of use, names the cause: one real node and one cause each.

Missing publishers, near names, QoS and types are in ``test_pose_node_bad_input.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from diagnostic_msgs.msg import DiagnosticArray
from pose_ros.msg import ActionArray, SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.nodes import managed
from pose_ros.nodes.action_node import ActionNode
from pose_ros.pipeline import Result
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT
from pose_ros.skeletons import catalogue

#: In another domain than that of the test.
_CAMERA = """
import sys, time, rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
rclpy.init()
Node("camera").create_publisher(Image, "image", 1)
print("there", flush=True)
time.sleep(60)
"""


def until(scene, words, level):
    """Wait for diagnostics with these words, and return them."""
    seen = []

    def there():
        status, values = scene.diagnostics()
        seen.append((status.message, status.level))
        return words in status.message and status.level == level and (status, values)

    assert scene.ros.spin_until(there), seen
    return scene.diagnostics()


def test_k_of_zeros(scene):
    scene = scene(watchdog=0.2, depth_topic="depth/image")
    info = scene.other.create_publisher(CameraInfo, "camera_info", 1)
    camera = scene.camera()
    assert scene.ros.spin_until(info.get_subscription_count)

    def send():
        image = scene.image()
        info.publish(CameraInfo(width=64, height=48, header=image.header))
        camera.publish(image)
        return "not calibrated; " in scene.diagnostics()[0].message

    assert scene.ros.spin_until(send)
    status, values = scene.diagnostics()
    assert "expected positive focal lengths, got 0 and 0" in status.message
    assert status.level == status.WARN
    assert "focal" in values["camera"]


def test_no_camera_info_where_depth_needs_it(scene):
    scene = scene(watchdog=0.2, depth_topic="depth/image", camera_info_topic="/cam/info")
    scene.other.create_publisher(CameraInfo, "/cam/camera_info", 1)
    told = []

    def send():  # again and again: on a busy machine images are missing, too
        scene.send(scene.image())
        told[:] = scene.diagnostics()
        return "nobody publishes /cam/info" in told[0].message

    assert scene.ros.spin_until(send), told
    status, values = told
    assert "camera_info that are published: /cam/camera_info" in status.message
    assert values["camera"] == "no camera_info so far"


def test_an_encoding_that_nobody_reads(scene):
    scene = scene(watchdog=0.2, depth=100, reliability="reliable")
    camera = scene.camera()

    def send():
        image = scene.image()
        image.encoding = "bayer_weird8"
        camera.publish(image)
        return scene.diagnostics()[0].level == b"\x02"

    assert scene.ros.spin_until(send)
    status, values = scene.diagnostics()
    assert "bayer_weird8" in status.message
    assert int(values["drops_unreadable"]) > 0
    scene.send(scene.image())
    assert scene.diagnostics()[0].level == b"\x01"


def test_stamps_far_from_now(scene):
    scene = scene()
    now = time.time_ns()
    scene.send(scene.image(stamp_ns=now - 7_200 * 10**9))
    scene.said("stamps are 7200")
    _, values = scene.diagnostics()
    assert "s behind this node's clock" in values["clock"]
    for _ in range(20):
        scene.send(scene.image(stamp_ns=time.time_ns()))
    assert "clock" not in scene.diagnostics()[1]


def test_simulated_time_without_a_clock(scene):
    status, _ = until(scene(use_sim_time=True), "nobody publishes /clock", b"\x02")
    assert "set use_sim_time to false" in status.message


@pytest.mark.parametrize("reach", ["LOCALHOST", "SUBNET"])
def test_a_camera_in_another_domain(scene, monkeypatch, reach):
    domain = int(os.environ["ROS_DOMAIN_ID"])
    other = {**os.environ, "ROS_DOMAIN_ID": str(domain + 100)}
    camera = subprocess.Popen([sys.executable, "-c", _CAMERA], env=other, stdout=subprocess.PIPE, text=True)
    try:
        assert camera.stdout.readline() == "there\n"
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", reach)
        status, _ = until(scene(watchdog=0.2), f"This node is in domain {domain}", b"\x03")
    finally:
        camera.kill()
        camera.wait()
        camera.stdout.close()
    assert ("nodes on this machine only" in status.message) == (reach == "LOCALHOST")


def test_a_frame_that_tf_does_not_know(ros, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    other = ros.node("other")
    got = []
    other.create_subscription(DiagnosticArray, "/diagnostics", got.append, 10)
    skeletons = other.create_publisher(SkeletonArray, "/pose/skeletons", RESULT)
    infos = other.create_publisher(SkeletonInfo, "/pose/skeleton_info", LATCHED)
    given = {"gravity_frame": "map", "watchdog": 0.3, "tf_wait": 0.0}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = ros.add(ActionNode(context=ros.context, parameter_overrides=overrides))
    other.create_subscription(ActionArray, "/action/actions", lambda _: None, 10)
    assert ros.spin_until(skeletons.get_subscription_count)
    coco = catalogue.get("coco17")
    infos.publish(skeleton_to_info(coco, "model"))
    header = Header(frame_id="camera")
    header.stamp.sec = 1000

    def told():
        skeletons.publish(poses_to_array(Result(Poses.empty(coco), (), Stages()), header, (64, 48), "model"))
        return any("skeletons are left out: no transform from 'camera' to 'map'" in s.message
                   for array in got for s in array.status)

    try:
        assert ros.spin_until(told), [s.message for array in got[-3:] for s in array.status]
        values = {pair.key: pair.value for pair in got[-1].status[0].values}
        assert int(values["drops_no_transform"]) > 0
    finally:
        node.close()


def test_images_that_are_lost_on_the_way_are_told_from_those_that_newer_ones_replaced(scene, monkeypatch):
    """The middleware counts losses; here it says that there were some."""
    scene = scene()
    camera = scene.camera()
    scene.send(scene.image())
    losses = scene.node._switch.worker._intake._source.losses
    assert losses.count == 0
    monkeypatch.setattr(type(losses), "count", property(lambda self: 2))
    gate = scene.node._switch.worker._intake._source.lock
    with gate:
        for _ in range(6):
            camera.publish(scene.image())
        time.sleep(0.2)
    assert scene.ros.spin_until(lambda: int(scene.diagnostics()[1]["dropped"]) > 0)
    values = scene.diagnostics()[1]
    assert int(values["drops_lost"]) == 2
    assert int(values["drops_overwritten"]) == int(values["dropped"]) - 2


def test_every_stage_has_its_times(scene):
    scene = scene()
    for _ in range(3):
        array = scene.send(scene.image())
    values = scene.diagnostics()[1]
    for stage in array.stage_names:
        p50, p95, most = (float(values[f"{stage}_{p}_ms"]) for p in ("p50", "p95", "max"))
        assert p50 <= p95 <= most
    assert np.isfinite(float(values["latency_max_ms"]))


def test_the_target_may_be_set_while_it_runs(scene):
    scene = scene()
    assert scene.set(health__target_rate=900.0)[0].successful
    camera = scene.camera()

    def send():
        camera.publish(scene.image())
        return "of the 900 that health.target_rate asks for" in scene.diagnostics()[0].message

    assert scene.ros.spin_until(send)
