# SPDX-License-Identifier: Apache-2.0
"""Answers: whether all that hear the images of a bag have said what they see in them, and others what follows."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence

from rclpy.node import Node

from pose_ros.errors import ConfigError
from pose_ros.msg import SkeletonArray
from pose_ros.ros.message_types import message_class
from pose_ros.ros.qos import sensor
from pose_ros.ros.wire import stamp_ns

#: Time between two looks at who is there; when nobody came or went for so long, everybody has found everybody; seconds.
_LOOK_S, _CALM_S = 0.1, 1.0
_WAITING = 100
#: What follows from images may be told so much later, seconds of the bag: several cameras wait for one that is silent.
_LEAD_S = 6.0


class Answers:
    """Hears skeletons, and knows which images they belong to by their stamps."""

    def __init__(
        self, node: Node, rules: Sequence[str], closing: threading.Event, followers: Sequence[str] = ()
    ) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            rules: ``images:=skeletons``, names of topics.
            closing: Set when nothing is to be waited for any more.
            followers: Topics of messages that begin with a header, and tell of images some time after their skeletons.

        Raises:
            ConfigError: A rule is none.
        """
        self._node, self._closing = node, closing
        self._of: dict[str, list[str]] = defaultdict(list)
        self._came = threading.Condition()
        #: Topic of skeletons -> stamp of the image that they are to answer.
        self._awaited: dict[str, int] = {}
        #: Images that got no answer.
        self.missing = 0
        #: Follower -> newest stamp that it told of; None before the first, and of one that has given up.
        self._told: dict[str, int | None] = dict.fromkeys(map(node.resolve_topic_name, followers))
        self._followed: set[str] = set()
        self._told_at = time.monotonic()
        for rule in rules:
            images, _, skeletons = rule.partition(":=")
            if not (images and skeletons):
                raise ConfigError("answers", f"expected 'images:=skeletons', such as /camera/image:=/pose/skeletons, "
                                             f"got '{rule}'")
            topic = node.resolve_topic_name(skeletons)
            self._of[node.resolve_topic_name(images)].append(topic)
            node.create_subscription(
                SkeletonArray, topic, lambda data, topic=topic: self._heard(topic, data), sensor("reliable", _WAITING),
                raw=True,
            )

    def __contains__(self, topic: str) -> bool:
        """Return whether somebody answers the images of a topic."""
        return topic in self._of

    def __bool__(self) -> bool:
        """Return whether anything is ever answered."""
        return bool(self._of)

    def refuse_unknown(self, topics: Sequence[str]) -> None:
        """Check that these topics have all the images that are to be answered.

        Raises:
            ConfigError: One is missing.
        """
        for topic in self._of:
            if topic not in topics:
                raise ConfigError("answers", f"expected images of the bag, which has {', '.join(sorted(topics))}; got "
                                             f"'{topic}'")

    def calm(self, timeout_s: float) -> str:
        """Wait until all who answer are there and nobody comes or goes; returns who is missing after the timeout."""
        began = since = time.monotonic()
        seen: object = None
        while not self._closing.wait(_LOOK_S):
            self._follow()
            now, around, missing = time.monotonic(), self._around(), self._lacking()
            if missing or around != seen:
                seen, since = around, now
            if now - since >= _CALM_S:
                return ""
            if missing and now - began > timeout_s:
                return missing
        return ""

    def _lacking(self) -> str:
        deaf = [topic for topic in self._of if not self._node.count_subscribers(topic)]
        said = [*(topic for topics in self._of.values() for topic in topics), *self._told]
        mute = [topic for topic in said if not self._node.count_publishers(topic)]
        return "; ".join([*(f"nobody hears {topic}" for topic in deaf), *(f"nobody says {topic}" for topic in mute)])

    def _around(self) -> list[tuple[str, int, int]]:
        """Return who speaks and hears on which topics."""
        node = self._node
        return [(topic, node.count_publishers(topic), node.count_subscribers(topic))
                for topic, _ in node.get_topic_names_and_types()]

    def _follow(self) -> None:
        """Subscribe to followers as soon as they are there, and so is what they are made of."""
        if not self._told.keys() - self._followed:
            return
        for topic, (kind, *_) in self._node.get_topic_names_and_types():
            if topic in self._told and topic not in self._followed:
                self._followed.add(topic)
                self._node.create_subscription(
                    message_class(kind), topic, lambda data, topic=topic: self._follows(topic, data),
                    sensor("reliable", _WAITING), raw=True,
                )

    def _follows(self, topic: str, data: bytes) -> None:
        with self._came:
            self._told[topic], self._told_at = stamp_ns(data), time.monotonic()
            self._came.notify_all()

    def ask(self, topic: str, data: bytes, timeout_s: float) -> None:
        """Note that an image is about to be published; waits while followers are too far behind it."""
        stamp, end = stamp_ns(data), time.monotonic() + timeout_s
        with self._came:
            while (late := self._late(stamp)) and not self._closing.is_set() and time.monotonic() < end:
                self._came.wait(_LOOK_S)
            for follower in late if not self._closing.is_set() else ():
                self._node.get_logger().warning(f"{follower} has said nothing for {timeout_s:g} s; goes on without")
                self._told[follower] = None
            self._awaited.update(dict.fromkeys(self._of[topic], stamp))

    def _late(self, stamp: int) -> list[str]:
        return [topic for topic, told in self._told.items() if told is not None and stamp - told > _LEAD_S * 1e9]

    def finished(self, timeout_s: float) -> bool:
        """Wait until followers have no more to say, which is when they say nothing for a while; returns if any are."""
        end = time.monotonic() + timeout_s
        with self._came:
            self._told_at = time.monotonic()
            while self._told and (now := time.monotonic()) < min(end, self._told_at + _CALM_S):
                self._came.wait(min(end, self._told_at + _CALM_S) - now)
                if self._closing.is_set():
                    break
        return bool(self._told)

    def _heard(self, topic: str, data: bytes) -> None:
        with self._came:
            if self._awaited.get(topic) == stamp_ns(data):
                del self._awaited[topic]
                self._came.notify_all()

    def asked(self, topic: str) -> bool:
        """Return whether an image of a topic has not been answered yet."""
        return not self._awaited.keys().isdisjoint(self._of[topic])

    def wait(self, timeout_s: float) -> None:
        """Wait for all answers; those that do not come are given up with a word."""
        end = time.monotonic() + timeout_s
        with self._came:
            while self._awaited and not self._closing.is_set() and time.monotonic() < end:
                self._came.wait(min(_LOOK_S, timeout_s))
            if self._awaited and not self._closing.is_set():
                self.missing += len(self._awaited)
                stamps = ", ".join(f"{topic} to the image of {stamp * 1e-9:.3f}"
                                   for topic, stamp in self._awaited.items())
                self._node.get_logger().warning(f"no answer within {timeout_s:g} s: {stamps}; goes on without")
            self._awaited.clear()
