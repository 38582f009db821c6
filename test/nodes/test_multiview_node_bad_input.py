# SPDX-License-Identifier: Apache-2.0
"""The multi-view node stays alive, goes on with the cameras that are of use, and says what is wrong with the others."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from multiview_room import NAMES, RIG, Room, standing
from tf2_msgs.msg import TFMessage

from pose_ros.multiview.files import write_rig
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.nodes import managed, viewpoint

A, B, C = NAMES


@pytest.fixture
def room(ros, capfd, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    monkeypatch.setattr(viewpoint, "_PASSING_S", 0.2)
    made = []

    def make(**options):
        made.append(Room(ros, capfd, **options))
        return made[-1].listen()

    yield make
    for one in made:
        one.node.close()


def good(room, array, views=2):
    """Return whether both people are where they are, each keypoint seen by so many cameras at most."""
    return (
        np.nanmedian(room.errors(array)) < 0.05 and len(array.skeletons) == 2
        and max(max(s.views) for s in array.skeletons) == views
    )


def left_out(room, name, words):
    message, _ = room.status(name)
    assert words in message, message
    assert f"{name}" in room.status()[0]


def test_a_camera_that_dies_is_missed_and_comes_back(room, monkeypatch):
    monkeypatch.setattr(viewpoint, "_SILENT_S", 0.5)
    room = room()
    assert good(room, room.play(10)[-1], 3)
    ids = {s.track_id for s in room.arrays[-1].skeletons}
    arrays = room.play(45, (A, B))  # 1.5 s
    assert len(arrays) > 20
    assert good(room, arrays[-1])
    left_out(room, C, "no skeletons for ")
    left_out(room, C, f"publishes /{C}/pose/skeletons, but nothing arrives; does it work?")
    assert room.status()[1]["cameras"] == "2 of 3"
    assert good(room, room.play(10)[-1], 3)
    assert room.status(C)[0] == "used"
    assert {s.track_id for s in room.arrays[-1].skeletons} == ids


def test_who_leaves_ends_and_has_no_frames_any_more(room):
    room, tf = room(tracker__max_lost=0.3), []
    room.other.create_subscription(TFMessage, "/tf", tf.append, 100)
    room.ros.spin_for(0.2)
    room.play(10)
    ids = {s.track_id for s in room.arrays[-1].skeletons}
    room.gone = {int(room.recording.shots[0].true_ids[0])}
    tf.clear()
    arrays = room.play(15)
    assert [len(a.skeletons) for a in arrays] == [1] * 15
    (stays,) = {s.track_id for a in arrays for s in a.skeletons}
    assert stays in ids
    # Its id ends once, and nothing is said of it meanwhile.
    assert [i for a in arrays for i in a.ended_ids] == [*(ids - {stays})]
    frames = {t.child_frame_id.partition("/")[0] for message in tf for t in message.transforms}
    assert f"body_{stays}" in frames
    assert {int(frame.rpartition("_")[2]) for frame in frames} == {stays}
    room.gone = set()
    back = room.play(5)[-1]
    assert good(room, back, 3)
    assert not {s.track_id for s in back.skeletons} & (ids - {stays})
    room.gone = {*room.recording.shots[0].true_ids.tolist()}
    arrays = room.play(15)
    assert [len(a.skeletons) for a in arrays] == [0] * 15, "an empty room is said, not silence"
    assert {i for a in arrays for i in a.ended_ids} == {s.track_id for s in back.skeletons}


def test_a_camera_without_a_transform_is_left_out_until_it_comes(room):
    room = room(tf=False)
    room.place(A, B)
    assert good(room, room.play()[-1])
    left_out(room, C, f"no transform from 'world' to '{C}_optical_frame'")
    left_out(room, C, f"nobody publishes '{C}_optical_frame'; TF has")
    assert f"{C} is left out" in room.said()
    room.place(C)
    room.ros.spin_for(0.2)
    assert good(room, room.play()[-1], 3)
    assert room.status(C)[0] == "used"


def test_without_any_transform_the_reason_is_told(room):
    room = room(tf=False, watchdog=0.2)
    assert room.play() == []
    message, values = room.status()
    assert re.match(r"nothing could be fused for \d+ s: ", message)
    assert "nothing was heard on /tf and /tf_static" in message
    assert values["cameras"] == "0 of 3"


def test_a_camera_that_moves_waits_for_its_transforms(room):
    """A robot's localisation is slower than its cameras: 0.1 s later, and ten times a second."""
    room = room(tf=False, tf_wait=1.0)
    room.place(A, B)
    camera = room.rig.cameras[2]
    moving = room.other.create_publisher(TFMessage, "/tf", 100)
    assert room.ros.spin_until(moving.get_subscription_count)
    ticks = room.recording.ticks()

    def localise(stamp_ns):
        moving.publish(TFMessage(transforms=[standing(camera, stamp_ns, room.frames[C])]))
        room.ros.spin_for(0.05)

    localise(ticks[0][0].stamp_ns)
    assert len(room.play(5)) == 2  # those within the reach of the only transform
    localise(ticks[5][0].stamp_ns)
    assert room.ros.spin_until(lambda: len(room.arrays) == 5)
    assert all(good(room, array, 3) for array in room.arrays)


