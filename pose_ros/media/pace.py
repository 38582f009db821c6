# SPDX-License-Identifier: Apache-2.0
"""Pace: read frames ahead of time and say when each one is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Full, Queue

from pose_ros.core.frame import Frame
from pose_ros.media.source import Source

#: A schedule that is missed by more than this moves: a slow source is not followed by a rush.
_MAX_LATE_S = 0.1
_POLL_S = 0.1


def read_ahead(source: Source, depth: int = 4) -> Iterator[Frame]:
    """Yield the frames of a source that a thread decodes up to ``depth`` frames ahead.

    A live source is read as it comes: its frames would only get old.
    """
    if source.live:
        yield from source
        return
    ready: Queue[Frame | BaseException | None] = Queue(depth)
    ended = threading.Event()

    def offer(item: Frame | BaseException | None) -> bool:
        while not ended.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for frame in source:
                if not offer(frame):
                    return
            offer(None)
        except Exception as error:
            offer(error)

    thread = threading.Thread(target=read, name="read ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ended.set()
        thread.join()


class Pacer:
    """Say how long to wait before a frame is shown."""

    def __init__(self, rate: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the first frame.

        Args:
            rate: Frames per second; 0 keeps the distances between the stamps.
            clock: Seconds.
        """
        self._rate, self._clock = rate, clock
        self._began: float | None = None
        self._first_ns = self._count = 0

    def wait_s(self, stamp_ns: int) -> float:
        """Return the seconds until the next frame, which has this stamp, is due; 0 when it is late."""
        now = self._clock()
        if self._began is None:
            self._began, self._first_ns = now, stamp_ns
        offset = self._count / self._rate if self._rate else (stamp_ns - self._first_ns) / 1e9
        self._count += 1
        wait = self._began + offset - now
        if wait < -_MAX_LATE_S:
            self._began -= wait
        return max(wait, 0.0)
