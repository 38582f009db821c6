# SPDX-License-Identifier: Apache-2.0
"""Intake: the newest image, taken by the thread that needs it.

rclpy's executors build their wait set in Python for every message, which costs about as much as everything else that
happens to an image. Here one thread waits for one subscription and takes from it when it has time. The queue of DDS
(depth 1) then is the slot in which the newest image wins, and an older one is never even deserialized.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile

#: A gap in the numbers of a publisher's messages that is larger than this is another publisher.
_LARGEST_GAP = 1000


class _Aside(CallbackGroup):
    """Keeps a subscription away from the executor."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


@dataclass(frozen=True)
class Taken:
    """One message and how it came."""

    message: Any
    #: Messages of the same publisher that were passed over or lost since the last one that was taken.
    missed: int


class Intake:
    """One subscription, taken from by one thread."""

    def __init__(
        self, node: Node, message_type: type, topic: str, qos: QoSProfile, read: Callable[[bytes], Any] | None = None
    ) -> None:
        """Subscribe; ``read`` makes messages of serialized bytes in place of rclpy."""
        self._node, self._read = node, read
        self._subscription = node.create_subscription(
            message_type, topic, lambda _: None, qos, callback_group=_Aside()
        )
        # rclpy.wait_for_message, a public function, waits in the same way in every distribution since Humble.
        self._wait_set = _rclpy.WaitSet(1, 0, 0, 0, 0, 0, node.context.handle)
        self._last: int | None = None

    def take(self, timeout_s: float) -> Taken | None:
        """Wait for a message and take it; None when none came in time."""
        with self._subscription.handle:
            self._wait_set.clear_entities()
            self._wait_set.add_subscription(self._subscription.handle)
            self._wait_set.wait(int(timeout_s * 1e9))
            if not self._wait_set.get_ready_entities("subscription"):
                return None
            taken = self._subscription.handle.take_message(self._subscription.msg_type, self._read is not None)
        if taken is None:
            return None
        message, info = taken
        missed = self._missed(info.get("publication_sequence_number"))
        return Taken(message if self._read is None else self._read(message), missed)

    def _missed(self, number: int | None) -> int:
        """Count from the publisher's own numbers, where the middleware tells them (since Iron)."""
        last, self._last = self._last, number
        if last is None or number is None or not 0 < number - last <= _LARGEST_GAP:
            return 0
        return number - last - 1

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)