def test_two_cameras_of_one_frame_are_left_out(room):
    room = room(watchdog=0.2)
    room.frames[B] = room.frames[A]
    for array in room.play():
        assert all(len(s.views) == 0 or max(s.views) < 2 for s in array.skeletons)
    left_out(room, A, f"its images are of frame '{A}_optical_frame', and those of {B} too")
    left_out(room, B, "give every camera driver a frame_id of its own")
    room.frames[B] = f"{B}_optical_frame"
    assert good(room, room.play()[-1], 3)


def test_an_uncalibrated_camera_is_left_out(room):
    room = room()
    room.infos[B].k = np.zeros(9)
    assert good(room, room.play()[-1])
    left_out(room, B, "expected positive focal lengths, got 0 and 0: the camera is not calibrated")


def test_a_camera_without_camera_info_is_left_out(room):
    room = room(camera_info_topic="/{camera}/info")
    room.play()
    left_out(room, A, f"no camera_info yet: nobody publishes /{A}/info; camera_info that are published: /{A}/camera_")


def test_an_image_of_another_size_than_its_calibration_is_told(room):
    room = room()
    room.infos[A].width, room.infos[A].height = 640, 360
    assert good(room, room.play()[-1])
    left_out(room, A, "camera_info: describes images of 640x360, got one of 1280x720")


def test_other_skeletons_are_left_out_or_converted(room):
    room = room()
    room.skeletons[B] = "body25"
    assert good(room, room.play()[-1])
    left_out(room, B, "its skeletons are body25, those of the others coco17")
    left_out(room, B, "set parameter skeleton")


def test_other_skeletons_are_converted_where_that_is_asked_for(room):
    room = room(skeleton="coco17")
    room.skeletons[B] = "body25"
    array = room.play()[-1]
    assert array.schema == "coco17"
    assert good(room, array, 3)


def test_skeletons_that_cannot_be_converted_are_told(room):
    room = room(skeleton="hand21", watchdog=0.2)
    assert room.play() == []
    left_out(room, A, "its skeletons are coco17: ")


@pytest.mark.parametrize(
    ("offset_ns", "words"),
    [
        (-12_300_000_000, "its stamps are 12.3 s behind those of the others"),
        (12_300_000_000, "its stamps are 12.3 s ahead of those of the others"),
        (-300_000_000, "its stamps are 0."),
    ],
    ids=["behind", "ahead", "a little"],
)
def test_clocks_that_differ_are_told(room, offset_ns, words):
    room = room()
    room.offset_ns[C] = offset_ns
    assert good(room, room.play(40)[-1])
    left_out(room, C, words)
    left_out(room, C, "synchronise the clocks")


def test_a_clock_that_is_a_little_late_is_told_by_what_moves(room):
    room = room()
    room.offset_ns[C] = 30_000_000
    room.play(60)
    message, values = room.status(C)
    assert "ms too late beside those of the others" in message
    assert "calibrate" not in message
    assert 10 < float(values["clock_late_ms"]) < 40
    assert "ms too" not in room.status(A)[0]


