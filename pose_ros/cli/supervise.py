# SPDX-License-Identifier: Apache-2.0
"""Processes that belong together: start them, keep what they say, end them in order.

Every child leads a process group of its own, so that Ctrl-C reaches it through here and once, and nothing but our own
children is ever signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pose_ros

#: Lines of a child's output that are shown when it fails.
_TAIL = 15
#: What is tried in turn, and how many seconds each gets: a recorder may have a long video to close.
_ENDINGS = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


class Child:
    """One process, with its output in a file and its last lines at hand."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, on_line: Callable[[str, str], None], env: Mapping[str, str]
    ) -> None:
        """Start the process.

        Args:
            name: What it is called in logs.
            command: Program and arguments.
            log: File that takes all output, after what it has.
            on_line: Told (name, line) for every line, from a thread.
            env: Its environment.
        """
        self.name, self.log = name, log
        #: The last lines it wrote.
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._on_line = on_line
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines, self.log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                self.tail.append(line.rstrip("\n"))
                self._on_line(self.name, line.rstrip("\n"))

    @property
    def pid(self) -> int:
        """Process id, which is also that of its group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs, negative when a signal ended it."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child and what it started; nothing happens when it has ended."""
        if self.code is None:
            os.killpg(self.pid, number)

    def join(self) -> None:
        """Take the rest of the output of a child that has ended."""
        self._process.wait()
        self._reader.join(timeout=2.0)


def stop(children: Sequence[Child], hurry: Callable[[], int] = lambda: 0) -> list[str]:
    """End all children, politely first.

    Args:
        children: May have ended already.
        hurry: How often the user has asked to be quicker; each time takes the patience out of one more way.

    Returns:
        Names of those that had to be killed.
    """
    killed: list[str] = []
    for step, (number, patience_s) in enumerate(_ENDINGS):
        left = [c for c in children if c.code is None]
        if number is signal.SIGKILL:
            killed = [c.name for c in left]
        for child in left:
            child.send(number)
        until = time.monotonic() + patience_s
        while any(c.code is None for c in left) and time.monotonic() < until and hurry() <= step:
            time.sleep(0.02)
    for child in children:
        child.join()
    return killed


def describe(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    return f"ended by {signal.Signals(-code).name}"


def environment() -> dict[str, str]:
    """Return the environment of the nodes: they find the same package as this process."""
    paths = [str(Path(pose_ros.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
