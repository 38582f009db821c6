# SPDX-License-Identifier: Apache-2.0
"""The example of a consumer, run as a robot team would: it goes to hands that are held out, and stops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from geometry_msgs.msg import PoseStamped
from manipulation_cell import TIMELESS, Cell
from reaching import reach
from std_msgs.msg import Float64

EXAMPLE = Path(__file__).parents[2] / "examples" / "handover.py"


@pytest.fixture
def example():
    process = subprocess.Popen([sys.executable, EXAMPLE], stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_it_goes_to_the_palm_and_stops_when_nobody_says_that_it_may(ros, capfd, example):
    # People may be near a robot whose forces are limited; whoever comes nearer than 0.34 m makes it stand still.
    near = {"least_human_speed": 0.0, "sigmas": 0.0, "free_target": True, "reaction_time": 0.1, "slow_margin": 0.1}
    cell = Cell(ros, capfd, **{**TIMELESS, **near})
    try:
        targets, scales = [], []
        cell.other.create_subscription(PoseStamped, "/gripper_target", targets.append, 10)
        cell.other.create_subscription(Float64, "/speed_scale", lambda m: scales.append(m.data), 10)
        cell.listen()
        assert ros.spin_until(lambda: scales)
        assert (scales[-1], targets) == (0.0, [])
        for _ in range(20):
            cell.play(reach(), rate_hz=20.0)
            if targets:
                break
        target, handover = targets[-1], cell.handovers[-1].handovers[0]
        assert target.header.frame_id == "base_link"
        # Above the palm, which looks up.
        assert target.pose.position.z - handover.pose.pose.position.z == pytest.approx(0.1, abs=0.01)
        assert scales[-1] > 0
        assert ros.spin_until(lambda: scales[-1] == 0.0)
        assert example.poll() is None
    finally:
        cell.node.close()
