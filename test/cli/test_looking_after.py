# SPDX-License-Identifier: Apache-2.0
"""`pose-ros up` as a lifecycle manager: it brings nodes up in order, and starts again what has died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

_CONFIG = """\
/**:
  ros__parameters:
    process: {managed: true, restart: 2, restart_delay: 0.2}
first:
  ros__parameters: {plugin: pose_node, model: toy}
second:
  ros__parameters: {plugin: pose_node, model: toy}
"""


@pytest.fixture
def config(tmp_path: Path, toy: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG)
    return path


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator:
    started = []

    def run(*argv: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "pose_ros.cli", "up", *map(str, argv), "--log-dir", str(tmp_path / "log"),
                   "--json"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


class Logs:
    """What the nodes have said and when, by their own clock."""

    def __init__(self, folder: Path, process: subprocess.Popen):
        self._folder, self._process = folder, process

    def when(self, name: str, words: str) -> list[float]:
        """Return when a node said these words."""
        path = self._folder / f"{name}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [float(line.split("[")[2].strip("] ")) for line in lines if words in line]

    def wait_for(self, name: str, words: str, count: int = 1) -> list[float]:
        until = time.monotonic() + 60
        while len(found := self.when(name, words)) < count:
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < until, f"{name} did not say '{words}' in 60 s"
            time.sleep(0.05)
        return found


def children(process: subprocess.Popen) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in listed]


def test_nodes_come_up_in_order_come_back_after_death_and_go_down_in_the_end(config, spawn, tmp_path):
    process = spawn(config)
    logs = Logs(tmp_path / "log", process)
    assert logs.wait_for("first", "works on") < logs.wait_for("second", "works on")

    victim = next(pid for pid in children(process) if b"__node:=first" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(victim, signal.SIGKILL)
    logs.wait_for("first", "works on", 2)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130, err
    assert "/first: [WARN] died (ended by SIGKILL), starts again in 0.2 s (1 of 2)" in err
    assert {n["node"]: n["restarts"] for n in json.loads(out)["nodes"]} == {"/first": 1, "/second": None}
    assert logs.when("second", "deactivated") < logs.when("first", "deactivated")


def test_who_dies_too_often_ends_the_run(config, spawn):
    # Nobody can live with a rule that is none.
    process = spawn(config, "--set", "first.process.restart=1", "--set", "second.process.restart=9",
                    "--remap", "__node:=no name at all")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(out)["why"] == "/first has ended by itself (exit code 1)"


def test_who_refuses_to_be_configured_ends_the_run_with_the_reason(config, spawn):
    process = spawn(config, "--set", "second.hands.model=toy")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "/second refuses to configure: hands.model: expected an estimator" in json.loads(out)["why"]


def test_a_node_waits_longer_after_each_death_and_a_wrong_configuration_is_no_accident(monkeypatch, tmp_path):
    from pose_ros.cli import household
    from pose_ros.cli.node_spec import NodeSpec

    clock = [1000.0]
    monkeypatch.setattr(household.time, "monotonic", lambda: clock[0])
    spec = NodeSpec("pose", "", "pose_node", {"process.restart": 3, "process.restart_delay": 8.0})
    member = household.household([spec], tmp_path, tmp_path, None)["/pose"]

    def die(code=-9, life_s=1.0):
        member.child, member._born = type("Dead", (), {"code": code}), clock[0]
        clock[0] += life_s
        return member.dies()

    assert [die(), die(), die(), die()] == [
        "died (ended by SIGKILL), starts again in 8 s (1 of 3)",
        "died (ended by SIGKILL), starts again in 16 s (2 of 3)",
        "died (ended by SIGKILL), starts again in 30 s (3 of 3)",
        "",
    ]
    assert "(1 of 3)" in die(life_s=61.0)  # a long life clears the count
    assert die(code=2) == ""
    assert not member.due
    member.child = None
    clock[0] += 8.0
    assert member.due
