# SPDX-License-Identifier: Apache-2.0
"""The pose node as a process of its own, heard by another one that knows only rclpy and the messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

_NODE = "from pose_ros.nodes.start import start; raise SystemExit(start('pose_node'))"
#: Says when it is known to the one who publishes, then what it hears, and ends soon after the hundredth or after a
#: minute. How its rclpy ends, which was seen to hang once, is not what is tested here.
_LISTENER = """
import json, os, rclpy, time
from pose_ros.msg import SkeletonArray
rclpy.init()
node = rclpy.create_node("listener")
heard = []
node.create_subscription(SkeletonArray, "/body/skeletons", heard.append, 1000)
end = time.monotonic() + 60
while not node.count_publishers("/body/skeletons") and time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print("ready", flush=True)
while time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
    if len(heard) >= 100:
        end = min(end, time.monotonic() + 1)
print(json.dumps([[m.header.stamp.sec, m.header.stamp.nanosec, m.header.frame_id, len(m.skeletons)] for m in heard]),
      flush=True)
os._exit(0)
"""


@pytest.fixture
def start(stub_environment):
    processes = []

    def run(code, *arguments):
        processes.append(subprocess.Popen(
            [sys.executable, "-c", code, *arguments], env=stub_environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_another_process_hears_every_image_once_and_to_the_nanosecond(ros, start, tmp_path):
    config = tmp_path / "body.yaml"
    config.write_text(
        "body:\n  ros__parameters:\n    plugin: pose_node\n    model: stub\n    image_topic: camera/image\n"
        "    depth: 1000\n    reliability: reliable\n    estimator: {delay: 0.001}\n"
    )
    node = start(_NODE, "--ros-args", "-r", "__node:=body", "--params-file", str(config))
    listener = start(_LISTENER)
    camera = ros.node("camera").create_publisher(Image, "camera/image", QoSProfile(depth=1000))
    assert ros.spin_until(camera.get_subscription_count, 30), node.communicate(timeout=1)
    assert listener.stdout.readline() == "ready\n"
    ros.spin_for(0.5)  # who is found has found the other one soon
    sent = []
    start_ns = time.time_ns()
    for i in range(100):
        message = Image(height=48, width=64, step=192, encoding="rgb8")
        message.header.frame_id = f"camera_{i}"
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start_ns + i * 1_234_567, 10**9)
        message.data.frombytes(bytes([i % 4]) + bytes(9215))
        camera.publish(message)
        sent.append([message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id, i % 4])
    assert json.loads(listener.stdout.readline()) == sent  # nothing is lost, and nothing comes twice
    node.send_signal(signal.SIGINT)
    assert node.wait(20) == 0, node.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-p", "imgae_topic:=x"), "imgae_topic: unknown parameter; did you mean 'image_topic'"),
        (("-p", "depth:=0"), "depth: expected 1 .. 1000, got 0"),
    ],
)
def test_a_misspelt_key_ends_the_process_and_says_what_was_meant(start, arguments, expected):
    node = start(_NODE, "--ros-args", *arguments)
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 2
    assert expected in errors
    assert "Traceback" not in errors
