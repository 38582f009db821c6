# SPDX-License-Identifier: Apache-2.0
"""Shared: images that stay where the camera has put them, for nodes of its machine.

A middleware copies the pixels of a raw image eight times on their way from camera to node. Here the camera writes them
once into shared memory, and the message (:class:`~pose_ros.msg.SharedImage`) says where.

The memory is a ring of a few images, whose file begins with a page of numbers, one for each. The number of an image
stands there while its pixels are whole: a reader that finds another one afterwards has been overtaken by the camera.
So nobody waits for anybody. The camera holds a lock on the file as long as it lives, by which files of killed
processes are known (``pose-ros`` removes them, see :mod:`pose_ros.cli.leftovers`).
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose_ros.core.frame import check_image
from pose_ros.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from pose_ros.msg import SharedImage

#: Images that the camera leaves lying: at 30 Hz, a node has a tenth of a second to take one after it was told of it.
SLOTS = 4
_FOLDER = Path("/dev/shm")
_NAME = re.compile(r"pose_ros_images_[0-9a-f]{16}")
#: The largest page of a kernel; offsets are multiples of it.
_PAGE = 1 << 16


def _stride(height: int, width: int) -> int:
    """Return the bytes of a slot."""
    return -(-height * width * 3 // _PAGE) * _PAGE


class SharedWriter:
    """The memory of one camera."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        """Ask for no memory yet."""
        self._folder, self._path, self._size_wh, self._count = folder, Path(), (0, 0), 0
        self._lock: int | None = None
        self._numbers = np.zeros(SLOTS, np.uint64)
        self._memory: mmap.mmap | None = None

    def write(self, rgb: np.ndarray, header: Header) -> SharedImage:
        """Put an image into the memory, and return the message that says where.

        Args:
            rgb: RGB uint8 (H, W, 3).
            header: Of the message.

        Raises:
            ShapeError: ``rgb`` is no image.
            ConfigError: This machine has no such memory, or not enough.
        """
        from pose_ros.msg import SharedImage

        height, width = check_image(rgb).shape[:2]
        if self._memory is None or self._size_wh != (width, height):
            self._open(height, width)
        assert self._memory is not None
        self._count += 1
        slot = self._count % SLOTS
        self._numbers[slot] = 0
        np.copyto(np.frombuffer(self._memory, np.uint8, rgb.size, _PAGE + slot * _stride(height, width))
                  .reshape(rgb.shape), rgb)
        self._numbers[slot] = self._count
        return SharedImage(header=header, height=height, width=width, memory=self._path.name, slot=slot,
                           number=self._count)

    def _open(self, height: int, width: int) -> None:
        """Take a new file: readers may still look at the old one."""
        import fcntl

        self.close()
        size = _PAGE + SLOTS * _stride(height, width)
        self._path = self._folder / f"pose_ros_images_{secrets.token_hex(8)}"
        try:
            self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # A promise that the memory is there: without it, writing to a full /dev/shm ends the process.
            os.posix_fallocate(self._lock, 0, size)
            self._memory = mmap.mmap(self._lock, size)
        except OSError as error:
            self.close()
            raise ConfigError("image/shared", f"expected {size >> 20} MB of shared memory in {self._folder}, got: "
                                              f"{error}; give more, or subscribe to raw images") from error
        self._numbers, self._size_wh = np.frombuffer(self._memory, np.uint64, SLOTS), (width, height)

    def close(self) -> None:
        """Give the memory back, as soon as the last reader lets go of it."""
        if self._lock is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._lock)
        self._lock = self._memory = None


class SharedReader:
    """Takes images out of the memory of a camera."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        """Look at nothing yet."""
        self._folder = folder
        #: Name of the file, and its bytes.
        self._last = "", np.zeros(0, np.uint8)

    def __call__(self, msg: SharedImage) -> np.ndarray:
        """Return the pixels that a message tells of.

        Returns:
            RGB uint8 (H, W, 3), a copy.

        Raises:
            ImageError: They are not there: the camera is on another machine, was restarted, or has gone on to later
                images.
        """
        what, height, width = f"image {msg.number} of {msg.width}x{msg.height} in {msg.memory}", msg.height, msg.width
        memory = self._open(msg.memory)
        begin, size = _PAGE + msg.slot * _stride(height, width), height * width * 3
        if not size or msg.slot >= SLOTS or begin + size > memory.size:
            raise ImageError(f"{what}: expected it in one of {SLOTS} slots of a file of {memory.size} bytes, got slot "
                             f"{msg.slot}; camera and node are of different versions")
        numbers = memory[: 8 * SLOTS].view(np.uint64)
        rgb = memory[begin : begin + size].reshape(height, width, 3).copy()
        if numbers[msg.slot] != msg.number:
            raise ImageError(f"{what}: overwritten, expected to be read before {SLOTS - 1} more came; "
                             "set image_transport to 'raw' where images have to wait")
        return rgb

    def _open(self, name: str) -> np.ndarray:
        """Return the memory of this name, (bytes,)."""
        if not _NAME.fullmatch(name):
            raise ImageError(f"expected the name of a shared memory of a camera, got '{name}'")
        last, memory = self._last
        if name == last:
            return memory
        try:
            file = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                memory = np.frombuffer(mmap.mmap(file, 0, prot=mmap.PROT_READ), np.uint8)
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            raise ImageError(f"cannot read the images in {self._folder / name}: {error}; shared images are for nodes "
                             "of the camera's machine and user: set image_transport to 'raw' elsewhere") from error
        self._last = name, memory
        return memory
