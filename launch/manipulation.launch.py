# SPDX-License-Identifier: Apache-2.0
"""Handovers and separations of a robot arm, from the topics of a camera with depth.

``ros2 launch pose_ros manipulation.launch.py image_topic:=/my/image depth_topic:=/my/depth`` starts the nodes of
``config/manipulation.yaml``; ``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("manipulation.yaml", depth=True, rviz="manipulation.rviz", fixed_frame="base_link")
