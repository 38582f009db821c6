# SPDX-License-Identifier: Apache-2.0
"""Process: how the operating system runs a node, and what looks after it."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from pose_ros.core.options import option
from pose_ros.errors import ConfigError


@dataclass(frozen=True)
class ProcessOptions:
    """Block ``process`` of every node."""

    name: str = option("", "Nodes of one name run in one process, where those that hear the same images share them; "
                           "empty: a process of its own.")
    cpus: str = option("", "Processors that it may use, such as '0,2-3'; empty: all.")
    nice: int = option(0, "Above 0 it yields to others when the processors are busy; below 0 needs rights.", low=-20,
                       high=19)
    managed: bool = option(False, "Let pose-ros up configure and activate it, in the order of the file, and deactivate "
                                  "it in the end, instead of autostart.")
    restart: int = option(0, "How often pose-ros up starts it again after it has died; a minute of life clears the "
                             "count.", low=0, high=1000)
    restart_delay: float = option(1.0, "First wait before that; it doubles each time, to 30 s at most.", unit="s",
                                  low=0.0, high=30.0)


@dataclass(frozen=True)
class HealthOptions:
    """Block ``health`` of every node: what is expected of it."""

    target_rate: float = option(0.0, "Warn in diagnostics, and say what holds it up, when less than nine tenths of "
                                "this rate are reached; 0: any rate will do.", unit="Hz", low=0.0, high=1000.0,
                                live=True)


def settle(options: ProcessOptions) -> None:
    """Let all threads of this process, and those that they will start, run where and as eagerly as is asked.

    Raises:
        ConfigError: There are no such processors, or the rights are missing.
    """
    cpus = processors(options.cpus)
    for thread in map(int, os.listdir("/proc/self/task")) if cpus or options.nice else ():
        if cpus:
            _ask("process.cpus", options.cpus, lambda thread=thread: os.sched_setaffinity(thread, cpus))
        if options.nice:
            _ask("process.nice", options.nice,
                 lambda thread=thread: os.setpriority(os.PRIO_PROCESS, thread, options.nice))


def stand_back(nice: int) -> None:
    """Let the calling thread alone yield to others when the processors are busy, where the system can (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + nice)


def processors(text: str) -> set[int]:
    """Return the processors of a list such as ``0,2-3``, as ``taskset`` reads it.

    Raises:
        ConfigError: It is no such list.
    """
    found: set[int] = set()
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not last) and ("-" in part) == bool(last)):
            raise ConfigError("process.cpus", f"expected numbers and ranges such as '0,2-3', got '{text}'")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _ask(key: str, value: object, work) -> None:  # type: ignore[no-untyped-def]
    try:
        work()
    except ProcessLookupError:  # a thread that has ended meanwhile
        return
    except OSError as error:
        there = Path("/sys/devices/system/cpu/online")
        cpus = f"; this machine has {there.read_text().strip()}" if key.endswith("cpus") and there.exists() else ""
        raise ConfigError(key, f"'{value}' is refused by the system: {error.strerror}{cpus}") from error
