# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of each node of a running composition: the others go on, and it comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
from diagnostic_msgs.msg import DiagnosticArray
from pose_ros.msg import SkeletonArray
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image

from pose_ros.errors import SourceError
from pose_ros.ros.bag_reader import BagReader
from pose_ros.ros.qos import sensor

_CONFIG = """\
/**: {ros__parameters: {process: {restart: 3, restart_delay: 0.5}}}
camera: {ros__parameters: {plugin: camera_node, source: "demo:300", rate: 20.0, width: 320, publish: raw}}
pose: {ros__parameters: {plugin: pose_node, model: toy, image_topic: camera/image}}
recorder: {ros__parameters: {plugin: recorder_node}}
"""


class Robot:
    """The composition, and what is heard of it."""

    def __init__(self, ros: Any, process: subprocess.Popen[str], out: Path):
        self.ros, self.process, self.out = ros, process, out
        self.images: list[float] = []
        self.arrays: list[float] = []
        #: How many arrays the recorder has, by its own account.
        self.recorded = 0
        node = ros.node("listener")
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 100)
        # Images themselves: a camera whose images nobody hears rests.
        for kind, topic, heard in (
            (Image, "/camera/image", self.images), (SkeletonArray, "/pose/skeletons", self.arrays)
        ):
            take = partial(self._take, heard)
            node.create_subscription(kind, topic, take, sensor("reliable", 100))

    @staticmethod
    def _take(heard: list[float], _: Any) -> None:
        heard.append(time.monotonic())

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.hardware_id == "/recorder":
                self.recorded = int({pair.key: pair.value for pair in status.values}["arrays"])

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that is to happen while the run goes on."""
        assert self.ros.spin_until(condition, 60), f"{what} took more than 60 s"
        assert self.process.poll() is None, self.process.communicate()

    def flows(self, heard: list[float], count: int = 10) -> None:
        """Wait for more messages."""
        before = len(heard)
        self.until(lambda: len(heard) >= before + count, f"{count} messages")

    def records(self, count: int = 10) -> None:
        """Wait until the recorder has more arrays."""
        before = self.recorded
        self.until(lambda: self.recorded >= before + count, f"{count} arrays in the bag")

    def pids(self) -> dict[str, int]:
        """Return node -> process."""
        found = {}
        parent = self.process.pid
        for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
            if name := re.search(r"__node:=(\w+)", Path(f"/proc/{pid}/cmdline").read_text()):
                found[name[1]] = pid
        return found

    def kill(self, name: str) -> None:
        """Kill a node, and wait until `up` has started it again; the others are what they were."""
        before = self.pids()
        os.kill(before[name], signal.SIGKILL)
        self.until(lambda: self.pids().get(name, before[name]) != before[name], f"a new {name}")
        after = self.pids()
        self.recorded = 0 if name == "recorder" else self.recorded
        assert {n: p for n, p in after.items() if n != name} == {n: p for n, p in before.items() if n != name}

    @property
    def bag(self) -> Path:
        return self.out / "skeletons" / "skeletons.mcap"

    def end(self) -> dict[str, Any]:
        """Ask for the end and return what `up` says about it."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 130, err
        assert "had to be killed" not in out
        return json.loads(out)


def longest(times: list[Any]) -> Any:
    """Return the longest gap."""
    return max(later - earlier for earlier, later in pairwise(times))


@pytest.fixture
def robot(tmp_path: Path, toy: str, ros: Any) -> Iterator[Robot]:
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(_CONFIG)
    command = [sys.executable, "-m", "pose_ros.cli", "up", str(config), "--output", str(out), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    made = Robot(ros, process, out)
    try:
        made.flows(made.arrays)
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


def test_a_killed_estimator_comes_back_while_camera_and_recorder_go_on(robot: Robot) -> None:
    robot.records(1)
    robot.flows(robot.images)
    seen = len(robot.images)
    robot.kill("pose")
    robot.flows(robot.arrays)
    robot.flows(robot.images)
    robot.records()
    assert longest(robot.images[seen - 1:]) < longest(robot.arrays), "images did not wait for it"
    assert {n["node"]: n["restarts"] for n in robot.end()["nodes"]}["/pose"] == 1
    with AnyReader([robot.out / "skeletons"]) as reader:
        stamps = [t for c, t, _ in reader.messages() if c.topic == "/pose/skeletons"]
    assert len(stamps) > 10, "the recorder has those from before and after"
    assert longest(stamps) > 0.5e9


def test_a_killed_camera_comes_back_and_is_heard_by_those_who_heard_it_before(robot: Robot) -> None:
    robot.kill("camera")
    robot.flows(robot.images)
    robot.flows(robot.arrays)
    nodes = {n["node"]: n for n in robot.end()["nodes"]}
    assert {name: node["restarts"] for name, node in nodes.items()} == {"/camera": 1, "/pose": None, "/recorder": None}


def test_a_killed_recorder_leaves_a_bag_that_is_named_unfinished_and_begins_another(robot: Robot) -> None:
    robot.until(lambda: robot.bag.exists() and b"pose_ros/msg/SkeletonArray" in robot.bag.read_bytes(), "a saved bag")
    robot.kill("recorder")
    robot.until(lambda: (robot.out / "skeletons.unfinished1").exists() and robot.bag.exists(), "another bag")
    robot.records()
    with pytest.raises(SourceError, match=r"skeletons\.mcap was not written to its end.*`mcap recover "):
        BagReader(robot.out / "skeletons.unfinished1")
    robot.end()
    with AnyReader([robot.out / "skeletons"]) as reader:
        assert reader.message_count > 10
