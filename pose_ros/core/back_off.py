# SPDX-License-Identifier: Apache-2.0
"""Back-off: what failed is tried again after a while, which doubles with every failure up to a longest one."""

from __future__ import annotations


class BackOff:
    """When to try again; time is whatever the caller measures in nanoseconds."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        """Begin with no failure.

        Args:
            first_s: Wait after the first failure, seconds.
            longest_s: No wait is longer.
        """
        self._first_ns, self._longest_ns = round(first_s * 1e9), round(longest_s * 1e9)
        #: Failures since the last success.
        self.failures = 0
        self._due_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """Return whether to try now; time that ran backwards is a new beginning."""
        if self._due_ns is not None and now_ns < self._due_ns - self._longest_ns:
            self.succeeded()
        return self._due_ns is None or now_ns >= self._due_ns

    def failed(self, now_ns: int) -> float:
        """Count a failure; returns how long to wait, seconds."""
        wait_ns = min(self._first_ns << min(self.failures, 40), self._longest_ns)
        self.failures, self._due_ns = self.failures + 1, now_ns + wait_ns
        return wait_ns * 1e-9

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures, self._due_ns = 0, None
