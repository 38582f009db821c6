# SPDX-License-Identifier: Apache-2.0
"""A flood of broken messages: the pose node answers every good image between them, and its log stays readable."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from fuzzing import KINDS, Kind, broken
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

#: Broken messages between two good images, and good images.
EACH, GOOD = 40, 15


@pytest.fixture
def flooded(scene):
    """A scene with publishers of broken images, calibrations and depth images."""
    made = scene(depth_topic="/depth/image", depth=100, depth_wait=0.0)
    images = made.camera(qos=100)
    infos = made.other.create_publisher(CameraInfo, "camera_info", QoSProfile(depth=10))
    depths = made.other.create_publisher(Image, "/depth/image", QoSProfile(depth=10))
    raw = Kind([one for one in KINDS["depth"].examples if isinstance(one, Image)], lambda _: None)

    def flood(dice: random.Random) -> None:
        for _ in range(EACH):
            message = broken(KINDS["Image"], dice)
            message.header.frame_id, message.header.stamp = "camera", made.image().header.stamp
            images.publish(message)
            infos.publish(broken(KINDS["CameraInfo"], dice))
            depths.publish(broken(raw, dice))

    return made, flood


def test_good_images_between_broken_ones_are_answered(flooded, ros, capfd):
    made, flood = flooded
    dice = random.Random(1)
    for _ in range(GOOD):
        flood(dice)
        good = made.image(subjects=2)
        made._camera.publish(good)
        ros.spin_until(lambda wanted=good.header.stamp: any(a.header.stamp == wanted for a in made.arrays), 20.0)
        answer = [a for a in made.arrays if a.header.stamp == good.header.stamp]
        assert answer, "a good image was not answered"
        assert len(answer[0].skeletons) == 2
    status, values = made.diagnostics()
    assert int(values["failed"]) > GOOD * EACH // 4
    assert status.level == status.WARN
    assert values["last_error"]
    said = capfd.readouterr().err
    # What differs only in numbers is said once in half a minute; without that there would be hundreds of lines.
    lines = [line for line in said.splitlines() if "[WARN]" in line]
    assert 0 < len(lines) < GOOD * EACH // 4, said
    # The stub breaks where an image happens to tell it to.
    faults = [line for line in lines if "fault in the software" in line]
    assert all("the stub was told to break" in line for line in faults), faults
