# SPDX-License-Identifier: Apache-2.0
"""Depth buffer: which depth was measured when this image was taken?"""

from __future__ import annotations

import threading
from bisect import insort
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

#: A stamp that is this much older than the newest one is no late message: time ran backwards, nanoseconds.
_BACKWARDS_NS = 500_000_000


@dataclass(frozen=True)
class Match(Generic[T]):
    """The depth of an image, or why there is none."""

    #: None when there is none.
    item: T | None
    #: Stamp of the nearest depth minus that of the image, nanoseconds; None where nothing came yet.
    difference_ns: int | None
    #: Why there is none, and what to do; empty where there is one.
    reason: str = ""


class DepthBuffer(Generic[T]):
    """Keep the last depths, whatever they are, by their stamps. Several threads may use it."""

    def __init__(self, most: int = 30) -> None:
        """Start empty; ``most`` depths are kept: a second at 30 Hz."""
        self._most = most
        self._lock = threading.Lock()
        self._kept: list[tuple[int, int, T]] = []
        self._count = 0
        #: Images that got their depth, and that did not, since the start.
        self.matched, self.missed = 0, 0

    def reset(self) -> None:
        """Forget all depths; the numbers stay."""
        with self._lock:
            self._kept.clear()

    def put(self, stamp_ns: int, item: T) -> None:
        """Keep a depth; where time ran backwards, the older ones go."""
        with self._lock:
            if self._kept and stamp_ns < self._kept[-1][0] - _BACKWARDS_NS:
                self._kept.clear()
            self._count += 1
            # The count keeps two of one stamp apart, and decides for the later one.
            insort(self._kept, (stamp_ns, self._count, item))
            del self._kept[: -self._most]

    def awaits(self, stamp_ns: int, tolerance_s: float) -> bool:
        """Whether the depth of an image may still come: nothing as new has come yet, or only from before a jump."""
        with self._lock:
            if not self._kept:
                return True
            oldest, newest = self._kept[0][0], self._kept[-1][0]
            return newest < stamp_ns - tolerance_s * 1e9 or oldest > stamp_ns + _BACKWARDS_NS

    def find(self, stamp_ns: int, tolerance_s: float) -> Match[T]:
        """Return the depth whose stamp is nearest to that of an image.

        Args:
            stamp_ns: Of the image.
            tolerance_s: How far the stamps may lie apart (``DepthOptions.max_time_difference``).
        """
        with self._lock:
            if not self._kept:
                self.missed += 1
                return Match(None, None, "no depth has come yet; check the depth topic, and that it is published")
            stamp, _, item = min(self._kept, key=lambda kept: (abs(kept[0] - stamp_ns), -kept[1]))
            if abs(stamp - stamp_ns) <= tolerance_s * 1e9:
                self.matched += 1
                return Match(item, stamp - stamp_ns)
            self.missed += 1
            away_s = (stamp - stamp_ns) * 1e-9
            return Match(
                None, stamp - stamp_ns,
                f"the nearest depth is {abs(away_s) * 1e3:.1f} ms {'after' if away_s > 0 else 'before'} the image, "
                f"expected at most {tolerance_s * 1e3:.1f} ms; synchronise the camera's streams, or raise "
                "max_time_difference if people move slowly",
            )
