# SPDX-License-Identifier: Apache-2.0
"""Manners: what every node of this package grants its operators."""

from __future__ import annotations

import copy
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from pose_ros.errors import ConfigError

_POLICIES = {
    "history": HistoryPolicy, "reliability": ReliabilityPolicy, "durability": DurabilityPolicy,
    "liveliness": LivelinessPolicy,
}
#: Messages that may wait where none is passed over: so many, or so many times those that may otherwise.
_EXACT_DEPTH, _EXACT_TIMES = 100, 10
_DURATIONS = ("deadline", "lifespan", "liveliness_lease_duration")


class Manners(Node):
    """Comes before rclpy's class among the bases of a node.

    Parameters ``qos_overrides.<full topic>.<publisher|subscription>.<policy>`` hold for every topic. rclpy has the same
    for topics that ask for it, but declares parameters for each of them and keeps these when the topic is gone.

    Timers run by steady time: with ``use_sim_time`` and nobody who says the time, or a bag that is paused, the node
    starts, watches and reports all the same.
    """

    def create_publisher(
        self, msg_type: Any, topic: str, qos_profile: QoSProfile | int, *args: Any, **more: Any
    ) -> Publisher:
        """Advertise, as the operator says."""
        qos = overridden(self, topic, qos_profile, "publisher")
        return super().create_publisher(msg_type, topic, qos, *args, **more)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Any, qos_profile: QoSProfile | int, *args: Any, **more: Any
    ) -> Subscription:
        """Subscribe, as the operator says."""
        qos = overridden(self, topic, qos_profile, "subscription")
        return super().create_subscription(msg_type, topic, callback, qos, *args, **more)

    def create_timer(self, timer_period_sec: float, callback: Any, *args: Any, **more: Any) -> Timer:
        """Call back every so many seconds of steady time, if no clock is given."""
        if len(args) < 2:
            more.setdefault("clock", Clock(clock_type=ClockType.STEADY_TIME))
        return super().create_timer(timer_period_sec, callback, *args, **more)


def elapsed_s(node: Node) -> float:
    """Return seconds of the time by which silence is measured: steady, or that of /clock with ``use_sim_time``.

    A bag that is played slowly, or a simulation that stands still, is not silent.
    """
    clock = node.get_clock()
    return float(clock.now().nanoseconds * 1e-9 if clock.ros_time_is_active else time.monotonic())


def overridden(node: Node, topic: str, qos: QoSProfile | int, kind: str) -> QoSProfile:
    """Return the quality of service of a topic as the parameters of its node say.

    With its parameter ``exact`` all that it hears is heard reliably, and that and its results wait until there is time
    for them.

    Args:
        node: Has the parameters.
        topic: As it is given to rclpy.
        qos: What holds without them.
        kind: ``publisher`` or ``subscription``.

    Raises:
        ConfigError: A value is none that the policy has.
    """
    result = QoSProfile(depth=qos) if isinstance(qos, int) else copy.copy(qos)
    if node.has_parameter("exact") and node.get_parameter("exact").value:
        if kind == "subscription":
            result.reliability = ReliabilityPolicy.RELIABLE
        if kind == "subscription" or result.depth > 1:  # images and what is latched are the newest one alone
            result.depth = max(result.depth * _EXACT_TIMES, _EXACT_DEPTH)
    start = f"qos_overrides.{node.resolve_topic_name(topic)}.{kind}."
    for policy in ("depth", *_POLICIES, *_DURATIONS):
        if not node.has_parameter(start + policy):
            continue
        value = node.get_parameter(start + policy).value
        if policy in _POLICIES:
            words = [name.lower() for name in _POLICIES[policy].__members__ if name.islower() or name.isupper()]
            if value not in words:
                raise ConfigError(start + policy, f"expected one of {', '.join(dict.fromkeys(words))}, got {value!r}")
            setattr(result, policy, _POLICIES[policy][value.upper()])
        elif type(value) is not int or value < 0:
            unit = "nanoseconds" if policy in _DURATIONS else "a number of messages"
            raise ConfigError(start + policy, f"expected {unit} as an integer, got {value!r}")
        else:
            setattr(result, policy, Duration(nanoseconds=value) if policy in _DURATIONS else value)
    return result
