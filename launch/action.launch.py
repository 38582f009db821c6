# SPDX-License-Identifier: Apache-2.0
"""What people do, by their skeletons, from a camera driver's topics.

``ros2 launch pose_ros action.launch.py image_topic:=/my/image_raw`` starts the nodes of ``config/action.yaml``;
``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("action.yaml", rviz="action.rviz")
