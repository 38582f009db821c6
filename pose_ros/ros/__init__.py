# SPDX-License-Identifier: Apache-2.0
"""Translation between ROS and the core; only this room and ``nodes`` know rclpy, parameters and messages."""
