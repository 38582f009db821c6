# SPDX-License-Identifier: Apache-2.0
"""Body skeletons in metres, from the topics of a camera that measures depth.

``ros2 launch pose_ros rgbd.launch.py image_topic:=/my/image depth_topic:=/my/depth`` starts the nodes of
``config/rgbd.yaml``; ``--show-args`` lists what can be given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("rgbd.yaml", depth=True, rviz="rgbd.rviz", fixed_frame="camera_color_optical_frame")
