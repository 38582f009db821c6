# SPDX-License-Identifier: Apache-2.0
"""`pose-ros up` with real nodes, over real ROS 2."""

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
camera:
  ros__parameters:
    plugin: camera_node
    source: demo:1
    wait_for_subscribers: 2
pose:
  ros__parameters:
    plugin: pose_node
    model: toy
    image_topic: camera/image
recorder:
  ros__parameters:
    plugin: recorder_node
"""

#: Images that come before a busy machine lets the first one be taken wait, too, where otherwise nobody counts them.
EVERY_IMAGE = ("--set=camera.depth=100", "--set=pose.depth=100", "--set=pose.reliability=reliable")


@pytest.fixture
def config(tmp_path: Path, toy: str) -> Path:
    """A composition of three nodes."""
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG)
    return path


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator:
    """Start `pose-ros up` in a process of its own."""
    started = []

    def run(*argv: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "pose_ros.cli", "up", *map(str, argv)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


def test_runs_until_the_source_ends_and_leaves_files_and_numbers(config, spawn, tmp_path):
    process = spawn(config, "--output", tmp_path / "out", "--json", *EVERY_IMAGE)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["exit_code"] == 0
    assert summary["why"] == "the source has ended"
    nodes = {n["node"]: n for n in summary["nodes"]}
    assert nodes["/camera"]["frames"] == 30
    assert (nodes["/pose"]["frames"], nodes["/pose"]["dropped"]) == (30, 0)
    assert nodes["/pose"]["subjects"] == 1
    assert nodes["/pose"]["model"] == "toy"
    assert nodes["/pose"]["device"].endswith("on cpu")
    assert 0 < nodes["/pose"]["latency_p50_ms"] <= nodes["/pose"]["latency_p95_ms"]
    names = {Path(f).name for f in summary["files"]}
    assert {"annotated.mkv", "annotated.png", "trajectories.png", "skeletons.mcap"} <= names
    assert all(Path(f).stat().st_size for f in summary["files"])
    assert {p.name for p in Path(summary["log"]).iterdir()} == {"camera.log", "pose.log", "recorder.log"}


def test_results_that_come_after_the_last_image_are_waited_for(config, spawn):
    """All images are there at once, and the model takes longer for each than nodes are silent between reports."""
    changes = ["camera.source=demo:0.1", "camera.pace=as_fast", "pose.depth=100", "pose.reliability=reliable",
               "pose.estimator.delay=1.3", "recorder.bag=false"]
    process = spawn(config, "--output", config.parent / "out", "--json", *(f"--set={c}" for c in changes))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    nodes = {n["node"]: n for n in json.loads(out)["nodes"]}
    assert nodes["/camera"]["frames"] == nodes["/pose"]["frames"] == 3


def test_ctrl_c_ends_all_nodes_in_order(config, spawn, tmp_path):
    out = tmp_path / "out"
    process = spawn(config, "--output", out, "--source", "demo:100", "--json")
    wait_for(lambda: (out / "annotated.unfinished.mkv").exists(), process)
    process.send_signal(signal.SIGINT)
    stdout, err = process.communicate(timeout=40)
    assert process.returncode == 130, err
    summary = json.loads(stdout)
    assert summary["why"] == "interrupted by SIGINT"
    assert "wrote into" in (out / "log" / "recorder.log").read_text()
    assert "killed" not in err
    assert running(config) == []


def test_a_node_that_dies_takes_the_others_along_and_says_why(config, spawn, tmp_path):
    process = spawn(config, "--output", tmp_path / "out", "--source", tmp_path / "gone.mp4")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "/camera has ended by itself (exit code 1)" in out
    assert "last words of /camera:" in err
    assert "no such file or folder" in err
    assert "Traceback" not in err
    assert running(config) == []


def test_a_model_that_does_not_load_ends_the_run_with_the_reason(config, spawn, tmp_path):
    # Only loading shows that it looks at whole images, and not at hands.
    process = spawn(config, "--output", tmp_path / "out", "--set", "pose.hands.model=toy")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "/pose cannot work: " in out
    assert "hands.model: expected an estimator that is told where to look" in out


def test_a_misspelt_key_is_2_before_anything_starts(config, cli):
    config.write_text(_CONFIG.replace("image_topic", "image_topik"))
    ran = cli("up", config)
    assert ran.code == 2
    assert "unknown parameter of /pose 'image_topik'; did you mean 'image_topic'" in ran.err
    assert not (config.parent / "out").exists()


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--set", "pose.model=toi"], 2, "did you mean 'toy'"),
        (["--set", "pos.model=toy"], 2, "did you mean 'pose'"),
        (["--set", "pose.model=blazepose-full"], 3, "pose-ros models fetch"),
        (["--set", "pose.hands.model=mediapipe-hand-landmark-full"], 3, "pose-ros models fetch"),
        (["--set", "pose.runtime=litert"], 3, "litert cannot read .onnx files"),
        (["--set", "pose.model=blazepose-full", "--offline"], 3, "pose-ros models fetch"),
    ],
)
def test_what_is_wrong_or_missing_is_said_before_anything_starts(config, cli, argv, code, words):
    ran = cli("up", config, *argv)
    assert ran.code == code
    assert words in ran.err


def test_a_source_without_a_camera_gets_one(tmp_path, toy, spawn):
    config = tmp_path / "config.yaml"
    config.write_text("pose: {ros__parameters: {plugin: pose_node, model: toy, image_topic: elsewhere}}")
    process = spawn(config, "--source", "demo:1", "--json", "--log-dir", tmp_path / "log", *EVERY_IMAGE)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    nodes = {n["node"]: n for n in json.loads(out)["nodes"]}
    assert nodes["/camera"]["frames"] == 30
    assert (nodes["/pose"]["frames"], nodes["/pose"]["dropped"]) == (30, 0)


def test_shipped_configurations_have_names(cli, toy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ran = cli("up", "demo", "--set", "pose.model=toi")
    assert ran.code == 2
    assert "did you mean 'toy'" in ran.err
    ran = cli("up", "dmo")
    assert ran.code == 2
    assert "unknown configuration 'dmo'; did you mean 'demo'" in ran.err
    assert "cannot be read" in cli("up", "dmo.yaml").err


def wait_for(condition, process):
    until = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "it took more than 30 s"
        time.sleep(0.05)


def running(config: Path) -> list[int]:
    """Return the processes whose command line names this configuration."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(config).encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
