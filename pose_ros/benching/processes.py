# SPDX-License-Identifier: Apache-2.0
"""What processes use, as Linux tells it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def private_mb(pid: int) -> float:
    """Return the memory of a process that no other one uses, 10^6 bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024e-6


def age_s(pid: int) -> float | None:
    """Return how long ago a process started; None where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    fields = stat.read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) * _TICK_S


class Sampler:
    """Looks at processes again and again from a thread of its own; a context manager."""

    def __init__(self, pids: Sequence[int], every_s: float = 1.0) -> None:
        """Say at whom to look."""
        self._pids, self._every_s, self._ended = pids, every_s, threading.Event()
        #: Time since 1970 in nanoseconds, processor time in seconds and memory in megabytes of all together.
        self.samples: list[tuple[int, float, float]] = []
        self._thread = threading.Thread(target=self._run, name="sampler")

    def _run(self) -> None:
        while True:
            try:
                sample = sum(map(cpu_s, self._pids)), sum(map(private_mb, self._pids))
            except OSError:  # one has ended
                return
            self.samples.append((time.time_ns(), *sample))
            if self._ended.wait(self._every_s):
                return

    def __enter__(self) -> Sampler:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
