# SPDX-License-Identifier: Apache-2.0
"""Video files out of frames, through OpenCV."""

from __future__ import annotations

import logging
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.frame import check_image
from pose_ros.errors import SourceError

log = logging.getLogger(__name__)

#: Bytes of a Matroska file in which its head is looked for; its elements Info and Tracks, and the number in each that
#: times are counted by: TimestampScale of 3 bytes and DefaultDuration of 4, as FFmpeg writes them.
_HEAD = 4096
_TIMES = ((b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1\x83"), (b"\x16\x54\xae\x6b", b"\x23\xe3\x83\x84"))


class VideoWriter:
    """Write an .mp4 with a fixed frame rate; a context manager. The file appears with the first frame."""

    def __init__(self, path: Path | str, fps: float, codec: str = "mp4v") -> None:
        """Say where the video goes.

        Args:
            path: File to write; an old one is replaced.
            fps: Frames per second of the video, whatever the pace at which they are written.
            codec: Four letters. ``mp4v`` (MPEG-4 part 2) works in every build of OpenCV; ``avc1`` (H.264) plays in
                browsers too, but the builds on PyPI cannot write it.
        """
        self.path, self.fps, self.codec = Path(path), float(fps), codec
        #: Frames written so far.
        self.frames = 0
        #: Frames that had another size than the first one and were scaled to fit, with black bars.
        self.fitted = 0
        self._size_wh = (0, 0)
        self._bgr: np.ndarray | None = None
        self._writer: Any = None

    def write(self, image: np.ndarray) -> None:
        """Append a frame.

        Args:
            image: RGB uint8 (H, W, 3).

        Raises:
            SourceError: The file cannot be written.
        """
        import cv2

        size = check_image(image).shape[1::-1]
        if self._writer is None:
            self._writer, self._size_wh = self._open(size), size
        if size != self._size_wh:
            if not self.fitted:
                log.warning("video '%s': a frame of %dx%d is scaled to fit %dx%d, with black bars", self.path, *size,
                            *self._size_wh)
            self.fitted += 1
            image = fit(image, self._size_wh)
        self._bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=self._bgr)
        self._writer.write(self._bgr)
        self.frames += 1

    def _open(self, size_wh: tuple[int, int]) -> Any:
        import cv2

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("wb").close()
        except OSError as error:
            raise SourceError(str(self.path), f"cannot be written: {error.strerror or error}") from error
        writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*self.codec), self.fps, size_wh)
        if not writer.isOpened():
            self.path.unlink(missing_ok=True)
            raise SourceError(str(self.path), f"this OpenCV cannot write codec '{self.codec}' into "
                              f"'{self.path.suffix}'; expected one it knows, such as mp4v into .mp4")
        return writer

    def close(self) -> None:
        """Finish the file; may be called twice."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def __enter__(self) -> VideoWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the file."""
        self.close()


def retime(path: Path | str, factor: float) -> bool:
    """Let a Matroska file that FFmpeg has written last ``factor`` times as long, by two numbers of its head.

    Its times are counted in units of TimestampScale, and players read the frame rate from DefaultDuration (RFC 9559).

    Returns:
        Whether both were found; otherwise the file is as it was.
    """
    with Path(path).open("r+b") as file:
        head = bytearray(file.read(_HEAD))
        for element, name in _TIMES:
            found = re.search(re.escape(element) + rb"([\x80-\xff]|[\x40-\x7f].)\xbf\x84", head, re.DOTALL)
            if found is None:
                return False
            long = len(found[1])
            end = found.end(1) + int.from_bytes(found[1], "big") - (1 << 7 * long)
            size, at = name[-1] & 0x7F, head.find(name, found.end(), end) + len(name)
            value = round(int.from_bytes(head[at : at + size], "big") * factor)
            if at < found.end() or end > len(head) or not 0 < value < 1 << 8 * size:
                return False
            head[at : at + size] = value.to_bytes(size, "big")
            # The element begins with a checksum of what follows.
            begin = found.end() + 4
            head[found.end() : begin] = zlib.crc32(head[begin:end]).to_bytes(4, "little")
        file.seek(0)
        file.write(head)
    return True


def fit(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return the image scaled to fit, in the middle of black, (height, width, 3)."""
    import cv2

    height, width = image.shape[:2]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    w, h = (max(1, round(n * scale)) for n in (width, height))
    out = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    x, y = (size_wh[0] - w) // 2, (size_wh[1] - h) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=method)
    return out


def write_image(path: Path | str, image: np.ndarray) -> None:
    """Write one RGB image; the suffix chooses the format.

    Raises:
        SourceError: The file cannot be written.
    """
    import cv2

    path = Path(path)
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(check_image(image), cv2.COLOR_RGB2BGR))
        if not done:
            raise SourceError(str(path), f"cannot be encoded as '{path.suffix}'")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except cv2.error as error:
        raise SourceError(str(path), f"expected a suffix such as .png or .jpg, got '{path.suffix}'") from error
    except OSError as error:
        raise SourceError(str(path), f"cannot be written: {error.strerror or error}") from error
