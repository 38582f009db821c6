# SPDX-License-Identifier: Apache-2.0
"""Body skeletons and a web page that shows them, from a camera driver's topics.

``ros2 launch pose_ros web.launch.py image_topic:=/my/image_raw`` starts the nodes of ``config/web.yaml``;
``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("web.yaml")
