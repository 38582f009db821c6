# SPDX-License-Identifier: Apache-2.0
"""Losses: messages that never reached a subscription, as the middleware counts them."""

from __future__ import annotations

from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import QoSSubscriptionEventType
except ImportError:  # Humble
    from rclpy.qos_event import QoSSubscriptionEventType


class Losses:
    """Asks without an executor; a message that a newer one has overwritten in the queue is none that was lost."""

    def __init__(self, subscription: Subscription) -> None:
        """Begin to count; where the middleware does not, nothing is ever lost."""
        kind = getattr(_rclpy, "EventHandle", None) or _rclpy.QoSEventHandle
        self._event: Any = None
        try:
            with subscription.handle:
                self._event = kind(subscription.handle, QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST)
        except _rclpy.UnsupportedEventTypeError:
            return

    @property
    def count(self) -> int:
        """How many were lost in all."""
        if self._event is None:
            return 0
        with self._event:
            return int(self._event.take_event().total_count)

    def close(self) -> None:
        """Let go, before the subscription is destroyed."""
        if self._event is not None:
            self._event.destroy_when_not_in_use()