def test_when_time_runs_backwards_tracks_end(room):
    room = room()
    room.play(10)
    ids = {s.track_id for s in room.arrays[-1].skeletons}
    room._ticks = iter(room.recording.ticks())
    arrays = room.play(5)
    assert good(room, arrays[-1], 3)
    assert ids == {i for array in arrays for i in array.ended_ids}
    assert not ids & {s.track_id for s in arrays[-1].skeletons}
    assert "time ran backwards" in room.said()


def test_a_camera_with_another_pose_than_tf_says_is_found_out(room):
    room = room()
    other = room.rig.cameras[0]
    turned = type(other)(other.name, other.camera, other.rotation, other.translation + np.array([0.4, 0.2, 0]))
    room._static.publish(TFMessage(transforms=[standing(turned, 0, room.frames[A])]))
    room.ros.spin_for(0.2)
    arrays = room.play(30)
    assert good(room, arrays[-1])
    left_out(room, A, "it was moved, or its calibration or its transform is wrong; calibrate it again")


def test_a_broken_message_ends_nothing(room):
    room = room()
    room.play(2)
    arrays = room._publishers[A][0]
    message = room.arrays[-1]
    message.header.frame_id = room.frames[A]
    message.skeletons[0].keypoints = message.skeletons[0].keypoints[:5]
    arrays.publish(message)
    room.ros.spin_for(0.1)
    assert good(room, room.play()[-1], 3)


def test_pieces_read_their_options_anew(room):
    from rclpy.parameter import Parameter

    room = room()
    node = room.node
    fusing = node._fusing
    values = {"sync.tolerance": 0.07, "fuser.speed": 0.7, "association.reach": 0.2, "triangulation.limit": 5.0,
              "tracker.predict": 0.3, "filter.acceleration": 3.0, "min_score": 0.5}
    results = node.set_parameters([Parameter(name, value=value) for name, value in values.items()])
    assert all(result.successful for result in results)
    fuser = fusing.fusion.fuser
    assert fusing.sync.options.tolerance == 0.07
    assert (fuser.options.speed, fuser.association.reach, fuser.triangulation.limit) == (0.7, 0.2, 5.0)
    assert fusing.fusion.tracker.options.predict == 0.3
    assert fusing.fusion.smoother.options.acceleration == 3.0
    assert not node.set_parameters([Parameter("filter.filtering_frame", value="odom")])[0].successful
    assert not node.set_parameters([Parameter("sync.tolerance", value=7.0)])[0].successful


def test_services_pause_and_end_tracks(room, ros):
    from std_srvs.srv import SetBool, Trigger

    room = room()
    room.play(5)
    ids = {s.track_id for s in room.arrays[-1].skeletons}
    reset = room.other.create_client(Trigger, "/multiview/reset")
    enable = room.other.create_client(SetBool, "/multiview/enable")
    assert ros.spin_until(lambda: reset.service_is_ready() and enable.service_is_ready())

    def call(client, request):
        future = client.call_async(request)
        assert ros.spin_until(future.done)
        return future.result()

    assert call(reset, Trigger.Request()).success
    assert {i for array in room.play(3) for i in array.ended_ids} == ids
    assert call(enable, SetBool.Request(data=False)).message.startswith("paused")
    assert ros.spin_until(lambda: not room.node._fusing.listening)
    assert ros.spin_until(lambda: room.status()[0] == "paused")
    assert call(enable, SetBool.Request(data=True)).success
    room.listen()
    assert room.play(5)
    assert room.node.trigger_deactivate().name == "SUCCESS"
    assert room.play(3) == []
    assert room.node.trigger_cleanup().name == "SUCCESS"


def test_images_of_another_size_than_the_calibration_file_says_are_told(room, tmp_path):
    from scenes import camera

    other = [PosedCamera(c.name, camera((320, 240)) if c.name == B else c.camera, c.rotation, c.translation)
             for c in RIG]  # fmt: skip
    write_rig(Rig(other), tmp_path / "rig.toml")
    room = room(tf=False, calibration=str(tmp_path / "rig.toml"))
    assert good(room, room.play()[-1])
    left_out(room, B, "its calibration is for images of 320x240 pixels, they have 640x480")
