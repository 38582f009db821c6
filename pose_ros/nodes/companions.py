# SPDX-License-Identifier: Apache-2.0
"""Companions: the hands that were seen in the same image as bodies, which come by a topic of their own."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.msg import SkeletonArray
from pose_ros.nodes.tally import stamp_ns

#: They are waited for while any came within this time, seconds; so many arrays of them may wait for their bodies.
_LATELY_S, _WAITING = 1.0, 30


class Companions:
    """Keeps the last arrays of hands until the bodies of their image ask for them."""

    def __init__(self) -> None:
        """Start with none."""
        self._arrays: deque[tuple[tuple[int, str], Poses]] = deque(maxlen=_WAITING)
        self._heard_at = -np.inf

    def clear(self) -> None:
        """Forget them."""
        self._arrays.clear()

    def take(self, msg: SkeletonArray, poses: Poses) -> None:
        """Keep those of an image."""
        self._heard_at = time.monotonic()
        self._arrays.append((_image(msg), poses))

    def until(self, longest_s: float) -> float:
        """Return until when, by steady time, bodies that come now should wait for them."""
        now = time.monotonic()
        return now + longest_s if now - self._heard_at < _LATELY_S else now

    def of(self, msg: SkeletonArray) -> Poses | None:
        """Return those that were seen in the image of an array of bodies; None: they have not come."""
        wanted = _image(msg)
        return next((poses for image, poses in self._arrays if image == wanted), None)


def _image(msg: SkeletonArray) -> tuple[int, str]:
    return stamp_ns(msg), msg.header.frame_id
