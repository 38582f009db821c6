# SPDX-License-Identifier: Apache-2.0
"""Overheard: messages of any type, of topics that are named or look like a pattern, from when they are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from pose_ros.nodes.stream import Record
from pose_ros.ros.message_types import message_class
from pose_ros.ros.qos import sensor

#: Time between two looks for new topics, seconds, and messages that may wait.
_LOOK_S, _WAITING = 0.1, 1000


class Overheard:
    """Tells of all messages of some topics."""

    def __init__(self, node: Node, patterns: Sequence[str], record: Record, known: Collection[str] = ()) -> None:
        """Begin to look for them.

        Args:
            node: Subscribes.
            patterns: Full names, in which ``*`` stands for anything, such as ``/humans/*``.
            record: Told of every message.
            known: Topics that are heard already.
        """
        self._node, self._patterns, self._record = node, patterns, record
        self._seen, self._subscriptions = set(known), list[Any]()
        self._timer = node.create_timer(_LOOK_S, self._look) if patterns else None

    def _look(self) -> None:
        node = self._node
        for topic, (kind, *_) in node.get_topic_names_and_types():
            if topic in self._seen or not any(fnmatchcase(topic, pattern) for pattern in self._patterns):
                continue
            offered = [end.qos_profile.durability for end in node.get_publishers_info_by_topic(topic)]
            if not offered:
                continue
            self._seen.add(topic)
            try:
                type_ = message_class(kind)
            except ImportError as error:
                node.get_logger().warning(f"{topic} is not recorded: {error}")
                continue
            kept = all(durability == DurabilityPolicy.TRANSIENT_LOCAL for durability in offered)
            self._subscriptions.append(node.create_subscription(
                type_, topic, partial(self._told, topic, type_, kept), sensor("reliable", _WAITING, latched=kept),
                raw=True,
            ))  # fmt: skip

    def _told(self, topic: str, type_: type, kept: bool, data: bytes) -> None:
        self._record(topic, type_, data, kept)
