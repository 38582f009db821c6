# SPDX-License-Identifier: Apache-2.0
"""Health: what a node counts, as diagnostics.

Levels: OK, it works as asked, or rests as told; WARN, it works, but not as it should; ERROR, it cannot work; STALE,
nothing comes in, so that all values are old.
"""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from pose_ros.errors import ImageError, PartError, PoseRosError
from pose_ros.ros.json_logs import logger
from pose_ros.ros.qos import RESULT

#: Percentiles and the rate are those of so many last frames.
_WINDOW = 100
#: The same thing is said again after this time, seconds.
_REPEAT_S = 30.0
#: An error counts as present for this time, seconds.
_ERROR_S = 5.0
#: No frame for this time: the rate is 0; seconds.
_STALE_S = 2.0
#: Of fewer frames nobody tells how often they come.
_FEW = 10
#: A rate below this part of the target is too low.
_ENOUGH = 0.9
#: Stamps that are older, or newer, than this are of another clock, seconds.
_OLD_S, _NEW_S = 60.0, 1.0
#: Where Linux says how warm the machine is, and how many of its units make a degree.
_SENSORS, _MILLI = Path("/sys/class/thermal"), 1000
#: Stages that are the networks' own work; those of parts bear the names of the parts.
INFERENCE = ("detect", "estimate")


