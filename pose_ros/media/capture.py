# SPDX-License-Identifier: Apache-2.0
"""Capture: video files, webcams and streams as a source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError
from pose_ros.media.source import DEFAULT_FPS, Source

#: Longest wait for a stream to open and to deliver a frame, milliseconds.
STREAM_TIMEOUT_MS = 5000


class Capture(Source):
    """Anything that cv2.VideoCapture reads: video files, webcams, streams."""

    def __init__(self, name: str, target: str | int, *, live: bool = False, loop: bool = False) -> None:
        """Open the target.

        Raises:
            SourceError: It cannot be opened.
        """
        import cv2

        super().__init__(name, loop)
        self.live, self._target = live, target
        self._capture = self._open()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        # A file behind an http address has a length, and does not run away.
        self.live = self.absolute = live and count <= 0
        self.length = count if count > 0 and not loop else None

    def _open(self) -> Any:
        import cv2

        if isinstance(self._target, int):
            capture = cv2.VideoCapture(self._target)
        elif self.live:
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            options = [value for limit in limits for value in (limit, STREAM_TIMEOUT_MS)]
            capture = cv2.VideoCapture(self._target, cv2.CAP_FFMPEG, options)
        else:
            capture = cv2.VideoCapture(self._target)
        if capture.isOpened():
            return capture
        capture.release()
        if isinstance(self._target, int):
            found = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
            raise SourceError(self.name, f"no webcam {self._target} can be opened; devices here: {found}. "
                              "Is it plugged in, free, and may you read it (group 'video')?")
        if self.live:
            raise SourceError(self.name, f"the stream did not open within {STREAM_TIMEOUT_MS / 1000:g} s; "
                              "check address, network and password")
        raise SourceError(self.name, "cannot be opened as a video; expected a file that ffmpeg reads, such as .mp4")

    def _read(self) -> Iterator[Frame]:
        import cv2

        if self._capture is None:
            self._capture = self._open()
        step, stamp = round(1e9 / (self.fps or DEFAULT_FPS)), None
        try:
            while True:
                read, image = self._capture.read()
                if not read:
                    return
                shown = time.time_ns() if self.live else round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                # Some containers have no, or repeated, time stamps.
                stamp = shown if stamp is None or shown > stamp else stamp + step
                yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file or device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
