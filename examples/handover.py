# SPDX-License-Identifier: Apache-2.0
"""Bring a gripper to the hand that is held out to it, as fast as the distance to people allows.

    python3 examples/handover.py

Publishes ``gripper_target``, a hand's breadth before the palm, and ``speed_scale`` for the robot's controller: 1 free,
0.3 slow, 0 stop. What is not heard for 0.2 s means stop. This is no safety function.
"""

import time

import rclpy
from geometry_msgs.msg import PoseStamped
from pose_ros.msg import HandoverArray, Separation, SeparationArray
from rclpy.node import Node
from std_msgs.msg import Float64

STANDOFF_M, PATIENCE_S = 0.1, 0.2
SCALES = {Separation.ZONE_FREE: 1.0, Separation.ZONE_SLOW: 0.3, Separation.ZONE_STOP: 0.0}


class Gripper(Node):
    """Follows the best valid handover."""

    def __init__(self):
        """Stand still until something is known."""
        super().__init__("gripper")
        self.scale, self.target, self.zone_at, self.target_at = 0.0, None, 0.0, 0.0
        self.create_subscription(SeparationArray, "manipulation/separation", self.obey, 5)
        self.create_subscription(HandoverArray, "manipulation/handovers", self.choose, 5)
        self.targets = self.create_publisher(PoseStamped, "gripper_target", 5)
        self.scales = self.create_publisher(Float64, "speed_scale", 5)
        self.create_timer(0.05, self.move)

    def obey(self, separations):
        """Take the most severe zone; one that is unknown is STOP already."""
        self.scale, self.zone_at = SCALES[separations.zone], time.monotonic()

    def choose(self, array):
        """Take the first handover, which is the best one, while it is valid."""
        if array.handovers and array.handovers[0].valid:
            best = array.handovers[0]
            self.target, self.target_at = PoseStamped(header=array.header, pose=best.pose.pose), time.monotonic()
            for axis in "xyz":
                ahead = getattr(self.target.pose.position, axis) - STANDOFF_M * getattr(best.approach, axis)
                setattr(self.target.pose.position, axis, ahead)

    def move(self):
        """Say where to go and how fast, 20 times a second."""
        now = time.monotonic()
        scale = self.scale if now - self.zone_at < PATIENCE_S else 0.0
        self.scales.publish(Float64(data=scale))
        if scale and now - self.target_at < PATIENCE_S:
            self.targets.publish(self.target)


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(Gripper())
