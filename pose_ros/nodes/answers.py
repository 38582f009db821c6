# SPDX-License-Identifier: Apache-2.0
"""Answers: whether all that hear the images of a bag have said what they see in them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence

from rclpy.node import Node

from pose_ros.errors import ConfigError
from pose_ros.msg import SkeletonArray
from pose_ros.ros.qos import sensor
from pose_ros.ros.wire import stamp_ns

#: Time between two looks at who is there; when nobody came or went for so long, everybody has found everybody; seconds.
_LOOK_S, _CALM_S = 0.1, 1.0
_WAITING = 100


class Answers:
    """Hears skeletons, and knows which images they belong to by their stamps."""

    def __init__(self, node: Node, rules: Sequence[str], closing: threading.Event) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            rules: ``images:=skeletons``, names of topics.
            closing: Set when nothing is to be waited for any more.

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
        mute = [topic for topics in self._of.values() for topic in topics if not self._node.count_publishers(topic)]
        return "; ".join([*(f"nobody hears {topic}" for topic in deaf), *(f"nobody says {topic}" for topic in mute)])

    def _around(self) -> list[tuple[str, int, int]]:
        """Return who speaks and hears on which topics."""
        node = self._node
        return [(topic, node.count_publishers(topic), node.count_subscribers(topic))
                for topic, _ in node.get_topic_names_and_types()]

    def ask(self, topic: str, data: bytes) -> None:
        """Note that an image is about to be published."""
        with self._came:
            self._awaited.update(dict.fromkeys(self._of[topic], stamp_ns(data)))

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
