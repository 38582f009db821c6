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

from pose_ros.cli.compose import NodeSpec
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.ros.qos import LATCHED, RESULT

#: Seconds over which the live rate is taken.
_RATE_OVER_S = 2.0
#: A latency beyond this says that the stamps are of another clock, such as that of a recording.
_OTHER_CLOCK_MS = 60e3


class Watched:
    """What is known about one node."""

    def __init__(self, spec: NodeSpec) -> None:
        """Start with nothing known."""
        self.spec = spec
        #: Newest diagnostics, key to value.
        self.values: dict[str, str] = {}
        #: Whether its latched skeleton info has come, that is, its model is loaded.
        self.loaded = False
        #: Skeleton arrays received, and subjects in the newest one.
        self.received, self.subjects = 0, 0
        #: Most subjects in one array.
        self.most_subjects = 0
        #: Capture to reception here, milliseconds, one number per array.
        self.latencies_ms = array("f")
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._first = self._last = 0.0

    def take(self, message: Any, now_ns: int) -> None:
        """Count one skeleton array."""
        now = time.monotonic()
        self._first = self._first or now
        self._last = now
        self._arrivals.append(now)
        self.received += 1
        self.subjects = len(message.skeletons)
        self.most_subjects = max(self.most_subjects, self.subjects)
        stamp = message.header.stamp
        self.latencies_ms.append((now_ns - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e6)

    def rate(self) -> float | None:
        """Return arrays per second over the last moments; None before the first."""
        if not self._arrivals:
            return None
        since = time.monotonic() - _RATE_OVER_S
        recent = [t for t in tuple(self._arrivals) if t >= since]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def mean_rate(self) -> float | None:
        """Return arrays per second from the first to the last."""
        return (self.received - 1) / (self._last - self._first) if self.received > 1 else None

    def latency_ms(self, newest: int = 0) -> tuple[float | None, float | None]:
        """Return the 50th and 95th percentile, over all arrays or the ``newest`` ones."""
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
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        self._node = Node("pose_ros_monitor", context=self._context, use_global_arguments=False)
        for watched in self.nodes.values():
            if watched.spec.plugin == "pose_node":
                self._watch(watched)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 50)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="monitor", daemon=True)
        self._thread.start()

    def _watch(self, watched: Watched) -> None:
        def info(_: Any) -> None:
            watched.loaded = True

        def result(message: Any) -> None:
            watched.take(message, time.time_ns())

        path = watched.spec.path
        self._node.create_subscription(SkeletonInfo, f"{path}/skeleton_info", info, LATCHED)
        self._node.create_subscription(SkeletonArray, f"{path}/skeletons", result, RESULT)

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            name = "/" + status.name.partition(":")[0].strip().lstrip("/")
            if name in self.nodes:
                self.nodes[name].values = {pair.key: pair.value for pair in status.values}

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def ready(self, spec: NodeSpec) -> bool:
        """Return whether a node does its work: it is there and, if it has a model, that is loaded."""
        if spec.plugin == "pose_node":
            return self.nodes[spec.path].loaded
        names = self._node.get_node_names_and_namespaces()
        return (spec.name, spec.namespace or "/") in names

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=2.0)
        self._node.destroy_node()
        self._context.try_shutdown()
