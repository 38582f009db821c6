# SPDX-License-Identifier: Apache-2.0
"""Watch the nodes of a composition from outside, as any other subscriber would: rates, latencies, subjects, drops."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from pose_ros.cli.node_spec import NodeSpec
from pose_ros.core.kinds import PARTS
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.ros.qos import LATCHED, sensor
from pose_ros.ros.transport import make_room_for_images

#: Seconds over which the live rate is taken.
_RATE_OVER_S = 2.0
#: Nodes that publish skeletons.
SKELETONS = ("pose_node", "multiview_node")
#: Messages that are counted: none may be missed while a table is drawn.
_COUNTED = sensor("reliable", depth=100)
#: A latency beyond this says that the stamps are of another clock, such as that of a recording.
_OTHER_CLOCK_MS = 60e3


class Watched:
    """What is known about one node."""

    def __init__(self, spec: NodeSpec) -> None:
        """Start with nothing known."""
        self.spec = spec
        #: Newest diagnostics, key to value, and how many there were.
        self.values: dict[str, str] = {}
        self.reports = 0
        #: Whether it is in the graph.
        self.present = False
        #: Whether its latched skeleton info has come, that is, its model is loaded.
        self.loaded = False
        #: Messages received: skeleton arrays, camera infos (one per image) of a camera_node.
        self.received = 0
        #: Subjects in the newest array, and the most in one.
        self.subjects = self.most_subjects = 0
        #: Most hands and faces that its diagnostics have told of; those that are not looked at are not here.
        self.most_parts: dict[str, int] = {}
        #: Capture to reception here, milliseconds, one number per message.
        self.latencies_ms = array("f")
        #: How often it was started again, and what is said of it while it is dead.
        self.restarts, self._dead = 0, ""
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._first = self._last = 0.0

    def take(self, message: Any) -> None:
        """Count one message."""
        now, now_ns = time.monotonic(), time.time_ns()
        self._first = self._first or now
        self._last = now
        self._arrivals.append(now)
        self.received += 1
        self.subjects = len(getattr(message, "skeletons", ()))
        self.most_subjects = max(self.most_subjects, self.subjects)
        stamp = message.header.stamp
        self.latencies_ms.append((now_ns - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e6)

    def told(self, values: dict[str, str]) -> None:
        """Take new diagnostics."""
        self.values = values
        self.reports += 1
        for name in PARTS:
            if (count := self.count(name)) is not None:
                self.most_parts[name] = max(self.most_parts.get(name, 0), count)

    def load(self, _: Any) -> None:
        """Note that the model is loaded."""
        self.loaded = True

    def end(self, plan: str) -> None:
        """Note that it has died, and what is planned."""
        self.values, self.present, self.loaded, self._dead = {}, False, False, plan
        self.restarts += 1

    def begin(self) -> None:
        """Note that it was started again."""
        self._dead = ""

    @property
    def state(self) -> str:
        """What it does, in its own words if it has any."""
        if self._dead:
            return self._dead
        waiting = self.spec.plugin == "camera_node" and not self.received
        return self.values.get("state") or ("starting" if not self.present else "waiting" if waiting else "running")

    @property
    def ready(self) -> bool:
        """Whether it can take images: it is there and, if it has a model, that is loaded."""
        return self.loaded if self.spec.plugin == "pose_node" else self.present

    @property
    def refusal(self) -> str:
        """Why it will never be ready; empty while it may be. Whoever manages a node hears of that from the node."""
        if self.spec.parameters.get("process.managed"):
            return ""
        return self.values.get("last_error", "") if self.values.get("state") == "unconfigured" else ""

    @property
    def in_hand(self) -> bool:
        """Whether it works on an image, by its own account."""
        received, *ends = (self.count(key) or 0 for key in ("received", "processed", "dropped", "failed"))
        return received > sum(ends)

    def rate(self) -> float | None:
        """Return messages per second over the last moments; None before the first."""
        if not self._arrivals:
            return None
        since = time.monotonic() - _RATE_OVER_S
        recent = [t for t in tuple(self._arrivals) if t >= since]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def mean_rate(self) -> float | None:
        """Return messages per second from the first to the last."""
        return (self.received - 1) / (self._last - self._first) if self.received > 1 else None

    def latency_ms(self, newest: int = 0) -> tuple[float | None, float | None]:
        """Return the 50th and 95th percentile, over all messages or the ``newest`` ones."""
        values = np.array(self.latencies_ms[-newest:])
        if not len(values) or np.abs(np.median(values)) > _OTHER_CLOCK_MS:
            return None, None
        p50, p95 = np.percentile(values, [50, 95])
        return float(p50), float(p95)

    def number(self, key: str) -> float | None:
        """Return one number of the diagnostics; None where the node does not say."""
        try:
            return float(self.values[key])
        except (KeyError, ValueError):
            return None

    def count(self, key: str) -> int | None:
        """Return one counter of the diagnostics; None where the node does not say."""
        number = self.number(key)
        return None if number is None else int(number)


class Monitor:
    """A node of its own, in a thread of its own."""

    def __init__(self, specs: Sequence[NodeSpec]) -> None:
        """Subscribe to what the nodes publish.

        Args:
            specs: Nodes to watch; they need not run yet.
        """
        #: Fully qualified name -> what is known.
        self.nodes: Mapping[str, Watched] = {spec.path: Watched(spec) for spec in specs}
        make_room_for_images()
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        #: Spun by the thread.
        self.node = Node("pose_ros_monitor", context=self._context, use_global_arguments=False)
        for path, watched in self.nodes.items():
            if watched.spec.plugin in SKELETONS:
                self.node.create_subscription(SkeletonArray, f"{path}/skeletons", watched.take, _COUNTED)
                self.node.create_subscription(SkeletonInfo, f"{path}/skeleton_info", watched.load, LATCHED)
            elif watched.spec.plugin == "camera_node":
                self.node.create_subscription(CameraInfo, f"{path}/camera_info", watched.take, _COUNTED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 50)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="monitor", daemon=True)
        self._thread.start()

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            # The name has only the last part of the node's; nodes of two robots may share it.
            if status.hardware_id in self.nodes:
                self.nodes[status.hardware_id].told({pair.key: pair.value for pair in status.values})

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def look(self) -> None:
        """Note which nodes are in the graph."""
        names = self.node.get_node_names_and_namespaces()
        for watched in self.nodes.values():
            watched.present = (watched.spec.name, watched.spec.namespace or "/") in names

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=2.0)
        self.node.destroy_node()
        self._context.try_shutdown()
