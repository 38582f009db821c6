# SPDX-License-Identifier: Apache-2.0
"""Measure what nodes cost while nobody needs them: processor, memory and images taken, state by state.

Each node is a process of its own; a camera shows a photograph at 30 Hz all the time. Its processor time and memory are
those of /proc, with the shares of the executor, of DDS and of the diagnostics that go out once a second.

    python benchmarks/idle.py
    python benchmarks/idle.py --cycles 20      # memory of a pose node that lives so many times
    python benchmarks/idle.py --sharing        # two pose nodes on one camera, in two processes and in one
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from pose_ros.msg import ActionArray, SkeletonArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pose_ros.benching.processes import cpu_s, private_mb

_ONE = "import sys; from pose_ros.nodes.start import start; sys.exit(start({!r}))"
_SEVERAL = "import sys; from pose_ros.nodes.start import together; sys.exit(together())"
_SIZE = (1280, 720)
_CAMERA = ["-p", "source:=demo:3600", "-p", f"width:={_SIZE[0]}", "-p", f"height:={_SIZE[1]}"]
_HEAR = ["-p", "image_topic:=camera/image", "-p", "camera_info_topic:=camera/camera_info"]
_CONFIGURE, _CLEANUP, _ACTIVATE, _DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP, Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
)


@contextmanager
def process(code: str, *words: str) -> Iterator[int]:
    """Run a process, and yield its id."""
    started = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGINT)
        started.wait()


class Watcher:
    """A node that drives the others and hears what they say."""

    def __init__(self) -> None:
        """Start."""
        rclpy.init()
        self.node = Node("watcher")
        #: Name of a node -> its newest diagnostics.
        self.values: dict[str, dict[str, str]] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._take, 50)
        executor = SingleThreadedExecutor()
        executor.add_node(self.node)
        threading.Thread(target=executor.spin, daemon=True).start()

    def _take(self, message: Any) -> None:
        for status in message.status:
            self.values[status.hardware_id.strip("/")] = {pair.key: pair.value for pair in status.values}

    def change(self, name: str, *transitions: int) -> None:
        """Lead a node through its life."""
        client = self.node.create_client(ChangeState, f"/{name}/change_state")
        client.wait_for_service()
        for transition in transitions:
            answer = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            while not answer.done():
                time.sleep(0.01)
            assert answer.result().success, f"{name} refuses transition {transition}"
        self.node.destroy_client(client)

    def received(self, name: str) -> int:
        """Return how many images a node has been given, those that it passed over left out."""
        values = self.values.get(name, {})
        return int(values.get("received", 0)) - int(values.get("dropped", 0))


def measure(watcher: Watcher, pid: int, names: Sequence[str], seconds: float) -> tuple[float, float, float, float]:
    """Return processor (percent of one), memory (MB), images taken (MB/s) and images per second of a process."""
    while not all(name in watcher.values for name in names):
        time.sleep(0.1)
    time.sleep(2.5)  # until what it was told to do is done, and told
    before, images, began = cpu_s(pid), sum(map(watcher.received, names)), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    rate = (sum(map(watcher.received, names)) - images) / took
    return 100 * (cpu_s(pid) - before) / took, private_mb(pid), rate * 3e-6 * _SIZE[0] * _SIZE[1], rate


def states(watcher: Watcher, seconds: float) -> None:
    """Print the table of nodes and states."""
    print(f"{'node':16}{'state':28}{'CPU %':>8}{'MB':>8}{'MB/s':>8}")
    with process(_ONE.format("camera_node"), "--ros-args", *_CAMERA) as camera:
        _row(watcher, "camera_node", "nobody listens", camera, ("camera",), seconds)
    watcher.values.clear()
    # Drivers of real cameras go on.
    with process(_ONE.format("camera_node"), "--ros-args", *_CAMERA, "-p", "rest_after:=0.0") as camera:
        _row(watcher, "camera_node", "nobody listens, never rests", camera, ("camera",), seconds)
        for plugin, name, words, kind in (
            ("pose_node", "pose", [*_HEAR, "-p", "model:=blazepose-full"], SkeletonArray),
            ("action_node", "action", [], ActionArray),
            ("multiview_node", "multiview", ["-p", "cameras:=[a, b, c, d]"], SkeletonArray),
        ):
            words += ["-p", "autostart:=false", "-p", "watchdog:=0.0"]
            with process(_ONE.format(plugin), "--ros-args", *words) as pid:
                _row(watcher, plugin, "unconfigured", pid, (name,), seconds)
                watcher.change(name, _CONFIGURE)
                _row(watcher, plugin, "inactive", pid, (name,), seconds)
                watcher.change(name, _ACTIVATE)
                _row(watcher, plugin, "active, nobody listens", pid, (name,), seconds)
                topic = f"/{name}/{'actions' if name == 'action' else 'skeletons'}"
                listener = watcher.node.create_subscription(kind, topic, lambda _: None, 10)
                state = "active" if name == "pose" else "active, nothing comes"
                _row(watcher, plugin, state, pid, (name,), seconds)
                if name == "pose":
                    _row(watcher, "camera_node", "one listens", camera, (), seconds)
                watcher.node.destroy_subscription(listener)
                watcher.change(name, _DEACTIVATE, _CLEANUP)
                _row(watcher, plugin, "unconfigured again", pid, (name,), seconds)


def _row(watcher: Watcher, plugin: str, state: str, pid: int, names: Sequence[str], seconds: float) -> None:
    cpu, memory, taken, _ = measure(watcher, pid, names, seconds)
    print(f"{plugin:16}{state:28}{cpu:8.1f}{memory:8.0f}{taken:8.1f}", flush=True)


def cycles(watcher: Watcher, count: int) -> None:
    """Print the memory of a pose node that was configured, worked and was cleaned up, again and again."""
    words = ["--ros-args", *_HEAR, "-p", "model:=blazepose-full", "-p", "autostart:=false"]
    with process(_ONE.format("camera_node"), "--ros-args", *_CAMERA), process(_ONE.format("pose_node"), *words) as pid:
        watcher.node.create_subscription(SkeletonArray, "/pose/skeletons", lambda _: None, 10)
        for cycle in range(count):
            watcher.change("pose", _CONFIGURE, _ACTIVATE)
            time.sleep(1.5)
            working = private_mb(pid)
            watcher.change("pose", _DEACTIVATE, _CLEANUP)
            threads = len(os.listdir(f"/proc/{pid}/task"))
            after = private_mb(pid)
            print(f"{cycle + 1:3}: {working:6.0f} MB at work, {after:6.0f} MB after cleanup, {threads} threads",
                  flush=True)


def sharing(watcher: Watcher, seconds: float) -> None:
    """Print what two pose nodes on one camera cost, in two processes and in one."""
    def words(name: str) -> list[str]:
        model = "blazepose-full" if name == "body" else "mediapipe-hand-landmark-full"
        return ["--ros-args", "-r", f"__node:={name}", *_HEAR, "-p", f"model:={model}"]

    names = ("body", "hand")
    listeners = [watcher.node.create_subscription(SkeletonArray, f"/{n}/skeletons", lambda _: None, 10) for n in names]
    print(f"{'':16}{'CPU %':>8}{'MB':>8}{'images/s':>10}{'CPU ms per image':>18}{'camera CPU %':>14}")
    for label, together in (("two processes", False), ("one process", True)) * 2:
        with process(_ONE.format("camera_node"), "--ros-args", *_CAMERA) as camera:
            if together:
                arguments = [w for name in names for w in ("pose_node", *words(name), "--")]
                with process(_SEVERAL, *arguments) as pid:
                    _shared(watcher, label, camera, {pid: names}, seconds)
            else:
                with process(_ONE.format("pose_node"), *words("body")) as one, \
                        process(_ONE.format("pose_node"), *words("hand")) as two:
                    _shared(watcher, label, camera, {one: ("body",), two: ("hand",)}, seconds)
        watcher.values.clear()
    for listener in listeners:
        watcher.node.destroy_subscription(listener)


def _shared(watcher: Watcher, label: str, camera: int, of: dict[int, Sequence[str]], seconds: float) -> None:
    while any(watcher.received(name) < 10 for names in of.values() for name in names):
        time.sleep(0.1)
    camera_before, began = cpu_s(camera), time.monotonic()
    before = {pid: (cpu_s(pid), sum(map(watcher.received, names))) for pid, names in of.items()}
    time.sleep(seconds)
    took = time.monotonic() - began
    cpu = sum(cpu_s(pid) - was for pid, (was, _) in before.items())
    images = sum(sum(map(watcher.received, names)) - before[pid][1] for pid, names in of.items())
    camera_cpu = 100 * (cpu_s(camera) - camera_before) / took
    print(f"{label:16}{100 * cpu / took:8.1f}{sum(map(private_mb, of)):8.0f}{images / took:10.1f}"
          f"{1000 * cpu / max(images, 1):18.1f}{camera_cpu:14.1f}", flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each state is watched")
    parser.add_argument("--cycles", type=int, default=0)
    parser.add_argument("--sharing", action="store_true")
    args = parser.parse_args()
    watcher = Watcher()
    if args.cycles:
        cycles(watcher, args.cycles)
    elif args.sharing:
        sharing(watcher, args.seconds)
    else:
        states(watcher, args.seconds)


if __name__ == "__main__":
    main()
