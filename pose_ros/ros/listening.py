# SPDX-License-Identifier: Apache-2.0
"""Listening: what a running system shows to somebody who joins it for a few seconds."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from pose_ros.ros.qos import TF, TF_STATIC, sensor
from pose_ros.ros.transport import make_room_for_images

#: Types whose first field is a header, and what they are called.
STAMPED = {
    "sensor_msgs/msg/Image": "images", "sensor_msgs/msg/CompressedImage": "images",
    "sensor_msgs/msg/CameraInfo": "camera_info", "sensor_msgs/msg/PointCloud2": "points",
    "pose_ros/msg/SharedImage": "images",
    "pose_ros/msg/SkeletonArray": "skeletons", "pose_ros/msg/ActionArray": "actions",
    "pose_ros/msg/HandoverArray": "handovers", "pose_ros/msg/SeparationArray": "separations",
}
#: Time between two looks at the graph, and for the last answers of services, seconds.
_LOOK_S, _ANSWERS_S = 0.5, 1.0
#: Nodes are found within this time, or when nobody new has turned up for that, seconds.
_FOUND_S, _SETTLED_S = 5.0, 1.0
#: Where a header begins in serialized bytes, and how long its fixed part is.
_CDR, _STAMP = 4, 12


@dataclass(frozen=True)
class Endpoint:
    """One publisher or subscription."""

    node: str
    type: str
    qos: Any


@dataclass
class Topic:
    """Who is at its ends."""

    publishers: list[Endpoint] = field(default_factory=list)
    subscribers: list[Endpoint] = field(default_factory=list)


@dataclass
class Status:
    """What a node, or a part of it, said of itself: first and last."""

    first: dict[str, str]
    values: dict[str, str]
    level: int = 0
    message: str = ""
    count: int = 0


@dataclass
class Times:
    """When messages came (``time.monotonic()``), and when they say that they were made, seconds."""

    came: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    #: How much later than their stamps they came, seconds.
    late: list[float] = field(default_factory=list)
    frame_id: str = ""
    static: bool = False

    @property
    def hz(self) -> float | None:
        """How often they come; None where fewer than two came."""
        passed = self.came[-1] - self.came[0] if self.came else 0.0
        return (len(self.came) - 1) / passed if passed > 0 else None

    @property
    def late_s(self) -> float | None:
        """The usual lateness; None where nothing came."""
        return float(np.median(self.late)) if self.late else None


@dataclass
class Heard:
    """All that was heard."""

    seconds: float = 0.0
    #: Full names; one that is taken twice stands twice.
    nodes: list[str] = field(default_factory=list)
    #: Node -> what the life cycle says.
    states: dict[str, str] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    #: Hardware id, which is the full name of the node, with its part behind it.
    statuses: dict[str, Status] = field(default_factory=dict)
    #: Topics that somebody else hears, too.
    streams: dict[str, Times] = field(default_factory=dict)
    #: (child, parent) -> transforms.
    transforms: dict[tuple[str, str], Times] = field(default_factory=dict)


class Listener:
    """A node of its own, in a thread of its own. It wakes nobody: it hears only what somebody else hears as well."""

    def __init__(self) -> None:
        """Join the system."""
        make_room_for_images()
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        self._node = Node(f"pose_ros_doctor_{os.getpid()}", context=self._context, use_global_arguments=False,
                          enable_rosout=False, start_parameter_services=False)
        self._heard, self._asked = Heard(), dict[str, Any]()
        self._sim_time_s: float | None = None
        subscribe = self._node.create_subscription
        subscribe(DiagnosticArray, "/diagnostics", self._diagnosed, 100)
        subscribe(Clock, "/clock", self._clocked, sensor())
        subscribe(TFMessage, "/tf", partial(self._placed, static=False), TF)
        subscribe(TFMessage, "/tf_static", partial(self._placed, static=True), TF_STATIC)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="listener", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def listen(self, seconds: float) -> Heard:
        """Return what is heard in so many seconds, after all that is there has been found."""
        self._discover()
        self._look()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_S, left))
            self._look()
        answered = time.monotonic() + _ANSWERS_S
        while any(not future.done() for future in self._asked.values()) and time.monotonic() < answered:
            time.sleep(0.02)
        there = self._nodes()
        for node, future in ((n, f) for n, f in self._asked.items() if n in there):
            self._heard.states[node] = future.result().current_state.label if future.done() else "does not answer"
        self._heard.seconds = seconds
        return self._heard

    def _discover(self) -> None:
        """Wait until nobody new turns up."""
        began = changed = time.monotonic()
        before: object = None
        while time.monotonic() - began < _FOUND_S and (not before or time.monotonic() - changed < _SETTLED_S):
            time.sleep(0.05)
            found = self._nodes()
            if found != before:
                before, changed = found, time.monotonic()

    def _nodes(self) -> list[str]:
        node = self._node
        return sorted(_full(space, name) for name, space in node.get_node_names_and_namespaces()
                      if name != node.get_name())

    def _look(self) -> None:
        """See who is there, and hear what others hear."""
        heard, node = self._heard, self._node
        heard.nodes = self._nodes()
        for topic, kinds in node.get_topic_names_and_types():
            found = Topic(self._ends(node.get_publishers_info_by_topic(topic)),
                          self._ends(node.get_subscriptions_info_by_topic(topic)))
            heard.topics[topic] = found
            stamped = [kind for kind in kinds if kind in STAMPED]
            if stamped and len(kinds) == 1 and found.publishers and found.subscribers and topic not in heard.streams:
                heard.streams[topic] = Times()
                package, _, name = kinds[0].split("/")
                node.create_subscription(getattr(import_module(f"{package}.msg"), name), topic,
                                         partial(self._came, heard.streams[topic]), sensor(depth=10), raw=True)
        for service, kinds in node.get_service_names_and_types():
            owner = service.removesuffix("/get_state")
            if "lifecycle_msgs/srv/GetState" in kinds and owner not in self._asked:
                client = node.create_client(GetState, service)
                if client.service_is_ready():
                    self._asked[owner] = client.call_async(GetState.Request())

    def _ends(self, infos: Iterable[Any]) -> list[Endpoint]:
        return [
            Endpoint(_full(info.node_namespace, info.node_name), info.topic_type, info.qos_profile)
            for info in infos if info.node_name != self._node.get_name()
        ]

    def _diagnosed(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            known = self._heard.statuses.setdefault(status.hardware_id or status.name, Status(values, values))
            known.values, known.level, known.message = values, ord(status.level), status.message
            known.count += 1

    def _clocked(self, message: Any) -> None:
        self._sim_time_s = message.clock.sec + message.clock.nanosec * 1e-9

    def _now(self) -> float:
        return time.time() if self._sim_time_s is None else self._sim_time_s

    def _came(self, times: Times, raw: bytes) -> None:
        order = "<" if raw[1] & 1 else ">"
        sec, nanosec, size = struct.unpack_from(f"{order}iII", raw, _CDR)
        self._note(times, sec + nanosec * 1e-9)
        times.frame_id = raw[_CDR + _STAMP : _CDR + _STAMP + size - 1].decode(errors="replace")

    def _placed(self, message: Any, *, static: bool) -> None:
        for transform in message.transforms:
            edge = transform.child_frame_id.lstrip("/"), transform.header.frame_id.lstrip("/")
            times = self._heard.transforms.setdefault(edge, Times(static=static))
            self._note(times, transform.header.stamp.sec + transform.header.stamp.nanosec * 1e-9)

    def _note(self, times: Times, stamp_s: float) -> None:
        times.came.append(time.monotonic())
        times.stamps.append(stamp_s)
        times.late.append(self._now() - stamp_s)

    def close(self) -> None:
        """Leave."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=2.0)
        self._node.destroy_node()
        self._context.try_shutdown()


def _full(namespace: str, name: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"


def listen(seconds: float) -> Heard:
    """Join the running system for so many seconds, and return what was heard."""
    listener = Listener()
    try:
        return listener.listen(seconds)
    finally:
        listener.close()
