# SPDX-License-Identifier: Apache-2.0
"""The pose node with real networks: one model gives way to another, and a person has hands and a face."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import cv2
import numpy as np
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.srv import SetModel
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

import pose_ros
from pose_ros.media.calibration import guess_camera
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.images import rgb_to_image
from pose_ros.ros.qos import LATCHED


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


def test_hands_and_face_of_a_person_are_linked_placed_and_named(models, scene, ros, testdata):
    rgb = np.ascontiguousarray(cv2.imread(str(testdata / "body2d/coco_mini/000000109313.jpg"))[..., ::-1])
    scene = scene(model="blazepose-full", hands__model="mediapipe-hand-landmark-full",
                  faces__model="mediapipe-face-mesh-iris", tf_prefix="robot1/", threads=1)
    got, infos = {}, {}
    topics = {"body": "skeletons", "hands": "hands/skeletons", "faces": "faces/skeletons"}
    for name, topic in topics.items():
        scene.other.create_subscription(SkeletonArray, f"/pose/{topic}", lambda m, n=name: got.update({n: m}), 10)
        info = f"/pose/{topic.removesuffix('skeletons')}skeleton_info"
        scene.other.create_subscription(SkeletonInfo, info, lambda m, n=name: infos.update({n: m}), LATCHED)
    scene.other.create_subscription(TFMessage, "/tf", lambda m: got.update(tf=m), 10)
    assert ros.spin_until(lambda: infos.keys() == topics.keys(), 30)
    outputs = scene.node._switch.worker._outputs
    assert ros.spin_until(outputs._tf.get_subscription_count)
    header = Header(frame_id="camera")
    header.stamp.sec = 5
    size_wh = (rgb.shape[1], rgb.shape[0])
    calibration = scene.other.create_publisher(CameraInfo, "camera_info", 1)
    assert ros.spin_until(calibration.get_subscription_count)
    calibration.publish(camera_to_info(guess_camera(size_wh, 1.0), header))
    assert ros.spin_until(lambda: scene.node._switch.worker._surroundings.calibration.known)
    scene.send(rgb_to_image(rgb, header))
    assert ros.spin_until(lambda: got.keys() == {*topics, "tf"})

    body, hands, faces = (pose_ros.view(got[name], infos[name]) for name in topics)
    (person,), (face,) = body, faces
    left, right = sorted(hands.of(person.id), key=lambda hand: hand.side)
    assert (left.side, right.side, face.parent_id) == ("left", "right", person.id)
    for hand in (left, right):
        assert np.linalg.norm(hand["wrist"] - person[f"{hand.side}_wrist"]) < 25
        # Hand and body are placed on their own, from one picture: nearer to one another than an arm is long.
        assert np.linalg.norm(hand.point("wrist") - person.point(f"{hand.side}_wrist")) < 0.7
    assert 0 <= face.measure("mouth_opening") < 0.5
    frames = {t.child_frame_id: t for t in got["tf"].transforms}
    ids = {f"robot1/body_{person.id}/nose", f"robot1/hand_{left.id}/wrist", f"robot1/face_{face.id}",
           f"robot1/gaze_{face.id}"}
    assert ids <= frames.keys()
    assert not any(name.startswith("robot1/face_") and "/" in name.removeprefix("robot1/") for name in frames)
    placed = frames[f"robot1/face_{face.id}"]
    assert (placed.header, placed.header.frame_id) == (header, "camera")
    turn = placed.transform.rotation
    np.testing.assert_allclose([turn.x, turn.y, turn.z, turn.w], face.frame("face")[3:], atol=1e-6)
    assert 1 - 2 * (turn.y**2 + turn.z**2) > 0.2, "the man looks to the right of the picture, and x is where he looks"
