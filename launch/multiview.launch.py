# SPDX-License-Identifier: Apache-2.0
"""Skeletons in metres from several calibrated cameras.

``ros2 launch pose_ros multiview.launch.py params_file:=/my/cameras.yaml`` starts the nodes of a file such as
``config/multiview.yaml``: one for each camera, and one that fuses what they say; ``--show-args`` lists what can be
given.
"""

from launch import LaunchDescription
from pose_ros.cli.launching import describe


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    return describe("multiview.yaml", one_camera=False, rviz="multiview.rviz", fixed_frame="world")
