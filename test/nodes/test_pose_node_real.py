# SPDX-License-Identifier: Apache-2.0
"""The pose node with real networks: BlazePose gives way to a detector with heat maps, and comes back."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import cv2
import numpy as np
from pose_ros.srv import SetModel
from std_msgs.msg import Header

from pose_ros.ros.images import rgb_to_image


def test_set_model_swaps_real_models_without_losing_a_stamp(models, scene, ros, testdata):
    rgb = cv2.imread(str(testdata / "body2d/coco_mini/000000000139.jpg"))[..., ::-1]
    scene = scene(model="blazepose-full", depth=1000, reliability="reliable", threads=1)
    camera = scene.camera()
    headers = []

    def publish():
        headers.append(Header(frame_id="camera"))
        headers[-1].stamp.sec, headers[-1].stamp.nanosec = divmod(len(headers) * 100_000_000, 10**9)
        camera.publish(rgb_to_image(np.ascontiguousarray(rgb), headers[-1]))

    timer = scene.other.create_timer(0.1, publish)
    assert ros.spin_until(lambda: len(scene.arrays) > 2)
    for model, schema in (("yolox-nano+simplepose-ultralight", "coco17"), ("blazepose-full", "mediapipe33")):
        response = scene.call(SetModel, "set_model", model=model)
        assert response.success, response.message
        assert ros.spin_until(lambda schema=schema: scene.arrays[-1].schema == schema)
    timer.cancel()
    assert ros.spin_until(lambda: len(scene.arrays) == len(headers), 30)
    assert [a.header for a in scene.arrays] == headers
    schemas = [a.schema for a in scene.arrays]
    changes = [new for old, new in zip(["", *schemas], schemas, strict=False) if old != new]
    assert changes == ["mediapipe33", "coco17", "mediapipe33"]
