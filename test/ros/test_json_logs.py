# SPDX-License-Identifier: Apache-2.0
"""Logs as JSON: every line of a process is an object, whatever stands in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.ros.json_logs import lines

_NODE = """
import os, sys
from rclpy.node import Node
from pose_ros.nodes.run import run
from pose_ros.ros.health import Health

def make(context, stop):
    node = Node("one", namespace="/robot", context=context)
    node.get_logger().info('it said "no"\\nand a path C:\\\\x {name} \\u00e9')
    Health(node, "x").fail(ValueError("bad"))
    print("from a library", file=sys.stderr)
    os.write(2, b"from C")
    stop(0)
    return node

sys.exit(run(make))
"""


def test_what_a_process_says(tmp_path):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "POSE_ROS_LOG_FORMAT": "json", "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
                   "ROS_LOG_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", _NODE], env=environment, capture_output=True, text=True, timeout=60,
                         check=True)
    said = [json.loads(line) for line in ran.stderr.splitlines()]
    first, fault = said[0], said[1]
    assert first.pop("stamp") > 1e9
    assert first == {"severity": "INFO", "node": "robot.one", "event": "log",
                     "message": 'it said "no"\nand a path C:\\x {name} é'}
    assert (fault["severity"], fault["node"], fault["event"]) == ("WARN", "robot.one", "error")
    assert "fault in the software: ValueError: bad" in fault["message"]
    assert "Traceback" in fault["message"] or "ValueError" in fault["message"]
    assert [s["message"] for s in said[2:] if s["event"] == "output"] == ["from a library", "from C"]


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_records_in_pieces(cut):
    text = "plain\n\x1eWARN\x1f12.5\x1fpose.clock\x1fa\nb\x1d\nno end\x1eINFO\x1f13.0\x1fpose\x1fc\x1d\n"
    made, rest = lines(text[:cut])
    more, rest = lines(rest + text[cut:])
    assert [json.loads(line) for line in made + more] == [
        {"severity": "UNKNOWN", "event": "output", "message": "plain"},
        {"stamp": 12.5, "severity": "WARN", "node": "pose", "event": "clock", "message": "a\nb"},
        {"severity": "UNKNOWN", "event": "output", "message": "no end"},
        {"stamp": 13.0, "severity": "INFO", "node": "pose", "event": "log", "message": "c"},
    ]
    assert rest == ""
