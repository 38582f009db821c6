# SPDX-License-Identifier: Apache-2.0
"""The multi-view node on good input: what it publishes, and to whom."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from multiview_room import NAMES, RIG, Room
from pose_ros.msg import SkeletonInfo
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.errors import ConfigError
from pose_ros.multiview.files import write_rig
from pose_ros.nodes import managed
from pose_ros.ros.qos import LATCHED


@pytest.fixture
def room(ros, capfd, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(**options):
        made.append(Room(ros, capfd, **options))
        return made[-1]

    yield make
    for one in made:
        one.node.close()


def test_people_stand_where_they_are(room):
    room = room().listen()
    arrays = room.play(10)
    assert len(arrays) == 10
    array = arrays[-1]
    assert (array.schema, array.model, array.header.frame_id) == ("coco17", "multiview(model)", "world")
    assert sorted(s.track_id for s in array.skeletons) == [1, 2]
    errors = room.errors(array)
    assert np.nanmedian(errors) < 0.02
    assert np.isfinite(errors).mean() > 0.8
    first = array.skeletons[0]
    assert np.isnan(first.keypoints).all()
    assert max(first.views) == 3
    assert np.nanmax(first.reprojection_errors) < 8
    assert len(first.covariances) == 17 * 9
    assert array.stage_names == ["transport", "place", "fuse", "track", "filter", "describe"]
    stamps = [a.header.stamp.sec * 10**9 + a.header.stamp.nanosec for a in arrays]
    assert stamps == [shots[0].stamp_ns for shots in room.recording.ticks()[:10]]


def test_cameras_of_a_file_need_neither_camera_info_nor_tf(room, tmp_path):
    write_rig(RIG, tmp_path / "rig.toml")
    room = room(tf=False, calibration=str(tmp_path / "rig.toml"), world_frame="hall", cameras="").listen()
    array = room.play()[-1]
    assert array.header.frame_id == "hall"
    assert np.nanmedian(room.errors(array)) < 0.02


def test_no_work_while_nobody_listens(room, ros):
    room = room()
    ros.spin_for(0.3)
    assert not room.node._fusing.listening
    assert room.status()[0] == "idle: nobody listens"
    room.listen()
    assert room.node._fusing.listening
    assert room.play()
    room.other.destroy_subscription(next(s for s in room.other.subscriptions if "multiview" in s.topic_name))
    assert ros.spin_until(lambda: not room.node._fusing.listening)


def test_tf_markers_and_info_are_in_the_world(room, ros):
    room, got = room().listen(), {}
    for kind, topic in ((TFMessage, "/tf"), (MarkerArray, "/multiview/markers")):
        room.other.create_subscription(kind, topic, lambda m, topic=topic: got.update({topic: m}), 10)
    room.other.create_subscription(SkeletonInfo, "/multiview/skeleton_info", lambda m: got.update(info=m), LATCHED)
    ros.spin_for(0.2)
    array = room.play()[-1]
    assert ros.spin_until(lambda: len(got) == 3)
    transforms = {t.child_frame_id: t for t in got["/tf"].transforms}
    assert {t.header.frame_id for t in transforms.values()} == {"world"}
    assert {t.header.stamp.nanosec for t in transforms.values()} == {array.header.stamp.nanosec}
    assert "body_1/nose" in transforms
    labels = [m for m in got["/multiview/markers"].markers if m.ns == "metric/label"]
    assert min(m.pose.position.z for m in labels) > 1.5
    assert (got["info"].name, got["info"].model) == ("coco17", "multiview(model)")


def test_tf_alone_is_a_listener(room, ros):
    room = room()
    ros.spin_for(0.3)
    assert not room.node._fusing.listening
    room.other.create_subscription(TFMessage, "/tf", lambda m: None, 10)
    assert ros.spin_until(lambda: room.node._fusing.listening)
    # The node now hears TF itself, which must not keep it awake.
    room.other.destroy_subscription(next(s for s in room.other.subscriptions if s.topic_name == "/tf"))
    assert ros.spin_until(lambda: not room.node._fusing.listening)


def test_health_of_each_camera_is_told(room):
    room = room().listen()
    room.play(30)
    message, values = room.status()
    assert (message, values["cameras"]) == ("active", "3 of 3")
    assert float(values["latency_p50_ms"]) > 0
    message, values = room.status(NAMES[0])
    assert (message, values["frame_id"]) == ("used", f"{NAMES[0]}_optical_frame")
    assert 0 < float(values["reprojection_error_px"]) < 4
    assert float(values["rate_hz"]) > 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"cameras": "camera0"}, "expected at least two different names"),
        ({"cameras": "camera0, camera0"}, "expected at least two different names"),
        ({"cameras": "camera0, 1camera"}, "expected names as topics have them"),
        ({"skeletons_topic": "pose/skeletons"}, "expected '{camera}' in it"),
        ({"calibration": "nowhere.toml"}, "nowhere.toml: cannot be read"),
    ],
    ids=["one", "twice", "strange", "one topic", "no file"],
)
def test_what_does_not_fit_is_told(room, ros, parameters, words):
    room = room(**parameters)
    assert ros.spin_until(lambda: words in room.node._health.last_error)
    assert room.node._state == "unconfigured"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("camera", "left", "did you mean 'cameras'"),
        ("sync__tolerence", 0.1, "did you mean 'tolerance'"),
        ("filter__filtering_frame", "odom", "filtered in world_frame"),
    ],
)
def test_keys_that_do_not_fit_are_refused(room, key, value, words):
    with pytest.raises(ConfigError, match=words):
        room(**{key: value})
