# SPDX-License-Identifier: Apache-2.0
"""Stages: where the time of one frame went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stages:
    """A stopwatch with named laps, in the order in which they first ended.

    >>> stages = Stages()
    >>> with stages("detect"):
    ...     pass
    >>> list(stages.ms)
    ['detect']
    """

    def __init__(self) -> None:
        """Start with no laps."""
        #: Name -> milliseconds; a lap that is entered twice adds up.
        self.ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block as lap ``name``."""
        began = perf_counter()
        try:
            yield
        finally:
            self.add(name, (perf_counter() - began) * 1e3)

    def add(self, name: str, ms: float) -> None:
        """Add time that was measured elsewhere."""
        self.ms[name] = self.ms.get(name, 0.0) + ms