class Rate:
    """How often something has happened lately."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._times: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._count = 0

    def tick(self, count: int = 1) -> None:
        """Count once, or several that came together."""
        self._count += count
        self._times.append((time.monotonic(), self._count))

    @property
    def age_s(self) -> float:
        """Seconds since the last time; infinite before the first."""
        return time.monotonic() - self._times[-1][0] if self._times else np.inf

    @property
    def hz(self) -> float:
        """Times per second; 0 when it has stopped."""
        if len(self._times) < 2 or self.age_s > _STALE_S:
            return 0.0
        (began, first), (ended, last) = self._times[0], self._times[-1]
        return (last - first) / (ended - began) if ended > began else 0.0


class Health:
    """Counts of one node; written by its worker, read by its executor."""

    def __init__(self, node: Node, what: str, *, answers: bool = True) -> None:
        """Start at zero.

        Args:
            node: Gives name, log, the parameter ``health.target_rate`` and the publisher of ``/diagnostics``.
            what: Second part of the status's name.
            answers: Whether it answers what comes in; otherwise it only sends, and has neither latency nor subjects.
        """
        self._answers = answers
        self._node, self._name = node, f"{node.get_name()}: {what}"
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULT)
        self._lock = threading.Lock()
        self.received = self.processed = self.dropped = self.failed = 0
        self.subjects = 0
        #: What was not answered, by reason.
        self.drops: Counter[str] = Counter(overwritten=0, lost=0, unreadable=0, failed=0)
        #: Parts that are looked at -> how many there are.
        self._parts: dict[str, int] = {}
        self.last_error = self._refusal = ""
        self._failed_at = -_ERROR_S
        self._said: dict[str, float] = {}
        self._came, self._done, self._began = Rate(), Rate(), time.monotonic()
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._inference_ms: deque[float] = deque(maxlen=_WINDOW)
        #: Stage -> the frame that had it last, and how long it took.
        self._stages: dict[str, tuple[int, deque[float]]] = {}
        self._other_clock = ""

    def took(self, missed: int, lost: int = 0) -> None:
        """Count an image that was taken, and those that were not; ``lost`` of these never reached this machine."""
        lost = min(lost, missed)
        with self._lock:
            self.received += 1 + missed
            self.dropped += missed
            self.drops["lost"] += lost
            self.drops["overwritten"] += missed - lost
            self._came.tick(1 + missed)

    def sent(self) -> None:
        """Count what was published without being an answer."""
        with self._lock:
            self.processed += 1
            self._done.tick()
            self._came.tick()

    def drop(self, reason: str) -> None:
        """Count what came and is not answered; ``reason`` is a word for diagnostics."""
        with self._lock:
            self.drops[reason] += 1

    def finished(
        self, latency_ms: float, inference_ms: float, subjects: int, parts: Mapping[str, tuple[int, float]],
        stages_ms: Mapping[str, float] | None = None,
    ) -> None:
        """Count a frame that was published.

        Args:
            latency_ms: From its stamp to now.
            inference_ms: Networks took.
            subjects: There are.
            parts: How many hands and faces there are, and the milliseconds they took.
            stages_ms: Where the time went.
        """
        with self._lock:
            self.processed += 1
            self.subjects = subjects
            self._done.tick()
            self._latency_ms.append(latency_ms)
            self._inference_ms.append(inference_ms)
            self._parts = {name: count for name, (count, _) in parts.items()}
            for name, ms in {**{name: ms for name, (_, ms) in parts.items()}, **(stages_ms or {})}.items():
                times = self._stages[name][1] if name in self._stages else deque(maxlen=_WINDOW)
                times.append(ms)
                self._stages[name] = self.processed, times
            for name in [n for n, (frame, _) in self._stages.items() if frame <= self.processed - _WINDOW]:
                del self._stages[name]

    def fail(self, error: Exception, refuses: bool = False) -> None:
        """Count an error, and log it unless the same one was logged a short time ago.

        An error that this package does not raise on purpose is logged with the way that led to it.

        Args:
            error: What was raised.
            refuses: It keeps the node from being configured.
        """
        text, fault = str(error), error.cause if isinstance(error, PartError) else error
        details = ""
        if not isinstance(fault, PoseRosError):
            text = text if fault is not error else f"fault in the software: {type(error).__name__}: {error}"
            details = "\n" + "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
        with self._lock:
            self.failed += 1
            self.drops["unreadable" if isinstance(error, ImageError) else "failed"] += not refuses
            self.last_error, self._failed_at = text, time.monotonic()
            self._refusal = text if refuses else self._refusal
        self.say(text, details, event="error")

    def say(self, text: str, details: str = "", event: str = "warning") -> None:
        """Warn, but not again and again; texts that differ only in numbers are the same."""
        kind, now = re.sub(r"\d+(\.\d+)?", "#", text), time.monotonic()
        with self._lock:
            if now - self._said.get(kind, -_REPEAT_S) < _REPEAT_S:
                return
            self._said[kind] = now
        logger(self._node, event).warning(text + details)

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
            refusal = self._refusal = self._refusal if state.startswith("unconfigured") else ""
            failing = time.monotonic() - self._failed_at < _ERROR_S
            clock, other_clock = self._no_time(), self._clock_differs()
            news = other_clock if not self._other_clock else ""
            self._other_clock = other_clock
            warning = refusal or clock or warning or (self.last_error if failing else "")
            warning = warning or (self._too_slow() if state == "active" else "")
            level = self._level(state, warning, failing, bool(refusal or clock))
            target = self._target
            shown = {
                "state": state,
                "processed": self.processed,
                "failed": self.failed,
                "rate_hz": f"{self._done.hz:.1f}",
                **({"target_hz": f"{target:g}"} if target else {}),
                **(self._of_answers() if self._answers else {}),
                **({"clock": other_clock} if other_clock else {}),
                **temperature(_SENSORS),
                **values,
                "last_error": self.last_error,
            }
        for text in filter(None, (clock, news)):
            self.say(text, event="clock")
        status = _status(self._name, self._node.get_fully_qualified_name(), state, warning, shown, level)
        array = DiagnosticArray(status=[status, *others])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
        return status

    def status_of(self, part: str, state: str, warning: str = "", **values: object) -> DiagnosticStatus:
        """Return the status of something that belongs to the node, such as a camera; for :meth:`report`."""
        name, hardware = self._node.get_name(), self._node.get_fully_qualified_name()
        level = DiagnosticStatus.WARN if warning else DiagnosticStatus.OK
        return _status(f"{name}: {part}", f"{hardware}/{part}", state, warning, values, level)

    def _of_answers(self) -> dict[str, object]:
        return {
            "received": self.received,
            "dropped": self.dropped,
            **{f"drops_{reason}": count for reason, count in self.drops.items()},
            "input_hz": f"{self._came.hz:.1f}",
            **_spread("latency", self._latency_ms),
            "inference_p50_ms": _percentile(self._inference_ms, 50),
            **{key: ms for name, (_, times) in self._stages.items() for key, ms in _spread(name, times).items()},
            "subjects": self.subjects,
            **self._parts,
        }

    def _level(self, state: str, warning: str, failing: bool, stuck: bool) -> bytes:
        level: bytes = DiagnosticStatus.OK
        if warning:
            level = DiagnosticStatus.WARN
            active, answers = state.startswith("active"), self._done.age_s < _ERROR_S
            if stuck or (active and not answers and failing):
                level = DiagnosticStatus.ERROR
            elif active and self._came.age_s > _STALE_S:
                level = DiagnosticStatus.STALE
            elif active and not answers and time.monotonic() - self._began > _ERROR_S:
                level = DiagnosticStatus.ERROR
        return level

    @property
    def _target(self) -> float:
        name = "health.target_rate"
        return float(self._node.get_parameter(name).value) if self._node.has_parameter(name) else 0.0

    def _too_slow(self) -> str:
        """Return what keeps the rate below its target; empty while nothing does."""
        target, hz, came = self._target, self._done.hz, self._came.hz
        if not 0 < hz < _ENOUGH * target or self.processed < _FEW:
            return ""
        text = f"{hz:.1f} Hz of the {target:g} that health.target_rate asks for: "
        if not self._answers:
            return text + "the source gives no more, or this machine cannot"
        if came < _ENOUGH * target:
            return f"{text}only {came:.1f} come in; look at what sends them, and at the way from there"
        own = {name: float(np.median(times)) for name, (_, times) in self._stages.items() if name != "transport"}
        if not own:
            return text + "the node is too slow"
        slowest = max(own, key=lambda name: own[name])
        return (f"{text}'{slowest}' takes {own[slowest]:.0f} of {sum(own.values()):.0f} ms; take a smaller model, "
                "another device, or fewer subjects")

    def _no_time(self) -> str:
        """Say why simulated time is not known; empty when it is, or real time holds."""
        node = self._node
        if not node.get_parameter("use_sim_time").value or node.get_clock().now().nanoseconds:
            return ""
        if node.count_publishers("/clock"):
            return "use_sim_time is set and /clock is published, but no time has come; is the simulation or bag paused?"
        return ("use_sim_time is set, but nobody publishes /clock: play the bag with --clock, start the simulation, or "
                "set use_sim_time to false")

    def _clock_differs(self) -> str:
        """Say that stamps are of another clock than that of this node; empty while they are not."""
        if not self._latency_ms:
            return ""
        late_s = float(np.median(self._latency_ms)) / 1e3
        if -_NEW_S <= late_s <= _OLD_S:
            return ""
        way = "behind" if late_s > 0 else "ahead of"
        return (f"stamps are {abs(late_s):.1f} s {way} this node's clock: set use_sim_time and play the bag with "
                "--clock, or synchronise the clocks of the machines")


def temperature(sensors: Path) -> dict[str, str]:
    """Return what the warmest sensor of the machine says, in degrees; nothing where there is none.

    Args:
        sensors: Folder in which Linux shows thermal zones.
    """
    found = []
    for file in sensors.glob("thermal_zone*/temp"):
        try:
            found.append(int(file.read_text()) / _MILLI)
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return {"temperature_max_c": f"{max(found):.1f}"} if found else {}


def _status(
    name: str, hardware_id: str, state: str, warning: str, values: Mapping[str, object], level: bytes
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=name,
        message=warning or state,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _spread(name: str, values: deque[float]) -> dict[str, str]:
    """Return what is usual, what is rare and what is worst."""
    return {f"{name}_{key}_ms": _percentile(values, p) for key, p in (("p50", 50), ("p95", 95), ("max", 100))}


def _percentile(values: deque[float], percent: int) -> str:
    return f"{np.percentile(values, percent):.1f}" if values else ""
