# SPDX-License-Identifier: Apache-2.0
"""Pairs: what belongs to the same moment, out of two streams that arrive in any order."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Pairs(Generic[A, B]):
    """Match two streams by equal stamps. What is older than a match has no partner and is let go.

    Each stream keeps its own order; stamps may jump.
    """

    def __init__(self, depth: int = 32) -> None:
        """Keep at most ``depth`` items of each stream that wait for their partner."""
        self.depth = depth
        self._a: OrderedDict[int, A] = OrderedDict()
        self._b: OrderedDict[int, B] = OrderedDict()

    def add_a(self, stamp_ns: int, item: A) -> tuple[A, B] | None:
        """Add to the first stream; returns the pair that is complete now."""
        return self._add(self._a, stamp_ns, item)

    def add_b(self, stamp_ns: int, item: B) -> tuple[A, B] | None:
        """Add to the second stream; returns the pair that is complete now."""
        return self._add(self._b, stamp_ns, item)

    def _add(self, stream: OrderedDict, stamp_ns: int, item: object) -> tuple[A, B] | None:
        stream[stamp_ns] = item
        if stamp_ns in self._a and stamp_ns in self._b:
            return _take(self._a, stamp_ns), _take(self._b, stamp_ns)
        if len(stream) > self.depth:
            stream.popitem(last=False)
        return None


def _take(stream: OrderedDict, stamp_ns: int) -> Any:
    """Return an item, and let go of what came before it."""
    while True:
        stamp, item = stream.popitem(last=False)
        if stamp == stamp_ns:
            return item
