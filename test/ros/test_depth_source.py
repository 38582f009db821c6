# SPDX-License-Identifier: Apache-2.0
"""Which depth is taken for an image, how long it is waited for, and when depth and TF are heard at all."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from scenes import camera as ideal
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError
from pose_ros.rgbd.options import DepthOptions
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.depth_source import DepthSource, DepthSourceOptions
from pose_ros.ros.qos import sensor
from pose_ros.ros.surroundings import Surroundings, SurroundingsOptions
from pose_ros.tracking.point_filter import FilterOptions

COLOUR = ideal((8, 6))
S = 1_000_000_000


def header(stamp_ns, frame_id="colour"):
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, S)
    return made


def depth(stamp_ns, metres=2.0, frame_id="colour", size_wh=(8, 6)):
    values = np.full(size_wh[::-1], round(metres * 1000), np.uint16)
    message = Image(header=header(stamp_ns, frame_id), width=size_wh[0], height=size_wh[1], encoding="16UC1")
    message.step, message.data = 2 * size_wh[0], values.tobytes()
    return message


@dataclass
class Source:
    """A source, who publishes, and what it said."""

    ros: object
    other: object
    source: DepthSource
    publisher: object
    said: list

    def hear(self, *messages):
        for message in messages:
            count = self.source._buffer._count
            self.publisher.publish(message)
            assert self.ros.spin_until(lambda: self.source._buffer._count > count)  # noqa: B023

    def at(self, stamp_ns, wait_s=0.0):
        return self.source.at(header(stamp_ns), COLOUR, time.monotonic() + wait_s)


@pytest.fixture
def source(ros):
    def make(kind=Image, images=None, transform=lambda target, source, stamp: "no TF here", **options):
        options = DepthSourceOptions(**(options or {"depth_topic": "depth/image"}))
        said, other = [], ros.node("other")
        made = DepthSource(ros.node("node"), lambda: options, lambda: 0.02, transform, said.append,
                           images or sensor("reliable", 1))
        publisher = other.create_publisher(kind, options.depth_or_points_topic, 200)
        made.listen(True)
        assert ros.spin_until(publisher.get_subscription_count)
        return Source(ros, other, made, publisher, said)

    return make


def test_the_nearest_in_time_is_taken(source):
    source = source()
    source.hear(*(depth(S + 33_000_000 * i, metres=1 + i) for i in range(4)))
    found = source.at(S + 70_000_000)
    assert (found.image[0, 0], found.scale, found.stamp_ns, found.camera) == (3000, 0.001, S + 66_000_000, COLOUR)
    assert source.at(S + 200_000_000) is None
    assert source.said == ["depth: the nearest depth is 101.0 ms before the image, expected at most 20.0 ms; "
                           "synchronise the camera's streams, or raise max_time_difference if people move slowly"]
    assert source.source.counts == {"depth_matched": 1, "depth_missed": 1}


def test_as_many_are_kept_as_images_may_wait(source):
    """A bag is played faster than a network works: images wait, and their depth has to wait with them."""
    source = source(images=sensor("reliable", 100))
    source.hear(*(depth(S + 33_000_000 * i) for i in range(100)))
    assert source.at(S).stamp_ns == S


@pytest.mark.parametrize("jump_ns", [1_300_000_000, 100 * S])
def test_time_that_runs_backwards(source, jump_ns):
    source = source()
    source.hear(*(depth(S + jump_ns - 33_000_000 * i) for i in range(39, -1, -1)))
    source.hear(depth(S, metres=3))
    assert source.at(S).image[0, 0] == 3000
    source.hear(*(depth(S + 33_000_000 * i, metres=4) for i in range(1, 4)))
    assert source.at(S + 99_000_000).image[0, 0] == 4000


def test_depth_of_before_a_jump_is_no_reason_not_to_wait(source):
    source = source()
    source.hear(depth(100 * S))
    began = time.monotonic()
    assert source.at(S, wait_s=0.15) is None
    assert time.monotonic() - began > 0.14


def test_who_knows_enough_does_not_wait(source):
    source = source()
    source.hear(depth(S), depth(2 * S), depth(3 * S))
    began = time.monotonic()
    assert source.at(S, wait_s=5.0) is not None
    assert source.at(3 * S // 2, wait_s=5.0) is None  # what comes now is later
    assert time.monotonic() - began < 2.0


def test_depth_and_cloud_together_are_refused(ros):
    options = DepthSourceOptions(depth_topic="depth/image", points_topic="points")
    with pytest.raises(ConfigError, match="expected none beside depth_topic, got 'points' and 'depth/image'"):
        DepthSource(ros.node("node"), lambda: options, lambda: 0.02, lambda *a: "", print, sensor())


@pytest.mark.parametrize(
    ("kind", "options", "info"),
    [(Image, {"depth_topic": "/cam/depth/image_raw"}, "/cam/depth/camera_info"),
     (CompressedImage, {"depth_topic": "/cam/depth/image_raw/compressedDepth"}, "/cam/depth/camera_info"),
     (Image, {"depth_topic": "depth"}, "/camera_info"),
     (Image, {"depth_topic": "/a/depth", "depth_info_topic": "/b/info"}, "/b/info"),
     (PointCloud2, {"points_topic": "/cam/points"}, None)],
)
def test_where_calibrations_are_expected(source, kind, options, info):
    node = source(kind, **options).source._node
    topics = {s.topic_name for s in node.subscriptions} - {next(iter(options.values()))}
    assert ({info} if info else set()) <= topics
    assert sum("info" in topic for topic in topics) == bool(info)


def test_it_is_heard_only_while_it_is_wanted(source, ros):
    source = source()
    source.source.listen(False)
    assert ros.spin_until(lambda: not source.publisher.get_subscription_count())
    source.source.listen(True)
    assert ros.spin_until(source.publisher.get_subscription_count)
    source.source.close()
    assert ros.spin_until(lambda: not source.publisher.get_subscription_count())


def test_depth_of_another_camera_is_turned_by_tf(source, ros):
    asked = []

    def transform(*names):
        asked.append(names)
        return np.eye(3), np.array([0.1, 0.0, 0.0])

    source = source(transform=transform)
    infos = source.other.create_publisher(CameraInfo, "/depth/camera_info", 10)
    assert ros.spin_until(infos.get_subscription_count)
    infos.publish(camera_to_info(ideal((4, 3)), header(S, "depth")))
    assert ros.spin_until(lambda: source.source._calibration._info())
    source.hear(depth(S, frame_id="depth", size_wh=(4, 3)))
    found = source.at(S + 5_000_000)
    assert asked == [("colour", "depth", S)]
    assert tuple(found.camera.size_wh) == (4, 3)
    assert found.translation.tolist() == [0.1, 0, 0]
    assert not found.registered


# Surroundings.

@pytest.fixture
def surroundings(ros):
    def make(filtering_frame="", **options):
        said, node = [], ros.node("node")
        made = Surroundings(node, lambda: SurroundingsOptions(**options), DepthOptions,
                            lambda: FilterOptions(filtering_frame=filtering_frame), said.append, sensor())
        return made, node, said

    return make


IMAGE = np.zeros((6, 8, 3), np.uint8)


def test_without_depth_and_a_fixed_frame_a_frame_is_complete(surroundings):
    made, node, said = surroundings()
    frame, stages = made.frame(IMAGE, header(S)), Stages()
    assert frame.complete(stages) is frame
    assert (stages.ms, made.counts, said) == ({}, {"camera": "no camera_info so far"}, [])
    assert {s.topic_name for s in node.subscriptions} == {"/camera_info"}


def moved(stamp_ns, x):
    made = TransformStamped(header=header(stamp_ns, "odom"), child_frame_id="colour")
    made.transform.translation.x = x
    return made


def test_transforms_that_are_late_are_waited_for(surroundings, ros):
    made, _, _ = surroundings("odom", tf_wait=0.2)
    other = ros.node("other")
    tf = other.create_publisher(TFMessage, "/tf", 10)
    assert made.frame(IMAGE, header(S)).complete(Stages()).fixed is None  # now it hears TF
    assert ros.spin_until(tf.get_subscription_count)
    tf.publish(TFMessage(transforms=[moved(S, 1.0)]))
    assert ros.spin_until(lambda: made._frames.lookup("odom", "colour", S))
    stages = Stages()
    assert made.frame(IMAGE, header(2 * S)).complete(stages).fixed is None
    assert stages.ms["match"] > 190
    # Who is not on the way is not waited for.
    assert made.frame(IMAGE, header(S // 2)).complete(stages).fixed is None
    assert stages.ms["match"] < 350
    tf.publish(TFMessage(transforms=[moved(2 * S, 2.0)]))
    assert ros.spin_until(lambda: made._frames.lookup("odom", "colour", 2 * S))
    _, translation = made.frame(IMAGE, header(3 * S // 2)).complete(Stages()).fixed
    assert translation.tolist() == [1.5, 0, 0]


def clock(node, monkeypatch, stamp_ns):
    monkeypatch.setattr(node.get_clock(), "now", lambda: Time(nanoseconds=stamp_ns))


@pytest.mark.parametrize("stamp_ns", [10 * S, S - 1])
def test_images_of_another_clock_are_not_predicted(surroundings, monkeypatch, stamp_ns):
    made, node, said = surroundings()
    clock(node, monkeypatch, stamp_ns)
    frame = made.frame(IMAGE, header(S))
    assert made.now(frame).stamp_ns == S
    assert "set use_sim_time" in made.lacks
    assert said == [made.lacks]
    clock(node, monkeypatch, S + 90_000_000)
    assert made.now(made.frame(IMAGE, header(S))).stamp_ns == S + 90_000_000
    assert made.lacks == ""


def test_now_is_no_later_than_what_tf_knows(surroundings, ros, monkeypatch):
    made, node, _ = surroundings("odom")
    clock(node, monkeypatch, 2 * S)
    made.frame(IMAGE, header(S)).complete(Stages())
    tf = ros.node("other").create_publisher(TFMessage, "/tf", 10)
    assert ros.spin_until(tf.get_subscription_count)
    tf.publish(TFMessage(transforms=[moved(S, 1.0), moved(3 * S // 2, 1.5)]))
    assert ros.spin_until(lambda: made._frames.newest("odom", "colour"))
    frame = made.frame(IMAGE, header(S)).complete(Stages())
    moment = made.now(frame)
    assert 1.5 * S <= moment.stamp_ns < 1.6 * S
    assert moment.fixed[1].tolist() == [1.5, 0, 0]
    # A camera that stands still: the clock.
    assert made.now(made.frame(IMAGE, header(S))).stamp_ns == 2 * S
