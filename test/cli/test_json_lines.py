# SPDX-License-Identifier: Apache-2.0
"""``pose-ros up --log-format json``: every line on stderr is an object."""

from __future__ import annotations

import json

import pytest

from pose_ros.cli.live import Display


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"severity": "INFO", "message": "a"}', {"severity": "INFO", "message": "a"}),
        ('said "so"', {"severity": "UNKNOWN", "node": "/pose", "event": "output", "message": 'said "so"'}),
    ],
)
def test_lines_of_nodes(capsys, line, expected):
    Display(live=True, as_json=True).line("/pose", line)
    assert json.loads(capsys.readouterr().err) == expected


def test_how_nodes_do(capsys):
    pytest.importorskip("rclpy", reason="the monitor needs ROS 2")
    from pose_ros.cli.monitor import Watched
    from pose_ros.cli.node_spec import NodeSpec

    watched = Watched(NodeSpec("pose", "", "pose_node", {}))
    watched.told({"state": "active", "model": "stub", "dropped": "3"})
    Display(live=True, as_json=True).draw([watched])
    said = json.loads(capsys.readouterr().err)
    assert said.pop("stamp") > 1e9
    assert said == {"severity": "INFO", "node": "/pose", "event": "status", "plugin": "pose_node", "state": "active",
                    "model": "stub", "dropped": 3}
