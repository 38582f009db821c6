# SPDX-License-Identifier: Apache-2.0
"""Companions: the hands that were seen in the same image as bodies, which come by a topic of their own."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.msg import SkeletonArray
from pose_ros.nodes.stream import Stream
from pose_ros.nodes.tally import stamp_ns
from pose_ros.ros.frames import EXACT_S

#: They are waited for while any came within this time, seconds; so many arrays of them may wait for their bodies.
_LATELY_S, _WAITING = 1.0, 30
#: Longest wait where nothing may depend on the moment, and they have explained themselves; seconds.
_EXPLAINED_S = 5.0


class Companions:
    """Keeps the last arrays of hands until the bodies of their image ask for them."""

    def __init__(self) -> None:
        """Start with none."""
        self._arrays: deque[tuple[tuple[int, str], Poses]] = deque(maxlen=_WAITING)
        self._heard_at, self._newest_ns = -np.inf, 0

    def clear(self) -> None:
        """Forget them."""
        self._arrays.clear()

    def take(self, msg: SkeletonArray, poses: Poses) -> None:
        """Keep those of an image."""
        self._heard_at, self._newest_ns = time.monotonic(), stamp_ns(msg)
        self._arrays.append((_image(msg), poses))

    def until(self, longest_s: float, exactly: Stream | None = None) -> float:
        """Return until when, by steady time, bodies that come now should wait for them.

        Args:
            longest_s: Longest wait, while any come.
            exactly: Their stream, where nothing may depend on the moment: they are waited for if anybody tells of them.
        """
        now = time.monotonic()
        if exactly is not None:
            told = EXACT_S if exactly.published else 0.0
            return now + (told if exactly.skeleton is None else _EXPLAINED_S)
        return now + longest_s if now - self._heard_at < _LATELY_S else now

    def awaited(self, msg: SkeletonArray) -> bool:
        """Return whether those of an array of bodies may still come: neither they nor later ones have."""
        overtaken = 0 < self._newest_ns - stamp_ns(msg) < _LATELY_S * 1e9
        return not overtaken and self.of(msg) is None

    def of(self, msg: SkeletonArray) -> Poses | None:
        """Return those that were seen in the image of an array of bodies; None: they have not come."""
        wanted = _image(msg)
        return next((poses for image, poses in self._arrays if image == wanted), None)


def _image(msg: SkeletonArray) -> tuple[int, str]:
    return stamp_ns(msg), msg.header.frame_id
