# SPDX-License-Identifier: Apache-2.0
"""Frames: what /tf and /tf_static say, at the stamps of images. Needs no tf2."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from pose_ros.core.frame_tree import FrameTree
from pose_ros.errors import ConfigError
from pose_ros.ros.qos import TF, TF_STATIC

#: Time between two looks while a transform is under way, seconds.
_LOOK_S = 0.005
#: Least wait for what was sent by then, where nothing may depend on the moment; seconds.
EXACT_S = 0.5


class Frames:
    """Hears TF from its making to :meth:`close`; make one only where it is needed.

    The executor's thread writes, any thread may ask.
    """

    def __init__(self, node: Node, say: Callable[[str], None], keep_s: float = 10.0, *, exact: bool = False) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            say: Told what is wrong with TF.
            keep_s: How long transforms are kept.
            exact: Whether what is looked up may not depend on what has come by then: see :meth:`behind`.
        """
        self._node, self._say, self._exact = node, say, exact
        self._lock, self._tree = threading.Lock(), FrameTree(keep_s)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda msg: self._heard(msg, static=False), TF),
            node.create_subscription(TFMessage, "/tf_static", lambda msg: self._heard(msg, static=True), TF_STATIC),
        ]

    def _heard(self, msg: TFMessage, *, static: bool) -> None:
        jumps = self._tree.time_jumps
        for transform in msg.transforms:
            header, t, q = transform.header, transform.transform.translation, transform.transform.rotation
            stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
            try:
                with self._lock:
                    self._tree.put(header.frame_id, transform.child_frame_id, stamp_ns, (t.x, t.y, t.z),
                                   (q.x, q.y, q.z, q.w), static=static)
            except ConfigError as error:
                self._say(str(error))
        if self._tree.time_jumps != jumps:
            self._say("time on /tf ran backwards: what moves was forgotten")

    def lookup(self, target: str, source: str, stamp_ns: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return rotation (3, 3) and translation (3,), ``x_target = rotation @ x_source + translation``, or None.

        See :meth:`pose_ros.core.frame_tree.FrameTree.lookup`.
        """
        with self._lock:
            return self._tree.lookup(target, source, stamp_ns)

    def wait_for(self, target: str, source: str, stamp_ns: int, until: float) -> None:
        """Wait while the transforms of a moment are under way, at most until ``time.monotonic()`` is ``until``."""
        while self.behind(target, source, stamp_ns) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))

    def newest(self, target: str, source: str) -> int | None:
        """Return the last stamp for which :meth:`lookup` knows the way; None without a way, or where it never ends."""
        with self._lock:
            return self._tree.newest(target, source)

    def behind(self, target: str, source: str, stamp_ns: int) -> bool:
        """Return whether :meth:`lookup` returns None only because transforms of that moment have not come yet.

        With ``exact``: whether anything that may still come could change what it returns.
        """
        with self._lock:
            return self._tree.behind(target, source, stamp_ns, exact=self._exact)

    def why_not(self, target: str, source: str, stamp_ns: int) -> str:
        """Say why :meth:`lookup` returns None for these."""
        with self._lock:
            return self._tree.why_not(target, source, stamp_ns)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
