# SPDX-License-Identifier: Apache-2.0
"""The pose node with depth: metres against the truth of a scene, and what is said when depth fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from depth_room import (
    BODY,
    COLOUR,
    DEPTH,
    STEP_NS,
    DepthRoom,
    cloud,
    compressed,
    header,
    points,
    stamp_of,
    transform,
)
from geometry_msgs.msg import TransformStamped
from pose_ros.msg import SkeletonArray
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rclpy.time import Time
from scenes import EPOCH_NS, Person, line, posed, stand
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.poses import Source
from pose_ros.nodes.player_node import PlayerNode
from pose_ros.ros import outputs
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.images import image_to_rgb

#: Half of the keypoints of a standing person, and all of them, are nearer to the truth, metres.
MEDIAN, WORST = 0.03, 0.09


@pytest.fixture
def room(scene):
    return lambda **arguments: DepthRoom(scene, **arguments)


def assert_right(room, array):
    errors = room.errors(array)[:, BODY]
    assert len(errors) == 1
    assert np.median(errors) < MEDIAN
    assert errors.max() < WORST
    assert np.isfinite(np.reshape(array.skeletons[0].covariances, (-1, 9))[BODY]).all()


def assert_no_points(array):
    """A skeleton is there all the same."""
    assert len(array.skeletons) == 1
    assert np.isfinite(array.skeletons[0].keypoints).all()
    assert np.isnan(points(array)).all()


def topics(node):
    return {subscription.topic_name for subscription in node.subscriptions}


KINDS = {
    "16UC1": {},
    "32FC1": {"millimetres": False},
    "compressedDepth": {"make": compressed, "topic": "depth/image/compressedDepth"},
    "PointCloud2": {"make": cloud, "topic": "depth/points"},
}


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "beside"])
@pytest.mark.parametrize("kind", KINDS)
def test_points_are_where_the_joints_are(room, kind, registered):
    room = room(registered=registered, **KINDS[kind])
    for _ in range(3):
        array = room.moment()
    assert array.header.frame_id == COLOUR.name
    assert stamp_of(array) == room.stamp_ns
    assert_right(room, array)
    assert (np.array(array.skeletons[0].sources)[BODY] == Source.MEASURED).all()
    assert array.stage_names[:2] == ["transport", "convert"]
    assert {"match", "depth", "filter"} <= set(array.stage_names)
    status, values = room.scene.diagnostics()
    assert (status.level, values["depth_matched"], values["depth_missed"]) == (b"\x00", "3", "0")


def test_pictures_and_frames_are_those_of_the_points(room, ros):
    room = room(annotated_rate=0.0)
    drawn, frames = [], []
    room.scene.other.create_subscription(Image, "/pose/image_annotated", drawn.append, 10)
    room.scene.other.create_subscription(TFMessage, "/tf", frames.append, 10)
    outputs = room.scene.node._switch.worker._outputs
    assert ros.spin_until(lambda: all(p.get_subscription_count() for p in (outputs._tf, outputs._annotated)))
    array = room.moment()
    assert ros.spin_until(lambda: drawn and frames)
    assert drawn[-1].header == array.header
    assert np.count_nonzero(image_to_rgb(drawn[-1])[60:]) > 500
    found = {t.child_frame_id: t for t in frames[-1].transforms}
    wrist = found["body_1/left_wrist"]
    assert wrist.header == array.header
    place = wrist.transform.translation
    np.testing.assert_allclose((place.x, place.y, place.z), points(array)[0, 9], atol=1e-6)
    assert "body_1" in found


def test_what_came_after_the_image_is_drawn_too(room, ros, monkeypatch):
    """The first camera_info may come while the model works."""
    cameras = []

    def drawn(image, *args, camera, **kwargs):
        cameras.append(camera)
        return image

    monkeypatch.setattr(outputs, "annotate", drawn)
    monkeypatch.setattr(outputs, "poses_to_markers", lambda poses, header, camera, *args, **kwargs: (
        cameras.append(camera) or []))
    room = room(annotated_rate=0.0)
    room.scene.other.create_subscription(Image, "/pose/image_annotated", lambda _: None, 10)
    room.scene.other.create_subscription(MarkerArray, "/pose/markers", lambda _: None, 10)
    worker = room.scene.node._switch.worker
    mine = worker._outputs
    assert ros.spin_until(lambda: all(p.get_subscription_count() for p in (mine._markers, mine._annotated)))
    frame = worker._surroundings.frame
    monkeypatch.setattr(worker._surroundings, "frame", lambda *args: replace(frame(*args), camera=None))
    assert_right(room, room.moment())
    assert ros.spin_until(lambda: len(cameras) == 2)
    assert all(camera is not None for camera in cameras)


def no_measurement(message):
    message.data = bytes(len(message.data))
    return message


def a_picture(message):
    message.encoding = "rgb8"
    return message


def without_xyz(message):
    for field in message.fields:
        field.name = f"normal_{field.name}"
    return message


def in_frame(message, frame_id):
    message.header.frame_id = frame_id
    return message


def later(message):
    message.header.stamp = Time(nanoseconds=stamp_of(message) + 300_000_000).to_msg()
    return message


BAD = {
    "holes only": ({}, {"depth": no_measurement}, "has no measurement"),
    "another stamp": ({}, {"depth": later}, "ms after the image, expected at most 20.0 ms"),
    "none comes": ({}, {"depth": None}, "no depth has come yet"),
    "a picture": ({}, {"depth": a_picture}, "encoding 'rgb8' is no depth image"),
    "another shape": ({"size_wh": (320, 180), "depth_info": False}, {}, "it is 320x180, the image is 320x240"),
    "zeros for K": ({"registered": False}, {"depth_k": False}, "expected positive focal lengths, got 0 and 0"),
    "no camera_info of depth": ({"registered": False, "depth_info": False}, {}, "set depth_info_topic"),
    "no camera_info of colour": ({"info": False}, {}, "the colour camera is not calibrated"),
    "cloud without positions": ({"make": cloud}, {"depth": without_xyz}, "expected fields x, y, z"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_depth_costs_points_and_nothing_else(room, kind):
    """Twice bad, and the reason stands in diagnostics and once in the log; then good, where that mends it."""
    setting, spoiled, expected = BAD[kind]
    room = room(**setting)
    for _ in range(2):
        assert_no_points(room.moment(**spoiled))
    status, values = room.scene.diagnostics()
    assert (status.level, status.message) == (b"\x01", status.message)
    assert expected in status.message
    assert values["state"] == "active"
    assert (values["processed"], values["failed"]) == ("2", "0")
    room.scene.said(expected)
    if spoiled:
        for _ in range(2):
            array = room.moment()
        assert_right(room, array)
        assert room.scene.diagnostics()[0].level == b"\x00"


def test_depth_of_another_frame_waits_for_tf(room, ros):
    room = room(registered=False, tf=False)
    for _ in range(2):
        assert_no_points(room.moment())
    # Nobody is blamed before TF had a chance to be heard.
    assert room.scene.node._surroundings.lacks == ""
    ros.spin_for(1.0)
    assert_no_points(room.moment())
    expected = f"no transform from '{DEPTH.name}' to '{COLOUR.name}'"
    assert expected in room.scene.diagnostics()[0].message
    room.place()
    assert ros.spin_until(lambda: np.isfinite(points(room.moment())[:, BODY]).all())
    assert_right(room, room.moment())
    room.scene.said(expected)


@pytest.mark.parametrize("nothing", [np.inf, -np.inf, np.nan, 0.0, -1.0])
def test_a_hole_of_any_kind_over_a_hand_costs_that_hand(room, nothing):
    def spoiled(message):
        image = np.frombuffer(bytes(message.data), np.float32).reshape(message.height, message.width).copy()
        image[~np.isfinite(image)] = nothing
        x, y = np.rint(COLOUR.camera.project(room.truth(stamp_of(message))[0, 9])).astype(int)
        image[y - 12 : y + 13, x - 12 : x + 13] = nothing
        message.data = image.tobytes()
        return message

    room = room(millimetres=False)
    for _ in range(2):
        array = room.moment(depth=spoiled)
    assert array.skeletons[0].sources[9] != Source.MEASURED
    errors = np.delete(room.errors(array)[0], 9)[BODY]
    assert np.nanmax(errors) < WORST
    assert room.scene.diagnostics()[0].level == b"\x00"


def test_who_stands_behind_another_one_is_not_measured_on_him(room):
    """The network is sure of all keypoints of both."""
    room = room(people=[Person(stand((2.3, 0.0), np.pi), 1.75, 0.0, gait=0.0),
                        Person(stand((3.0, 0.12), np.pi), 1.7, 0.0, gait=0.0)])  # fmt: skip
    for _ in range(2):
        array = room.moment()
    assert len(array.skeletons) == 2
    depths = points(array)[:, BODY, 2]
    order = np.argsort([skeleton.box[2] - skeleton.box[0] for skeleton in array.skeletons])
    behind, before = depths[order[0]], depths[order[1]]
    assert np.nanmax(np.abs(before - 2.3)) < 0.2
    assert np.isfinite(behind).sum() >= 4
    assert np.nanmin(behind) > 2.7


@pytest.mark.parametrize("size_wh", [(160, 120), (640, 480)])
def test_registered_depth_of_another_resolution(room, size_wh):
    room = room(size_wh=size_wh)
    for _ in range(2):
        array = room.moment()
    assert_right(room, array)


def test_depth_of_another_shape_has_its_own_calibration(room):
    room = room(size_wh=(320, 180))
    for _ in range(2):
        array = room.moment()
    errors = room.errors(array)[:, BODY]
    assert np.isfinite(errors).sum() == 10  # it does not see the ankles
    assert np.nanmax(errors) < WORST


def test_depth_that_comes_after_its_image_is_waited_for(room, ros):
    room = room(depth_wait=2.0)
    room.moment()
    stamp = room.stamp_ns + STEP_NS
    room.infos(stamp)
    ros.spin_for(0.05)
    arrays = room.scene.arrays
    room.image.publish(room.colour_message(stamp))
    ros.spin_for(0.1)
    assert len(arrays) == 1
    room.depth.publish(room.depth_message(stamp))
    assert ros.spin_until(lambda: len(arrays) == 2)
    assert_right(room, arrays[-1])


def test_depth_that_never_comes_is_not_waited_for_for_ever(room):
    room = room(depth_wait=0.5)
    waited = []
    for _ in range(5):
        array = room.moment(depth=None)
        assert_no_points(array)
        waited.append(dict(zip(array.stage_names, array.stage_ms, strict=True))["match"])
    # After three of them nothing is expected any more ...
    assert all(ms > 400 for ms in waited[:3])
    assert all(ms < 300 for ms in waited[3:])
    # ... until the first one comes.
    assert_right(room, room.moment())
    values = room.scene.diagnostics()[1]
    assert (values["depth_matched"], values["depth_missed"]) == ("1", "5")


def test_a_node_without_depth_hears_neither_depth_nor_tf_and_waits_for_nothing(room):
    room = room(topic="")
    array = room.moment()
    assert "match" not in array.stage_names
    assert topics(room.scene.node) == {"/camera_info", "/image"}
    assert not {"depth_matched", "depth_missed"} & room.scene.diagnostics()[1].keys()


def test_registered_depth_needs_no_tf_and_is_heard_while_somebody_listens(room, ros):
    room = room()
    assert_right(room, room.moment())
    assert topics(room.scene.node) == {"/camera_info", "/depth/camera_info", "/image", "/depth/image"}
    room.scene.other.destroy_subscription(next(
        s for s in room.scene.other.subscriptions if s.topic_name == "/pose/skeletons"
    ))
    assert ros.spin_until(lambda: not room.depth.get_subscription_count())


def test_a_bag_that_plays_again(room):
    room = room()
    for _ in range(6):
        room.moment()
    room.stamp_ns = EPOCH_NS
    array = room.moment()
    assert array.ended_ids.tolist() == [1]
    assert_right(room, array)
    for second in (20, 0):
        assert_right(room, room.moment(stamp_ns=EPOCH_NS + second * 10**9 + STEP_NS))


def test_a_bag_with_depth_that_comes_later_than_images(room, ros, tmp_path):
    """Played by player_node, as `pose-ros up config/rgbd.yaml --source BAG` does."""
    room = room(depth=100, reliability="reliable", depth_wait=1.0)
    stamps = [EPOCH_NS + STEP_NS * i for i in range(1, 16)]
    with BagWriter(tmp_path / "bag") as bag:
        for topic, kind in (("/image", Image), ("/camera_info", CameraInfo), ("/depth/image", Image)):
            bag.add(topic, kind)
        for stamp in stamps:
            info = camera_to_info(COLOUR.camera, header(stamp, COLOUR.name))
            for topic, message, late_ns in (("/camera_info", info, 0), ("/image", room.colour_message(stamp), 10**5),
                                            ("/depth/image", room.depth_message(stamp), 10**7)):
                bag.write(topic, serialize_message(message), stamp + late_ns)
    parameters = [Parameter("source", value=str(tmp_path / "bag")), Parameter("wait_for_subscribers", value=3)]
    player = ros.add(PlayerNode(context=ros.context, parameter_overrides=parameters))
    try:
        assert ros.spin_until(lambda: len(room.scene.arrays) == len(stamps))
    finally:
        player.close()
    assert [stamp_of(array) for array in room.scene.arrays] == stamps
    for array in room.scene.arrays[1:]:
        assert_right(room, array)
    assert room.scene.diagnostics()[1]["depth_matched"] == str(len(stamps))


def test_options_of_depth_and_of_the_filter_change_while_it_runs(room):
    room = room(filter__kind="none")
    raw = room.moment()
    assert_right(room, raw)
    assert all(r.successful for r in room.scene.set(rgbd__max_range=1.0))
    assert_no_points(room.moment())
    assert all(r.successful for r in room.scene.set(rgbd__max_range=10.0, filter__kind="kalman"))
    assert_right(room, room.moment())
    assert not room.scene.set(filter__kind="average")[0].successful
    assert not room.scene.set(rgbd__max_range=-1.0)[0].successful
    # What is missing is held by the filter, for a while.
    held = room.moment(depth=None)
    assert_right(room, held)
    assert (np.array(held.skeletons[0].sources)[BODY] == Source.HELD).all()
    for _ in range(9):
        array = room.moment(depth=None)
    assert_no_points(array)


# A camera that moves.

def on_a_robot(at_s):
    """Return where the camera is after some seconds: it drives to the right at 0.6 m/s, and shakes its head."""
    y = -0.6 * at_s
    return posed(COLOUR.name, (0, y, 1.2), (4, y + 0.6 * np.sin(15 * at_s), 0.95), (320, 240))


def tf_of(camera, stamp_ns) -> TransformStamped:
    return transform("odom", camera.name, camera.rotation.T, camera.centre, stamp_ns)


def drive(room, moments, tf_ahead_ns=0):
    """Play moments of a camera that moves, and say to TF where it is."""
    arrays = []
    for _ in range(moments):
        stamp = room.stamp_ns + STEP_NS
        room.colour = on_a_robot((stamp - EPOCH_NS) * 1e-9)
        room.depth_camera = room.colour
        moves = [tf_of(on_a_robot((at - EPOCH_NS) * 1e-9), at) for at in (stamp, stamp + tf_ahead_ns)]
        room.tf.publish(TFMessage(transforms=moves))
        arrays.append(room.moment())
    return arrays


@pytest.mark.parametrize("fixed", [True, False])
def test_who_stands_before_a_camera_that_moves(room, ros, fixed):
    """In the frame of the floor the person stands still; in that of the camera the filter has to follow."""
    room = room(**({"filter__filtering_frame": "odom"} if fixed else {}), filter__acceleration=0.2)
    if fixed:
        drive(room, 1)
        assert ros.spin_until(room.tf.get_subscription_count)
    errors = []
    for array in drive(room, 14)[6:]:
        room.colour = on_a_robot((stamp_of(array) - EPOCH_NS) * 1e-9)
        errors.append(room.errors(array)[:, BODY])
        assert np.isfinite(np.reshape(array.skeletons[0].covariances, (-1, 9))[BODY]).all()
    if fixed:
        assert np.median(errors) < MEDIAN
        # Calm: what is left of the noise from one image to the next.
        assert np.abs(np.diff(errors, axis=0)).max() < 0.03
        assert room.scene.diagnostics()[0].level == b"\x00"
    else:
        assert np.median(errors) > MEDIAN


def test_a_filtering_frame_that_tf_does_not_know(room, ros):
    room = room(filter__filtering_frame="odom")
    room.moment()
    ros.spin_for(1.0)
    assert_right(room, room.moment())
    expected = f"filter.filtering_frame: no transform from '{COLOUR.name}' to 'odom'"
    assert expected in room.scene.diagnostics()[0].message
    room.scene.said(expected)


def test_a_filtering_frame_can_be_chosen_while_it_runs(room, ros):
    room = room()
    room.moment()
    assert "/tf" not in topics(room.scene.node)
    assert all(r.successful for r in room.scene.set(filter__filtering_frame="odom"))
    assert ros.spin_until(lambda: room.scene.node._switch.worker.pipeline.space.filter.options.filtering_frame)
    assert_right(room, room.moment())
    assert "/tf" in topics(room.scene.node)


# Where everybody is by now.

def test_prediction_to_now(room, ros, monkeypatch):
    """Points hold for the stamp of the array; pictures keep that of the image."""
    walker = [Person(line((3.4, 0.0), (2.0, 0.0)), 1.75, 1.2, gait=0.0)]  # as if on a belt
    late_ns = 100_000_000
    room = room(people=walker, filter__predict_to_now=True, annotated_rate=0.0, hands__model="stub-hand")
    drawn, hands = [], []
    room.scene.other.create_subscription(SkeletonArray, "/pose/hands/skeletons", hands.append, 100)
    room.scene.other.create_subscription(Image, "/pose/image_annotated", drawn.append, 10)
    monkeypatch.setattr(
        room.scene.node.get_clock(), "now", lambda: Time(nanoseconds=room.stamp_ns + late_ns)
    )
    now, asked = room.scene.node._surroundings.now, []
    monkeypatch.setattr(room.scene.node._surroundings, "now", lambda frame: asked.append(frame) or now(frame))
    assert ros.spin_until(room.scene.node._switch.worker._outputs._annotated.get_subscription_count)
    for _ in range(20):
        array = room.moment()
    assert stamp_of(array) == room.stamp_ns + late_ns
    assert ros.spin_until(lambda: drawn and stamp_of(drawn[-1]) == room.stamp_ns)
    # All that is said of one moment has one stamp; depth was asked for once, for bodies and hands.
    assert ros.spin_until(lambda: hands and hands[-1].header == array.header)
    assert room.scene.diagnostics()[1]["depth_matched"] == "20"
    assert len(asked) == 20
    trunk = [5, 6, 11, 12]
    ahead = np.median(room.errors(array)[:, trunk])
    then = np.linalg.norm(points(array) - room.truth(room.stamp_ns), axis=2)
    assert ahead < 0.06
    assert np.median(then[:, trunk]) > 0.08
    assert all(r.successful for r in room.scene.set(filter__predict_to_now=False))
    plain = room.moment()
    assert stamp_of(plain) == room.stamp_ns
    grown, before = (np.trace(np.reshape(a.skeletons[0].covariances, (-1, 3, 3))[5]) for a in (array, plain))
    assert grown > 1.5 * before


def test_prediction_of_a_camera_that_moves_is_seen_from_where_it_is_by_then(room, ros, monkeypatch):
    room = room(filter__filtering_frame="odom", filter__predict_to_now=True)
    monkeypatch.setattr(
        room.scene.node.get_clock(), "now", lambda: Time(nanoseconds=room.stamp_ns + 9 * 10**8)
    )
    drive(room, 1, tf_ahead_ns=STEP_NS)
    assert ros.spin_until(room.tf.get_subscription_count)
    array = drive(room, 12, tf_ahead_ns=STEP_NS)[-1]
    # TF knows the camera for 1/30 s more, and stands still for a little longer: nobody knows where it is in a second.
    ahead = stamp_of(array) - room.stamp_ns
    assert STEP_NS <= ahead <= STEP_NS + 60_000_000
    room.colour = on_a_robot((room.stamp_ns + STEP_NS - EPOCH_NS) * 1e-9)
    assert np.median(room.errors(array)[:, BODY]) < MEDIAN
