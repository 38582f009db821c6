# SPDX-License-Identifier: Apache-2.0
"""Looking: work that the executor's thread does now and then, and sooner while something waits for transforms."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.timer import Timer

from pose_ros.ros.health import Health


class Looking:
    """Two timers: one that always runs, and a quicker one, the last, which the subclass wakes and lets sleep."""

    def __init__(self, node: Node, health: Health) -> None:
        """Rest until :meth:`_begin`."""
        self._node, self._health = node, health
        self._timers: list[Timer] = []

    def _begin(self, look: Callable[[], None], every_s: float, turn: Callable[[], None], soon_s: float) -> None:
        """Look now and then; the last timer, which takes turns sooner, sleeps until it is needed."""
        self._timers = [
            self._node.create_timer(every_s, look),
            self._node.create_timer(soon_s, lambda: self._guarded(turn)),
        ]
        self._timers[-1].cancel()

    def _end(self) -> None:
        for timer in self._timers:
            self._node.destroy_timer(timer)
        self._timers = []

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # an executor ends with what its callbacks raise
            self._health.fail(error)
