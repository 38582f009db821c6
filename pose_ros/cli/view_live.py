# SPDX-License-Identifier: Apache-2.0
"""Live topics into a scene: hears whatever can be shown, those too that turn up later."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from pose_ros.cli import console
from pose_ros.cli.view_messages import Messages
from pose_ros.ros.qos import sensor
from pose_ros.ros.transport import make_room_for_images

#: Time between two looks for new topics, and after which it is said that there are none; seconds.
_LOOK_S, _SILENT_S = 0.5, 5.0
#: Messages that may wait while others are shown. Of pictures the newest will do.
_WAITING, _PICTURES = 100, 2
#: Told topic -> message type; returns the topics that are shown.
Choose = Callable[[Mapping[str, str]], Sequence[str]]


class Ears:
    """A node that hears all chosen topics, with the quality of service that their publishers offer."""

    def __init__(self, node: Node, messages: Messages, choose: Choose) -> None:
        """Hear nothing until :meth:`look`."""
        self._node, self._messages, self._choose = node, messages, choose
        #: Topic -> messages that came.
        self.count: Counter[str] = Counter()
        self._heard: set[str] = set()

    def look(self) -> None:
        """Subscribe to chosen topics that somebody publishes by now, and give what came from others its place."""
        self._messages.arrange()
        node = self._node
        types = {topic: kinds[0] for topic, kinds in node.get_topic_names_and_types() if len(kinds) == 1}
        for topic in self._choose(types):
            offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
            if topic in self._heard or not offers:
                continue
            package, _, name = types[topic].partition("/msg/")
            try:
                kind = getattr(import_module(f"{package}.msg"), name)
            except (ImportError, AttributeError):
                console.note(f"pose-ros: {topic} is not shown: {types[topic]} is not installed")
            else:
                pictures = package == "sensor_msgs"
                take = partial(self._take, topic, types[topic])
                node.create_subscription(kind, topic, take, _heard_by(offers, _PICTURES if pictures else _WAITING))
            self._heard.add(topic)

    def _take(self, topic: str, message_type: str, msg: Any) -> None:
        self.count[topic] += 1
        self._messages.take(topic, message_type, msg, time.time_ns())


def _heard_by(offers: Sequence[QoSProfile], depth: int) -> QoSProfile:
    """Return what hears every publisher: no more than the least of them offers."""
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return sensor("reliable" if reliable else "best_effort", depth, latched=latched)


def listen(messages: Messages, choose: Choose, seconds: float = 0.0) -> Counter[str]:
    """Show what comes, until Ctrl-C or for so many seconds, and return how much of each topic.

    Args:
        messages: Shows it.
        choose: Chooses topics.
        seconds: How long; 0 is as long as the user likes.
    """
    make_room_for_images()
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node("pose_ros_view", context=context, use_global_arguments=False, enable_rosout=False,
                start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ears = Ears(node, messages, choose)
    node.create_timer(_LOOK_S, ears.look)
    ears.look()
    began = time.monotonic()
    silent = False
    console.note(f"listening; {f'{seconds:g} s' if seconds else 'Ctrl-C ends it'}")
    try:
        while not seconds or time.monotonic() - began < seconds:
            executor.spin_once(timeout_sec=0.1)
            if not ears.count and not silent and time.monotonic() - began > _SILENT_S:
                silent = True
                console.note("pose-ros: nothing comes yet that can be shown; `pose-ros doctor --live` says why")
    except KeyboardInterrupt:
        pass  # what came until then is shown
    finally:
        messages.finish()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    return ears.count
