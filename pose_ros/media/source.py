# SPDX-License-Identifier: Apache-2.0
"""Source: frames of one camera, whatever they come from."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError

#: Frames per second of a source that does not say.
DEFAULT_FPS = 10.0


class Source(ABC):
    """Frames of one camera with increasing stamps, to be iterated once; a context manager.

    ``stamp_ns`` is capture time since 1970 when ``absolute``, else time since the first frame.
    """

    #: Frames come when they come, and waiting for them longer makes them old.
    live = False
    #: Whether stamps are capture times; otherwise they begin at 0.
    absolute = False
    #: Frames per second, None when unknown.
    fps: float | None = None
    #: Number of frames, None when unknown or without end.
    length: int | None = None

    def __init__(self, name: str, loop: bool = False) -> None:
        """Say what is read.

        Args:
            name: What was asked for; error messages start with it.
            loop: Begin again at the end. Stamps go on increasing.
        """
        self.name, self.loop = name, loop

    def __iter__(self) -> Iterator[Frame]:
        """Yield all frames.

        Raises:
            SourceError: The source cannot be read any further.
        """
        step = round(1e9 / (self.fps or DEFAULT_FPS))
        last: int | None = None
        while True:
            count, shift = 0, 0
            for count, frame in enumerate(self._read(), 1):
                if count == 1 and last is not None and not self.live:
                    shift = last + step - frame.stamp_ns
                last = frame.stamp_ns + shift
                yield dataclasses.replace(frame, stamp_ns=last)
            if not count:
                raise SourceError(self.name, "expected at least one image, got none; is it empty or cut off?")
            if not self.loop:
                return

    @abstractmethod
    def _read(self) -> Iterator[Frame]:
        """Yield the frames of one pass from the first one."""

    def close(self) -> None:  # noqa: B027 - most sources hold nothing
        """Let go of files and devices; may be called twice."""

    def __enter__(self) -> Source:
        """Return the source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the source."""
        self.close()
