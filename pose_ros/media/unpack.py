# SPDX-License-Identifier: Apache-2.0
"""Unpack what bags hold compressed, up to a limit: a few kilobytes of zeros are gigabytes, and headers can lie.

rosbags unpacks first and compares afterwards: chunks and messages in memory, whole files in the temporary folder. So
chunks are unpacked by what stands here, put into its table, and files and messages before it sees them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from pose_ros.errors import ConfigError

#: MiB that a chunk or message may unpack to, unless this variable of the environment says otherwise. Recorders write
#: chunks of 1 to 4 MiB, more only where a single message is larger.
VARIABLE, _DEFAULT_MIB = "POSE_ROS_BAG_LIMIT_MIB", 256
#: Chunks of the same time lie in memory together; whole files lie on the disk.
_TOGETHER, _WHOLE = 4, 32
_ADVICE = f"; if the bag is to be trusted, set {VARIABLE}"


class TooLargeError(Exception):
    """Something unpacks to more than it may, or says."""


def limit() -> int:
    """Return the bytes that a chunk or message may unpack to.

    Raises:
        ConfigError: The environment says nonsense.
    """
    text = os.environ.get(VARIABLE, str(_DEFAULT_MIB))
    if not text.isdecimal() or not 0 < int(text) < 1 << 20:
        raise ConfigError(VARIABLE, f"expected a number of MiB from 1 to 1048575, got '{text}'")
    return int(text) << 20


def zstd() -> ModuleType:
    """Return the library that rosbags has brought along; it changed, and is part of Python from 3.14 on."""
    return _brought("compression.zstd", "backports.zstd", "zstandard")


def _brought(*names: str) -> ModuleType:
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise ImportError(f"expected {' or '.join(names)}, which rosbags needs, too; found none")


def message(data: bytes) -> bytes:
    """Return an unpacked message.

    Raises:
        TooLargeError: It is larger than the limit.
    """
    most = limit()
    with zstd().open(io.BytesIO(data), "rb") as stream:
        whole: bytes = stream.read(most + 1)
    if len(whole) > most:
        raise TooLargeError(f"expected messages that unpack to {most >> 20} MiB at most, one of {len(data)} bytes is "
                            f"larger{_ADVICE}")
    return whole


def _chunk(unpack: Callable[[bytes, int], bytes]) -> Callable[[bytes, int], bytes]:
    def checked(data: bytes, size: int) -> bytes:
        if size > limit():
            raise TooLargeError(f"expected chunks that unpack to {limit() >> 20} MiB at most, one of {len(data)} bytes "
                                f"says {size >> 20} MiB{_ADVICE}")
        whole = unpack(data, size + 1)  # one more than it says tells whether it is honest
        if len(whole) != size:
            came = "more" if len(whole) > size else str(len(whole))
            raise TooLargeError(f"a chunk says that it unpacks to {size} bytes, and unpacks to {came}")
        return whole

    return checked


def _chunk_of_zstd(data: bytes, most: int) -> bytes:
    with zstd().open(io.BytesIO(data), "rb") as stream:
        return bytes(stream.read(most))


def _chunk_of_lz4(data: bytes, most: int) -> bytes:
    return bytes(_brought("lz4.frame").LZ4FrameDecompressor().decompress(data, max_length=most))


def guard_chunks() -> None:
    """Let rosbags unpack chunks with a limit, in the whole process.

    Raises:
        TooLargeError: This rosbags unpacks elsewhere.
    """
    from rosbags.rosbag2 import storage_mcap

    table: dict[str, Any] = getattr(storage_mcap, "DECOMPRESSORS", {})
    if not {"zstd", "lz4"} <= table.keys():
        raise TooLargeError("expected a version of rosbags whose unpacking can be limited, such as 0.11.5 to 0.11.9; "
                            "this one is another")
    table |= {"zstd": _chunk(_chunk_of_zstd), "lz4": _chunk(_chunk_of_lz4)}


def check_together(chunks: Iterable[Any]) -> None:
    """Check that chunks of the same time, which are in memory together, are not too large together.

    Raises:
        TooLargeError: They are.
    """
    ends = sorted(end for chunk in chunks for end in (
        # At the same time, what begins comes before what ends.
        (chunk.message_start_time, 0, chunk.uncompressed_size),
        (max(chunk.message_start_time, chunk.message_end_time), 1, -chunk.uncompressed_size)))
    most, open_ = _TOGETHER * limit(), 0
    for _, _, size in ends:
        open_ += size
        if open_ > most:
            raise TooLargeError(f"expected chunks of the same time that unpack to {most >> 20} MiB together at most, "
                                f"they say {open_ >> 20} MiB or more{_ADVICE}")


def file(packed: Path, place: Path) -> None:
    """Unpack a file.

    Raises:
        TooLargeError: It is larger than the limit, or than half of the room that is left there.
    """
    most = min(_WHOLE * limit(), shutil.disk_usage(place.parent).free // 2)
    with packed.open("rb") as source, zstd().open(source, "rb") as stream, place.open("wb") as out:
        if _copy(stream, out, most):
            raise TooLargeError(f"expected {packed.name} to unpack to {most >> 20} MiB at most, as much as may lie in "
                                f"{tempfile.gettempdir()}; it is larger{_ADVICE}, or TMPDIR to a folder with more room")


def _copy(stream: IO[bytes], out: IO[bytes], most: int) -> bool:
    """Return whether there is more than may be copied."""
    while part := stream.read(1 << 20):
        most -= len(part)
        if most < 0:
            return True
        out.write(part)
    return False
