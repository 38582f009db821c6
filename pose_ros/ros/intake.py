# SPDX-License-Identifier: Apache-2.0
"""Intake: the newest image, taken by the thread that needs it.

rclpy's executors build their wait set in Python for every message, which costs about as much as everything else that
happens to an image. Here one thread waits for one subscription and takes from it when it has time. The queue of DDS
(depth 1) then is the slot in which the newest image wins, and an older one is never even deserialized.

Nodes of one process that hear the same images in the same way share a subscription: whoever of them is free first takes
the image for all, and its pixels are made once. Each still gets the newest one at its own pace.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage

from pose_ros.msg import SharedImage
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb
from pose_ros.ros.losses import Losses
from pose_ros.ros.manners import overridden
from pose_ros.ros.shared import SharedReader

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


class Latest:
    """The newest message of a topic, looked at only by who needs it: nothing is done when one comes."""

    def __init__(self, node: Node, message_type: type, topic: str, qos: QoSProfile) -> None:
        """Subscribe."""
        self._node, self._lock, self._newest = node, threading.Lock(), None
        self._subscription = node.create_subscription(message_type, topic, lambda _: None, qos, callback_group=_Aside())

    def __call__(self) -> Any:
        """Return it; None before the first. May be called from any thread."""
        subscription = self._subscription
        with self._lock, subscription.handle:
            while (taken := subscription.handle.take_message(subscription.msg_type, False)) is not None:
                self._newest = taken[0]
            return self._newest

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


class Picture:
    """One image message, and its pixels as soon as anybody has asked for them."""

    def __init__(self, message: Any, read: Callable[[Any], np.ndarray]) -> None:
        """Convert nothing yet; ``read`` does, when it is asked for."""
        self.message, self._read = message, read
        self._lock = threading.Lock()
        self._rgb: np.ndarray | None = None

    def rgb(self) -> np.ndarray:
        """Return the pixels, uint8 (H, W, 3), which nobody may change.

        Raises:
            ImageError: They cannot be read.
        """
        with self._lock:
            if self._rgb is None:
                self._rgb = self._read(self.message)
            return self._rgb


class _Source:
    """One subscription, and the newest image that came through it."""

    def __init__(
        self, node: Node, message_type: type, topic: str, qos: QoSProfile, read: Callable[[bytes], Any] | None
    ) -> None:
        self._node, self._read = node, read
        readers: dict[type, Callable[[Any], np.ndarray]] = {
            CompressedImage: compressed_to_rgb, SharedImage: SharedReader()
        }
        self._pixels = readers.get(message_type, image_to_rgb)
        self._subscription = node.create_subscription(
            message_type, topic, lambda _: None, qos, callback_group=_Aside()
        )
        self.losses = Losses(self._subscription)
        # rclpy.wait_for_message, a public function, waits in the same way in every distribution since Humble.
        self._wait_set = _rclpy.WaitSet(1, 0, 0, 0, 0, 0, node.context.handle)
        self._last: int | None = None
        #: Held by the one who waits.
        self.lock = threading.Lock()
        #: How many images came, those that were passed over or lost included, and the last one that was taken.
        self.newest: tuple[int, Picture | None] = 0, None
        self.users = 0

    def wait(self, timeout_s: float) -> None:
        """Wait for an image and take it."""
        with self._subscription.handle:
            self._wait_set.clear_entities()
            self._wait_set.add_subscription(self._subscription.handle)
            self._wait_set.wait(int(timeout_s * 1e9))
            if not self._wait_set.get_ready_entities("subscription"):
                return
            taken = self._subscription.handle.take_message(self._subscription.msg_type, self._read is not None)
        if taken is None:
            return
        message, info = taken
        count = self.newest[0] + self._missed(info.get("publication_sequence_number")) + 1
        self.newest = count, Picture(message if self._read is None else self._read(message), self._pixels)

    def _missed(self, number: int | None) -> int:
        """Count from the publisher's own numbers, where the middleware tells them (since Iron)."""
        last, self._last = self._last, number
        if last is None or number is None or not 0 < number - last <= _LARGEST_GAP:
            return 0
        return number - last - 1

    def close(self) -> None:
        self.losses.close()
        self._node.destroy_subscription(self._subscription)


class Intake:
    """What one thread takes of one subscription."""

    def __init__(self, source: _Source, close: Callable[[], None]) -> None:
        """Made by :class:`Intakes`."""
        self._source, self._close = source, close
        self._seen, self._lost = source.newest[0], source.losses.count

    def take(self, timeout_s: float) -> tuple[Picture, int] | None:
        """Wait for an image and take it.

        Returns:
            The image, and how many came before it that this thread did not see; None when none came in time.
        """
        source, until = self._source, time.monotonic() + timeout_s
        if not source.lock.acquire(blocking=False):
            # Somebody waits for the next one, so there is none newer than the last.
            if source.newest[0] > self._seen:
                return self._newest()
            if not source.lock.acquire(timeout=timeout_s):
                return None
        try:
            source.wait(0.0 if source.newest[0] > self._seen else max(until - time.monotonic(), 0.0))
        finally:
            source.lock.release()
        return self._newest()

    def _newest(self) -> tuple[Picture, int] | None:
        (count, picture), seen = self._source.newest, self._seen
        if picture is None or count == seen:
            return None
        self._seen = count
        return picture, count - seen - 1

    def lost(self) -> int:
        """Return how many images never reached this machine, since this was last asked."""
        before, self._lost = self._lost, self._source.losses.count
        return self._lost - before

    def close(self) -> None:
        """Take no more."""
        self._close()


class Intakes:
    """The subscriptions to images of one process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._shared: dict[Any, _Source] = {}

    def open(
        self, node: Node, message_type: type, topic: str, qos: QoSProfile, read: Callable[[bytes], Any] | None = None
    ) -> Intake:
        """Subscribe, or share what is subscribed to.

        Args:
            node: Asks. What it opened for others, too, stays until the last of them has closed.
            message_type: Of images.
            topic: As it is given to rclpy.
            qos: Where more than one image may wait, nothing is shared: each is to be seen by everybody.
            read: Makes messages of serialized bytes in place of rclpy.
        """
        asked = overridden(node, topic, qos, "subscription")
        policies = str(asked) if asked.depth == 1 else object()
        key = message_type, node.resolve_topic_name(topic), read, policies
        with self._lock:
            source = self._shared.get(key) or _Source(node, message_type, topic, qos, read)
            self._shared[key] = source
            source.users += 1

        def close() -> None:
            with self._lock:
                source.users -= 1
                if not source.users:
                    del self._shared[key]
                    source.close()

        return Intake(source, close)
