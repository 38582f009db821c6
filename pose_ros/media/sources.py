# SPDX-License-Identifier: Apache-2.0
"""Sources: where frames come from.

======================================  ======================================================================
``demo``, ``demo:SECONDS``              a real photograph under a slowly moving virtual camera
``clip.mp4``                            video file
``photo.jpg``, ``folder/``              image, or all images of a folder in natural order
``0``, ``/dev/video0``                  webcam
``rtsp://...``, ``http://...``          stream
``bag/``, ``bag.mcap``, ``bag.db3``      ROS 2 bag; ``bag#/topic`` names one of several cameras
======================================  ======================================================================
"""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
BAG_SUFFIXES = frozenset({".db3", ".mcap"})
#: Time between the images of a folder, unless the caller knows better.
FOLDER_FPS = 10.0
#: Longest wait for a stream to open and to deliver a frame, milliseconds.
STREAM_TIMEOUT_MS = 5000


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
        step = round(1e9 / (self.fps or FOLDER_FPS))
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


class Images(Source):
    """Image files, one after another."""

    def __init__(self, name: str, paths: list[Path], loop: bool = False, fps: float = 0.0) -> None:
        """Read ``paths`` in this order, ``fps`` of them per second."""
        super().__init__(name, loop)
        self.paths = paths
        self.fps = fps or FOLDER_FPS
        self.length = None if loop else len(paths)

    def _read(self) -> Iterator[Frame]:
        import cv2

        for index, path in enumerate(self.paths):
            data = np.frombuffer(path.read_bytes(), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            if image is None and len(self.paths) == 1:
                raise SourceError(self.name, "cannot be decoded as an image; it is cut off or has a wrong suffix")
            if image is None:
                log.warning("source '%s': left out %s: it cannot be decoded as an image", self.name, path.name)
                continue
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), round(index * 1e9 / (self.fps or FOLDER_FPS)))


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
        step, stamp = round(1e9 / (self.fps or FOLDER_FPS)), None
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


def open_source(spec: str, *, loop: bool = False, fps: float = 0.0) -> Source:
    """Open a source of frames.

    Args:
        spec: See the table at the top of this module.
        loop: Begin again at the end; a stream is opened again.
        fps: Frames per second of an image folder; 0 means 10.

    Raises:
        SourceError: There is nothing of that kind, or it cannot be opened; says what to do.
    """
    spec = str(spec).strip()
    word, _, argument = spec.partition(":")
    if word == "demo":
        from pose_ros.media.demo import Demo

        return Demo(spec, argument, loop)
    if spec.isdigit():
        return Capture(spec, int(spec), live=True, loop=loop)
    if re.match(r"[a-z]+://", spec):
        return Capture(spec, spec, live=True, loop=loop)
    device = re.fullmatch(r"/dev/video(\d+)", spec)
    if device:
        return Capture(spec, int(device.group(1)), live=True, loop=loop)
    return _open_path(spec, loop, fps)


def _open_path(spec: str, loop: bool, fps: float) -> Source:
    path, topic = Path(spec).expanduser(), ""
    if not path.exists() and "#" in spec:
        before, _, topic = spec.rpartition("#")
        path = Path(before).expanduser()
    if not spec or not path.exists():
        raise SourceError(spec, f"no such file or folder, seen from {Path.cwd()}; expected a video, image, folder, "
                          "bag, webcam number, stream address or 'demo'")
    try:
        is_bag = (path / "metadata.yaml").is_file() if path.is_dir() else path.suffix.lower() in BAG_SUFFIXES
        if is_bag or topic:
            from pose_ros.media.bags import Bag

            return Bag(spec, path, topic, loop)
        if path.is_dir():
            images = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=_natural)
            if not images:
                raise SourceError(spec, f"expected images ({' '.join(sorted(IMAGE_SUFFIXES))}) or a bag's "
                                  "metadata.yaml in the folder, found neither")
            return Images(spec, images, loop, fps)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return Images(spec, [path], loop, fps)
        if path.suffix.lower() == ".bag":
            raise SourceError(spec, f"is a ROS 1 bag; convert it: rosbags-convert --src {path} --dst {path.stem}")
        path.open("rb").close()
    except OSError as error:
        raise SourceError(spec, f"cannot be read: {error.strerror or error}") from error
    return Capture(spec, str(path), loop=loop)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts)]


