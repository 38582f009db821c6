# SPDX-License-Identifier: Apache-2.0
"""A launch file started by ROS's own launch: the node comes up under its name, and arguments reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("launch_ros", reason="launch is not installed; it comes with ROS 2, not from PyPI")

from ament_index_python.packages import get_packages_with_prefixes
from pose_ros.msg import SkeletonArray
from sensor_msgs.msg import Image

from pose_ros.ros.images import rgb_to_image

LAUNCH = Path(__file__).parents[2] / "launch" / "body.launch.py"
#: What ``ros2 launch`` does with a file and its arguments.
_START = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService(argv=[])
service.include_launch_description(LaunchDescription([
    IncludeLaunchDescription(source, launch_arguments=[tuple(a.split(":=")) for a in sys.argv[2:]])]))
sys.exit(service.run())
"""
_PARAMETERS = """
pose:
  ros__parameters: {plugin: pose_node, model: elsewhere, tf_kind: "1", tf_prefix: "", tf_keypoints: [left_wrist, "no"]}
"""


@pytest.fixture
def launch(stub_environment, tmp_path):
    running = []

    (tmp_path / "mine.yaml").write_text(_PARAMETERS)

    def start(**arguments):
        arguments = {"params_file": tmp_path / "mine.yaml", "model": "stub", **arguments}
        given = [f"{name}:={value}" for name, value in arguments.items()]
        environment = {**stub_environment, "ROS_LOG_DIR": str(tmp_path / "log")}
        running.append(subprocess.Popen([sys.executable, "-c", _START, str(LAUNCH), *given], env=environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # and its nodes
            process.communicate()


def test_arguments_reach_the_node_and_images_are_answered(launch, ros):
    process = launch(namespace="/robot", image_topic="/my/image", device="cpu")
    other, got = ros.node("other"), []
    other.create_subscription(SkeletonArray, "/robot/pose/skeletons", got.append, 10)
    camera = other.create_publisher(Image, "/my/image", 10)
    assert ros.spin_until(camera.get_subscription_count), "the node did not subscribe"
    image = _image()
    camera.publish(image)
    assert ros.spin_until(lambda: got)
    assert (got[0].header, got[0].model, len(got[0].skeletons)) == (image.header, "stub", 1)
    assert _parameters(ros, other) == ["1", "", ["left_wrist", "no"]]
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert "process has finished cleanly" in text, text


@pytest.mark.parametrize(("arguments", "words"), [
    ({"model": "stubb"}, "unknown model 'stubb'; did you mean 'stub'"),
    ({"params_file": "/nowhere/mine.yaml"}, "/nowhere/mine.yaml: cannot be read"),
    ({"use_rviz": "true"}, "package 'rviz2' not found"),
])
def test_what_is_wrong_is_said_before_anything_starts(launch, arguments, words):
    if "use_rviz" in arguments and "rviz2" in get_packages_with_prefixes():
        pytest.skip("RViz is installed")
    process = launch(**arguments)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert words in text
    assert "process started" not in text


def _image() -> Image:
    import numpy as np
    from std_msgs.msg import Header

    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[0, 0, 0] = 1
    return rgb_to_image(rgb, Header(frame_id="camera"))


def _parameters(ros, other) -> list:
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    client = other.create_client(GetParameters, "/robot/pose/get_parameters")
    assert ros.spin_until(client.service_is_ready)
    future = client.call_async(GetParameters.Request(names=["tf_kind", "tf_prefix", "tf_keypoints"]))
    assert ros.spin_until(future.done)
    return [parameter_value_to_python(value) for value in future.result().values]
