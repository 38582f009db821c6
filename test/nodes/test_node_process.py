# SPDX-License-Identifier: Apache-2.0
"""A node as a process: how it ends, and what the exit code says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

ROOT = Path(__file__).parents[2]
NODE = """
import sys
from rclpy.node import Node
from pose_ros.errors import ConfigError, SourceError
from pose_ros.nodes.run import run

class Ending(Node):
    def __init__(self, context, stop):
        super().__init__("ending", context=context)
        self.how, self.stop = sys.argv[1], stop
        if self.how == "no source":
            raise SourceError("clip.mp4", "is gone")
        if self.how == "no config":
            raise ConfigError("rate", "is odd")
        self.timer = self.create_timer(0.01, self.tick)

    def tick(self):
        self.timer.cancel()
        print("ready", flush=True)
        if self.how == "bug":
            raise RuntimeError("a bug in a callback")
        if self.how.isdigit():
            self.stop(int(self.how))

    def close(self):
        print("closed", self.context.ok(), flush=True)

sys.exit(run(Ending, []))
"""


def start(how: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", NODE, how], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [("0", 0, ""), ("1", 1, ""), ("no source", 1, "source 'clip.mp4': is gone"), ("no config", 2, "rate: is odd"),
     ("bug", 1, "a bug in a callback")],
)
def test_exit_codes(how: str, code: int, said: str) -> None:
    process = start(how)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert said in out + err
    assert ("closed True" in out) == (not how.startswith("no "))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_in_order(number: signal.Signals) -> None:
    with start("when told") as process:
        assert process.stdout.readline() == "ready\n"
        # A terminal and a launcher may both send it.
        process.send_signal(number)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert out == "closed True\n", "the context was still valid"
    assert (process.returncode, err) == (0, "")


def test_waiting_for_the_end_takes_no_memory(ros):
    """The executor adds a callback with every turn of its loop."""
    from pose_ros.nodes.run import _Ended

    ended, turns = _Ended(executor=ros.executor), []
    node = ros.node()
    node.create_timer(0.001, lambda: turns.append(len(ended._callbacks)) if len(turns) < 50 else ended.set_result(None))
    ros.executor.spin_until_future_complete(ended, timeout_sec=30)
    assert ended.done()
    assert turns == [1] * 50
