# SPDX-License-Identifier: Apache-2.0
"""A bag's topics come as they were recorded."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from pose_ros.msg import SkeletonArray
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Int32, String
from tf2_msgs.msg import TFMessage

from pose_ros.errors import ConfigError, SourceError, UnknownNameError
from pose_ros.nodes import answers
from pose_ros.nodes.overheard import Overheard
from pose_ros.nodes.player_node import PlayerNode
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.qos import LATCHED, sensor

COUNT = 20


@pytest.fixture
def bag(tmp_path):
    """Numbers, a latched word and a static transform."""
    folder = tmp_path / "bag"
    with BagWriter(folder) as writer:
        writer.add("/number", Int32)
        writer.add("/word", String, latched=True)
        writer.add("/tf_static", TFMessage)
        writer.write("/word", serialize_message(String(data="hello")), 10**9)
        writer.write("/tf_static", serialize_message(TFMessage()), 10**9)
        for i in range(COUNT):
            writer.write("/number", serialize_message(Int32(data=i)), 10**9 + i * 5_000_000)
    return folder


@pytest.fixture
def player(ros):
    """Make a player; keyword arguments are parameters."""
    made = []

    def make(**parameters):
        codes = []
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = PlayerNode(ros.context, codes.append, parameter_overrides=overrides)
        made.append(node)
        node.codes = codes
        return ros.add(node)

    yield make
    for node in made:
        node.close()


def test_every_message_comes_once_and_in_order(ros, player, bag):
    other, numbers, words, late = ros.node("other"), [], [], []
    other.create_subscription(String, "/word", words.append, LATCHED)
    node = player(source=str(bag), wait_for_subscribers=1)
    assert ros.spin_until(lambda: words)
    assert numbers == []  # nobody hears them yet
    other.create_subscription(Int32, "/number", numbers.append, sensor("reliable", 100))
    assert ros.spin_until(lambda: node.codes)
    assert [m.data for m in numbers] == list(range(COUNT))
    assert [m.data for m in words] == ["hello"]
    assert node.codes == [0]
    other.create_subscription(TFMessage, "/tf_static", late.append, LATCHED)
    assert ros.spin_until(lambda: late)


def test_it_can_begin_again(ros, player, bag):
    other, numbers = ros.node("other"), []
    other.create_subscription(Int32, "/number", numbers.append, sensor("reliable", 100))
    player(source=str(bag), wait_for_subscribers=1, loop=True, topics="/number")
    assert ros.spin_until(lambda: len(numbers) > 2 * COUNT)
    assert [m.data for m in numbers[: 2 * COUNT]] == [*range(COUNT), *range(COUNT)]


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({}, ConfigError, "expected a bag"),
        ({"source": "nowhere"}, SourceError, "cannot be read as a ROS 2 bag"),
        ({"source": "{bag}", "topics": "/numbr"}, UnknownNameError, "did you mean '/number'"),
    ],
    ids=["nothing", "no bag", "no topic"],
)
def test_what_does_not_fit_is_told(player, bag, parameters, error, words):
    with pytest.raises(error, match=words):
        player(**{name: value.format(bag=bag) for name, value in parameters.items()})


def test_the_time_of_the_bag_is_told_from_before_the_first_message_on(ros, player, bag):
    other, heard = ros.node("other"), []
    other.create_subscription(Clock, "/clock", lambda m: heard.append(m.clock.sec * 10**9 + m.clock.nanosec), 100)
    node = player(source=str(bag), clock=True, wait_for_subscribers=1, speed=0.5)
    assert ros.spin_until(lambda: len(heard) > 2)
    assert set(heard) == {10**9}  # it waits
    arrived = []
    other.create_subscription(Int32, "/number", lambda m: arrived.append((m.data, heard[-1])), sensor("reliable", 100))
    assert ros.spin_until(lambda: node.codes)
    assert heard == sorted(heard)
    # Also between messages, and never behind what has come.
    assert len(set(heard)) > COUNT / 2
    assert heard[-1] == 10**9 + (COUNT - 1) * 5_000_000
    assert len(arrived) == COUNT
    assert max(abs(time - 10**9 - data * 5_000_000) for data, time in arrived) < 20_000_000


def test_the_time_of_a_bag_that_begins_again_does_so_too(ros, player, bag):
    other, heard = ros.node("other"), []
    other.create_subscription(Clock, "/clock", lambda m: heard.append(m.clock.sec * 10**9 + m.clock.nanosec), 100)
    player(source=str(bag), clock=True, loop=True)
    assert ros.spin_until(lambda: len(heard) > 60)
    assert {10**9, 10**9 + (COUNT - 1) * 5_000_000} <= set(heard)
    assert max(heard) == 10**9 + (COUNT - 1) * 5_000_000


class Answerer:
    """Says something of every image, a little later, and notes what it has heard by then."""

    def __init__(self, ros, deaf_to=()):
        self.heard, self.answered, self._deaf_to, self._waiting = [], [], deaf_to, None
        self._node = ros.node("answerer")
        self._out = self._node.create_publisher(SkeletonArray, "answers", 10)
        self._node.create_subscription(Image, "eye", self._image, sensor("reliable", 100))
        self._node.create_subscription(Int32, "number", lambda m: self.heard.append(m.data), sensor("reliable", 100))
        self._node.create_timer(0.05, self._answer)

    def _image(self, message):
        assert self._waiting is None, "the one before is not answered yet"
        self.heard.append(message.header.stamp.sec)
        if message.header.stamp.sec not in self._deaf_to:
            self._waiting = message.header, time.monotonic()

    def _answer(self):
        if self._waiting is not None and time.monotonic() - self._waiting[1] > 0.1:
            self._out.publish(SkeletonArray(header=self._waiting[0]))
            self.answered.append(sorted(self.heard))
            self._waiting = None


@pytest.fixture
def images(tmp_path):
    """Three images, and numbers 10 ms after and 50 ms before each."""
    folder = tmp_path / "images"
    with BagWriter(folder) as writer:
        writer.add("/eye", Image)
        writer.add("/number", Int32)
        for i in range(1, 4):
            image = Image(height=1, width=1, encoding="mono8", step=1, data=b"0")
            image.header.stamp.sec = i
            for topic, message, after_ms in (("/number", Int32(data=10 * i), -50), ("/eye", image, 0),
                                             ("/number", Int32(data=10 * i + 1), 10)):  # fmt: skip
                writer.write(topic, serialize_message(message), i * 100_000_000 + after_ms * 1_000_000)
    return folder


def test_nothing_more_is_played_until_an_image_is_answered(ros, player, images, monkeypatch):
    monkeypatch.setattr(answers, "_CALM_S", 0.2)
    other = Answerer(ros)
    node = player(source=str(images), answers="/eye:=/answers", speed=0.0, ahead=0.02)
    assert ros.spin_until(lambda: node.codes)
    # What came 10 ms after an image is there, and nothing that came later.
    assert other.answered == [[1, 10, 11], [1, 2, 10, 11, 20, 21], [1, 2, 3, 10, 11, 20, 21, 30, 31]]


def test_an_image_that_nobody_answers_is_given_up_with_a_word(ros, player, images, monkeypatch, capfd):
    monkeypatch.setattr(answers, "_CALM_S", 0.2)
    other = Answerer(ros, deaf_to=(2,))
    node = player(source=str(images), answers="/eye:=/answers", speed=0.0, answer_timeout=0.3, ahead=0.0)
    assert ros.spin_until(lambda: node.codes)
    assert sorted(other.heard) == [1, 2, 3, 10, 11, 20, 21, 30, 31]
    assert len(other.answered) == 2
    said = capfd.readouterr().err
    assert "no answer within 0.3 s: /answers to the image of 2.000; goes on without" in said
    assert "9 messages, 1 images were not answered" in said


@pytest.mark.parametrize(
    ("rule", "words"),
    [("/eye", "expected 'images:=skeletons'"), ("/ey:=/answers", "expected images of the bag, which has /eye")],
)
def test_answers_that_do_not_fit_are_told(player, images, rule, words):
    with pytest.raises(ConfigError, match=words):
        player(source=str(images), answers=rule)


def test_images_are_played_only_some_seconds_before_what_follows_from_them(ros, capfd):
    here, other = ros.node("here"), ros.node("other")
    waits = answers.Answers(here, ["/eye:=/answers"], threading.Event(), ["/said"])
    assert "nobody says /said" in waits._lacking()
    said = other.create_publisher(SkeletonArray, "/said", 10)

    def stamped(kind, second):
        message = kind()
        message.header.stamp.sec = second
        return message

    def follow():
        waits._follow()
        return said.get_subscription_count()

    assert ros.spin_until(follow)
    said.publish(stamped(SkeletonArray, 10))
    assert ros.spin_until(lambda: waits._told["/said"] == 10 * 10**9)
    for second, told in ((16, 10 * 10**9), (17, None), (30, None)):  # who has given up is not waited for
        began = time.monotonic()
        waits.ask("/eye", serialize_message(stamped(Image, second)), 0.3)
        assert waits._told["/said"] == told
        assert (time.monotonic() - began > 0.3) == (second == 17)
    assert "/said has said nothing for 0.3 s; goes on without" in capfd.readouterr().err
    said.publish(stamped(SkeletonArray, 31))
    assert ros.spin_until(lambda: waits._told["/said"] == 31 * 10**9)


def test_a_recorder_hears_what_is_named_from_when_it_is_there(ros):
    here, other, told = ros.node("here"), ros.node("other"), []
    heard = Overheard(here, ["/humans/*", "/word"], lambda *message: told.append(message), ["/humans/known"])
    kept = other.create_publisher(String, "/humans/new/word", LATCHED)
    kept.publish(String(data="before anybody heard"))
    publishers = [other.create_publisher(String, topic, 10) for topic in ("/word", "/words", "/humans/known")]
    assert ros.spin_until(lambda: publishers[0].get_subscription_count())
    for publisher in publishers:
        publisher.publish(String(data="now"))
    assert ros.spin_until(lambda: len(told) == 2)
    assert {(topic, deserialize_message(data, kind).data, latched) for topic, kind, data, latched in told} == {
        ("/humans/new/word", "before anybody heard", True), ("/word", "now", False)}  # fmt: skip
    assert len(heard._subscriptions) == 2
