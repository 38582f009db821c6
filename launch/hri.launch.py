# SPDX-License-Identifier: Apache-2.0
"""People as REP-155 (ROS4HRI) tells of them, below /humans, from a camera driver's topics.

``ros2 launch pose_ros hri.launch.py image_topic:=/my/image_raw`` starts the nodes of ``config/hri.yaml``;
``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("hri.yaml", rviz="hri.rviz")
