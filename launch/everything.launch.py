# SPDX-License-Identifier: Apache-2.0
"""People with their hands and faces, and animals, from a camera driver's topics.

``ros2 launch pose_ros everything.launch.py image_topic:=/my/image_raw`` starts the nodes of ``config/everything.yaml``;
``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("everything.yaml", one_model=False, rviz="everything.rviz")
