# SPDX-License-Identifier: Apache-2.0
"""Body skeletons in metres, from the topics of one camera without depth.

``ros2 launch pose_ros lifted.launch.py image_topic:=/my/image_raw`` starts the nodes of ``config/lifted.yaml``;
``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("lifted.yaml")
