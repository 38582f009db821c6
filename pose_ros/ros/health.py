# SPDX-License-Identifier: Apache-2.0
"""Health: what a node counts, as diagnostics."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from pose_ros.errors import PoseRosError
from pose_ros.ros.qos import RESULT

#: Percentiles and the rate are those of so many last frames.
_WINDOW = 100
#: The same thing is said again after this time, seconds.
_REPEAT_S = 30.0
#: An error counts as present for this time, seconds.
_ERROR_S = 5.0
#: No frame for this time: the rate is 0; seconds.
_STALE_S = 2.0
#: Stages that are the networks' own work; those of parts bear the names of the parts.
INFERENCE = ("detect", "estimate")


class Rate:
    """How often something has happened lately."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._times: deque[float] = deque(maxlen=_WINDOW)

    def tick(self) -> None:
        """Count once."""
        self._times.append(time.monotonic())

    @property
    def age_s(self) -> float:
        """Seconds since the last time; infinite before the first."""
        return time.monotonic() - self._times[-1] if self._times else np.inf

    @property
    def hz(self) -> float:
        """Times per second; 0 when it has stopped."""
        times = self._times
        if len(times) < 2 or self.age_s > _STALE_S or times[-1] <= times[0]:
            return 0.0
        return (len(times) - 1) / (times[-1] - times[0])


class Health:
    """Counts of one node; written by its worker, read by its executor."""

    def __init__(self, node: Node, what: str) -> None:
        """Start at zero.

        Args:
            node: Gives name, log and the publisher of ``/diagnostics``.
            what: Second part of the status's name.
        """
        self._node, self._name = node, f"{node.get_name()}: {what}"
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULT)
        self._lock = threading.Lock()
        self.received = self.processed = self.dropped = self.failed = 0
        self.subjects = 0
        #: Parts that are looked at -> how many there are, and how long each frame's took.
        self._parts: dict[str, tuple[int, deque[float]]] = {}
        self.last_error = ""
        self._failed_at = -_ERROR_S
        self._said: dict[str, float] = {}
        self._done = Rate()
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._inference_ms: deque[float] = deque(maxlen=_WINDOW)

    def took(self, missed: int) -> None:
        """Count an image that was taken, and those that were not."""
        with self._lock:
            self.received += 1 + missed
            self.dropped += missed

    def finished(
        self, latency_ms: float, inference_ms: float, subjects: int, parts: Mapping[str, tuple[int, float]]
    ) -> None:
        """Count a frame that was published; ``parts`` are the number of hands, and the milliseconds they took."""
        with self._lock:
            self.processed += 1
            self.subjects = subjects
            self._done.tick()
            self._latency_ms.append(latency_ms)
            self._inference_ms.append(inference_ms)
            before = self._parts
            self._parts = {}
            for name, (count, ms) in parts.items():
                times = before[name][1] if name in before else deque(maxlen=_WINDOW)
                times.append(ms)
                self._parts[name] = count, times

    def fail(self, error: Exception) -> None:
        """Count an error, and log it unless the same one was logged a short time ago.

        An error that this package does not raise on purpose is logged with the way that led to it.
        """
        text = str(error)
        details = ""
        if not isinstance(error, PoseRosError):
            text = f"fault in the software: {type(error).__name__}: {error}"
            details = "\n" + "".join(traceback.format_exception(type(error), error, error.__traceback__))
        with self._lock:
            self.failed += 1
            self.last_error, self._failed_at = text, time.monotonic()
        self.say(text, details)

    def say(self, text: str, details: str = "") -> None:
        """Warn, but not again and again; texts that differ only in numbers are the same."""
        kind, now = re.sub(r"\d+(\.\d+)?", "#", text), time.monotonic()
        with self._lock:
            if now - self._said.get(kind, -_REPEAT_S) < _REPEAT_S:
                return
            self._said[kind] = now
        self._node.get_logger().warning(text + details)

    def report(
        self, state: str, warning: str = "", others: Iterable[DiagnosticStatus] = (), /, **values: object
    ) -> DiagnosticStatus:
        """Publish and return the status.

        Args:
            state: What the node is doing, in a word or a few.
            warning: What is wrong, if anything.
            others: Of what belongs to the node, such as its cameras; see :meth:`status_of`.
            values: More to show.
        """
        with self._lock:
            failing = time.monotonic() - self._failed_at < _ERROR_S
            warning = warning or (self.last_error if failing else "")
            shown = {
                "state": state,
                "received": self.received,
                "processed": self.processed,
                "dropped": self.dropped,
                "failed": self.failed,
                "rate_hz": f"{self._done.hz:.1f}",
                **{f"latency_p{p}_ms": _percentile(self._latency_ms, p) for p in (50, 95)},
                "inference_p50_ms": _percentile(self._inference_ms, 50),
                "subjects": self.subjects,
                **{name: count for name, (count, _) in self._parts.items()},
                **{f"{name}_p50_ms": _percentile(times, 50) for name, (_, times) in self._parts.items()},
                **values,
                "last_error": self.last_error,
            }
        status = _status(self._name, self._node.get_fully_qualified_name(), state, warning, shown)
        array = DiagnosticArray(status=[status, *others])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
        return status

    def status_of(self, part: str, state: str, warning: str = "", **values: object) -> DiagnosticStatus:
        """Return the status of something that belongs to the node, such as a camera; for :meth:`report`."""
        name, hardware = self._node.get_name(), self._node.get_fully_qualified_name()
        return _status(f"{name}: {part}", f"{hardware}/{part}", state, warning, values)


def _status(name: str, hardware_id: str, state: str, warning: str, values: Mapping[str, object]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if warning else DiagnosticStatus.OK,
        name=name,
        message=warning or state,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _percentile(values: deque[float], percent: int) -> str:
    return f"{np.percentile(values, percent):.1f}" if values else ""
