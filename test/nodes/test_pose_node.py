# SPDX-License-Identifier: Apache-2.0
"""The pose node on good images: what it publishes, and to whom."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from pose_ros.msg import SharedImage, SkeletonArray, SkeletonInfo
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from pose_ros.ros.images import image_to_rgb, rgb_to_compressed
from pose_ros.ros.shared import SharedWriter

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def estimator(scene):
    return scene.node._switch.worker.pipeline.source.estimator


def info_for(message):
    info = CameraInfo(header=message.header, width=message.width, height=message.height, distortion_model="plumb_bob")
    info.k = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]
    return info


def test_an_array_is_complete(scene):
    scene = scene()
    message = scene.image(subjects=2)
    array = scene.send(message)
    assert (array.schema, array.model, array.image_width, array.image_height) == ("coco17", "stub", 64, 48)
    assert [s.track_id for s in array.skeletons] == [1, 2]
    np.testing.assert_array_equal(np.reshape(array.skeletons[1].keypoints, (17, 2))[3], (43, 3))
    assert array.stage_names == ["transport", "convert", "estimate", "track", "describe"]
    assert all(ms >= 0 for ms in array.stage_ms)


def test_an_image_without_subjects_gives_an_empty_array(scene):
    scene = scene()
    assert scene.send(scene.image(subjects=0)).skeletons == []


def test_every_image_is_answered_once_and_in_order(scene, ros):
    scene = scene(depth=100, reliability="reliable")
    camera = scene.camera()
    images = [scene.image(subjects=i % 3) for i in range(30)]
    for message in images:
        camera.publish(message)
    assert ros.spin_until(lambda: len(scene.arrays) >= 30)
    ros.spin_for(0.3)
    assert [a.header for a in scene.arrays] == [m.header for m in images]


def test_the_newest_image_wins_and_the_others_are_counted(scene, ros):
    scene = scene(estimator__delay=0.3)
    camera = scene.camera()
    images = [scene.image() for _ in range(6)]
    camera.publish(images[0])
    ros.spin_for(0.1)
    for message in images[1:]:
        camera.publish(message)
    assert ros.spin_until(lambda: len(scene.arrays) == 2)
    assert [a.header for a in scene.arrays] == [images[0].header, images[-1].header]
    assert (scene.node._health.received, scene.node._health.dropped) == (6, 4)


def test_who_comes_late_gets_the_skeleton_info(scene, ros):
    scene = scene()
    scene.send(scene.image())
    got = []
    ros.node("late").create_subscription(SkeletonInfo, "/pose/skeleton_info", got.append, LATCHED)
    assert ros.spin_until(lambda: got)
    ros.spin_for(0.2)
    assert [(i.name, i.model, len(i.keypoint_names)) for i in got] == [("coco17", "stub", 17)]


def test_no_work_while_nobody_listens(pose_node, ros):
    node = pose_node()
    other = ros.node("other")
    camera = other.create_publisher(Image, "image", 1)
    ros.spin_for(0.5)
    assert camera.get_subscription_count() == 0
    got = []
    listener = other.create_subscription(SkeletonArray, "/pose/skeletons", got.append, 10)
    assert ros.spin_until(camera.get_subscription_count)
    other.destroy_subscription(listener)
    assert ros.spin_until(lambda: not camera.get_subscription_count())
    assert node._switch.worker.pipeline.source.estimator.calls == 0
    statuses = []
    node._health._publisher.publish = statuses.append
    assert ros.spin_until(lambda: statuses)
    assert statuses[-1].status[0].message == "idle: nobody listens"


def test_extras_are_published_only_to_listeners_and_at_the_stamp_of_the_image(scene, ros):
    scene = scene(annotated_rate=0.0, tf_prefix="robot1/")
    message = scene.image()
    scene.send(message)
    got = {}
    topics = {"/tf": TFMessage, "/pose/markers": MarkerArray, "/pose/image_annotated": Image,
              "/pose/image_annotated/compressed": CompressedImage, "/pose/joint_states": JointState,
              "/pose/detections": Detection2DArray, "/pose/detections_3d": Detection3DArray}
    outputs = scene.node._switch.worker._outputs
    extras = ("_tf", "_joints", "_markers", "_annotated", "_compressed", "_detections", "_detections_3d")
    for name in extras:
        getattr(outputs, name).publish = lambda m, name=name: pytest.fail(f"{name} published to nobody")
    scene.send(scene.image())
    for name in extras:
        del getattr(outputs, name).publish
    for topic, kind in topics.items():
        scene.other.create_subscription(kind, topic, lambda m, topic=topic: got.setdefault(topic, m), 10)
    waited_for = (outputs._tf, outputs._joints, outputs._compressed, outputs._detections, outputs._detections_3d)
    assert ros.spin_until(lambda: all(p.get_subscription_count() for p in waited_for))
    message = scene.image()
    scene.send(message)
    assert ros.spin_until(lambda: got.keys() == topics.keys())
    transforms = got["/tf"].transforms
    assert {t.header.stamp.nanosec for t in transforms} == {message.header.stamp.nanosec}
    assert "robot1/body_1/nose" in [t.child_frame_id for t in transforms]
    assert {m.header.stamp.nanosec for m in got["/pose/markers"].markers} == {message.header.stamp.nanosec}
    for topic in topics.keys() - {"/tf", "/pose/markers"}:
        assert got[topic].header == message.header
    for topic in ("/pose/detections", "/pose/detections_3d"):
        assert [d.id for d in got[topic].detections] == ["body_1"]
    assert "robot1/body_1/left_elbow_flexion" in got["/pose/joint_states"].name
    assert image_to_rgb(got["/pose/image_annotated"]).any()


def test_chosen_keypoints_that_nobody_has_are_named_once(scene, ros, capfd):
    scene = scene(tf_keypoints=["left_wrist", "left_wirst"], tf_frames="none")
    got = []
    scene.other.create_subscription(TFMessage, "/tf", got.append, 10)
    scene.camera()
    assert ros.spin_until(scene.node._switch.worker._outputs._tf.get_subscription_count)
    for _ in range(2):
        scene.send(scene.image())
    assert ros.spin_until(lambda: len(got) > 1)
    assert {t.child_frame_id for t in got[-1].transforms} == {"body_1/left_wrist"}
    said = [line for line in capfd.readouterr().err.splitlines() if "tf_keypoints" in line]
    assert len(said) == 1
    assert "no skeleton has 'left_wirst'; did you mean 'left_wrist'" in said[0]


def test_annotated_images_are_limited_in_rate(scene, ros):
    scene = scene(annotated_rate=0.001)
    got = []
    scene.other.create_subscription(Image, "/pose/image_annotated", got.append, 10)
    scene.camera()
    assert ros.spin_until(lambda: scene.node._switch.worker._outputs._annotated.get_subscription_count())
    for _ in range(3):
        scene.send(scene.image())
    ros.spin_for(0.2)
    assert len(got) == 1


def test_tf_alone_is_a_listener_once_the_camera_is_calibrated(pose_node, ros):
    pose_node()
    other = ros.node("other")
    got = []
    other.create_subscription(TFMessage, "/tf", got.append, 10)
    camera, info = other.create_publisher(Image, "image", 1), other.create_publisher(CameraInfo, "camera_info", 1)
    assert ros.spin_until(info.get_subscription_count)
    ros.spin_for(0.3)
    assert camera.get_subscription_count() == 0
    info.publish(info_for(Image(width=64, height=48)))
    assert ros.spin_until(camera.get_subscription_count)


@pytest.mark.parametrize(
    "parameters", [{"image_topic": "image/compressed"}, {"image_transport": "compressed"},
                   {"image_topic": "image/compressed", "image_transport": "compressed"}]
)
def test_compressed_images_are_chosen_as_image_transport_names_them(scene, parameters):
    scene = scene(**parameters)
    scene.camera("image/compressed", CompressedImage)
    raw = scene.image()
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:8, :8] = (2, 2, 2)
    array = scene.send(rgb_to_compressed(rgb, raw.header, format="png"))
    assert (len(array.skeletons), array.image_width) == (2, 64)


@pytest.mark.parametrize("parameters", [{"image_topic": "image/shared"}, {"image_transport": "shared"}])
def test_shared_images_are_answered_and_bad_ones_named(scene, parameters, tmp_path):
    scene = scene(**parameters)
    camera, memory, raw = scene.camera("image/shared", SharedImage), SharedWriter(), scene.image()
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:8, :8] = (2, 2, 2)
    try:
        array = scene.send(memory.write(rgb, raw.header))
    finally:
        memory.close()
    assert (len(array.skeletons), array.image_width) == (2, 64)
    camera.publish(SharedImage(memory="pose_ros_images_0123456789abcdef"))
    assert scene.ros.spin_until(lambda: scene.node._health.failed == 1)
    scene.said("set image_transport to 'raw'")


def test_enable_pauses_and_goes_on(scene, ros):
    scene = scene()
    camera = scene.camera()
    assert scene.call(SetBool, "enable", data=False).success
    assert ros.spin_until(lambda: not camera.get_subscription_count())
    assert scene.diagnostics()[1]["state"] == "paused"
    assert scene.call(SetBool, "enable", data=True).success
    assert ros.spin_until(camera.get_subscription_count)
    scene.send(scene.image())


def test_reset_ends_the_tracks_once(scene):
    scene = scene()
    assert scene.send(scene.image(subjects=2)).ended_ids.tolist() == []
    assert scene.call(Trigger, "reset").success
    array = scene.send(scene.image(subjects=2))
    assert (array.ended_ids.tolist(), [s.track_id for s in array.skeletons]) == ([1, 2], [3, 4])
    assert scene.send(scene.image(subjects=2)).ended_ids.tolist() == []


def test_life_cycle(scene, ros):
    scene = scene(autostart=False)

    def state():
        return scene.call(GetState, "get_state").current_state.id

    def change(transition):
        return scene.call(ChangeState, "change_state", transition=Transition(id=transition)).success

    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    assert change(Transition.TRANSITION_CONFIGURE)
    assert state() == State.PRIMARY_STATE_INACTIVE
    assert change(Transition.TRANSITION_ACTIVATE)
    assert state() == State.PRIMARY_STATE_ACTIVE
    camera = scene.camera()
    scene.send(scene.image())
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert ros.spin_until(lambda: not camera.get_subscription_count())
    assert len(scene.arrays) == 1  # nothing without an image
    assert change(Transition.TRANSITION_ACTIVATE)
    assert ros.spin_until(camera.get_subscription_count)
    array = scene.send(scene.image())
    assert (array.ended_ids.tolist(), array.skeletons[0].track_id) == ([1], 2)
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert change(Transition.TRANSITION_CLEANUP)
    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert state() == State.PRIMARY_STATE_FINALIZED


def test_diagnostics_say_what_is_going_on(scene):
    scene = scene()
    for _ in range(3):
        scene.send(scene.image(subjects=2))
    status, values = scene.diagnostics()
    assert (status.name, status.level, status.message) == ("pose: pipeline", b"\x00", "active")
    assert {k: values[k] for k in ("received", "processed", "dropped", "failed", "subjects", "model")} == {
        "received": "3", "processed": "3", "dropped": "0", "failed": "0", "subjects": "2", "model": "stub"
    }
    assert float(values["rate_hz"]) > 0
    assert float(values["latency_p95_ms"]) >= float(values["latency_p50_ms"]) > 0
    assert values.keys() >= {"inference_p50_ms", "device", "last_error", "detections"}
