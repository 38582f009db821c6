# SPDX-License-Identifier: Apache-2.0
"""Bags that unpack to far more than they are, or than they say: refused before the memory or the disk is full."""

from __future__ import annotations

import io
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numbered import frames_of

pytest.importorskip("rosbags", reason="rosbags is not installed")
import lz4.frame
from republished import republished
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from test_bags import TYPES, image, write

from pose_ros.errors import ConfigError, SourceError
from pose_ros.media import unpack

MIB = 1 << 20
#: The limit of all tests here, MiB.
LIMIT = 8


READERS = pytest.mark.parametrize("read", [lambda path: len(frames_of(path)), republished], ids=["source", "player"])
Read = Callable[[str], int]


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(unpack.VARIABLE, str(LIMIT))


def _zeros(size: int) -> bytes:
    """``size`` zeros in a few bytes, by a stream, which does not say how many they are."""
    packed = io.BytesIO()
    with unpack.zstd().open(packed, "wb") as stream:
        for _ in range(size // MIB):
            stream.write(bytes(MIB))
    return packed.getvalue()


def _zeros_lz4(size: int) -> bytes:
    with lz4.frame.LZ4FrameCompressor() as packer:
        return b"".join([packer.begin(), *(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


def _record(op: int, content: bytes) -> bytes:
    return struct.pack("<BQ", op, len(content)) + content


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()


def _mcap(
    path: Path, chunk: bytes, says: int, compression: str, times: Iterable[int] = (0,), indexed: bool = True
) -> str:
    """Write a bag of images whose chunks, one for each time, hold what is given and say how large that is."""
    head = b"\x89MCAP0\r\n" + _record(1, _text("ros2") + _text("test"))
    schema = _record(3, struct.pack("<H", 1) + _text("sensor_msgs/msg/Image") + _text("") + struct.pack("<I", 0))
    channel = _record(4, struct.pack("<HH", 1, 1) + _text("/image") + _text("cdr") + struct.pack("<I", 0))
    body, index = head + schema + channel, b""
    for time in times:
        begin = len(body)
        body += _record(6, struct.pack("<QQQI", time, time, says, 0) + _text(compression)
                        + struct.pack("<Q", len(chunk)) + chunk)  # fmt: skip
        index_at, length = len(body), len(body) - begin
        body += _record(7, struct.pack("<HI", 1, 16) + bytes(16))
        index += _record(8, struct.pack("<QQQQIHQQ", time, time, begin, length, 10, 1, index_at, len(body) - index_at)
                         + _text(compression) + struct.pack("<QQ", len(chunk), says))  # fmt: skip
    summary = schema + channel + index + _record(11, struct.pack("<QHIIIIQQI", 1, 1, 1, 0, 0, 1, 0, 1, 10)
                                                 + struct.pack("<HQ", 1, 1))  # fmt: skip
    end = _record(15, bytes(4))
    footer = struct.pack("<QQI", len(body + end) if indexed else 0, 0, 0)
    path.write_bytes(body + end + (summary if indexed else b"") + _record(2, footer) + b"\x89MCAP0\r\n")
    return str(path)


@READERS
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "scanned"])
@pytest.mark.parametrize(("compression", "pack"), [("zstd", _zeros), ("lz4", _zeros_lz4)])
def test_a_chunk_that_says_how_large_it_is(
    tmp_path: Path, compression: str, pack: Callable[[int], bytes], indexed: bool, read: Read
) -> None:
    spec = _mcap(tmp_path / "bomb.mcap", pack(16 * MIB), 16 * MIB, compression, indexed=indexed)
    assert Path(spec).stat().st_size < MIB // 8
    with pytest.raises(SourceError, match=r"8 MiB at most.*says 16 MiB; if the bag is to be trusted, set POSE_ROS_BAG"):
        read(spec)


@READERS
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "scanned"])
@pytest.mark.parametrize(("compression", "pack"), [("zstd", _zeros), ("lz4", _zeros_lz4)])
def test_a_chunk_that_lies(
    tmp_path: Path, compression: str, pack: Callable[[int], bytes], indexed: bool, read: Read
) -> None:
    spec = _mcap(tmp_path / "bomb.mcap", pack(64 * MIB), 1000, compression, indexed=indexed)
    with pytest.raises(SourceError, match="says that it unpacks to 1000 bytes, and unpacks to more"):
        read(spec)
    spec = _mcap(tmp_path / "bomb.mcap", pack(MIB), 2 * MIB, compression, indexed=indexed)
    with pytest.raises(SourceError, match="says that it unpacks to 2097152 bytes, and unpacks to 1048576"):
        read(spec)


@READERS
def test_chunks_of_the_same_time_are_counted_together(tmp_path: Path, read: Read) -> None:
    packed = _zeros(7 * MIB)
    spec = _mcap(tmp_path / "bomb.mcap", packed, 7 * MIB, "zstd", times=[5] * 10)
    with pytest.raises(SourceError, match="same time that unpack to 32 MiB together at most, they say 35 MiB or more"):
        read(spec)


def test_chunks_one_after_the_other_may_be_many() -> None:
    chunks = [SimpleNamespace(message_start_time=t, message_end_time=t + 1, uncompressed_size=7 * MIB)
              for t in range(0, 200, 2)]  # fmt: skip
    unpack.check_together(chunks)


def test_memory_stays_where_it_was(tmp_path: Path) -> None:
    spec = _mcap(tmp_path / "bomb.mcap", _zeros(1024 * MIB), 1000, "zstd")
    assert Path(spec).stat().st_size < MIB
    before = _peak_kib()
    with pytest.raises(SourceError, match="unpacks to more"):
        republished(spec)
    assert _peak_kib() - before < 64 << 10


def _peak_kib() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _compressed(folder: Path, mode: CompressionMode, storage: StoragePlugin, last: int = 0) -> str:
    writer = Writer(folder, version=8, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer as bag:
        connection = bag.add_connection("/image", "sensor_msgs/msg/Image", typestore=TYPES)
        for index in range(5):
            message: Any = image(index, index + 1)
            if last and index == 4:
                message.data = np.zeros(last, np.uint8)
            bag.write(connection, index + 1, TYPES.serialize_cdr(message, message.__msgtype__))
    return str(folder)


MODES = pytest.mark.parametrize(("mode", "storage"), [
    (CompressionMode.FILE, StoragePlugin.SQLITE3), (CompressionMode.MESSAGE, StoragePlugin.SQLITE3),
    (CompressionMode.FILE, StoragePlugin.MCAP), (CompressionMode.STORAGE, StoragePlugin.MCAP)],
    ids=lambda value: value.name.lower())  # fmt: skip


@MODES
def test_whatever_is_compressed_honestly_is_read(tmp_path: Path, mode: CompressionMode, storage: StoragePlugin) -> None:
    spec = _compressed(tmp_path / "bag", mode, storage)
    assert [int(frame.image[0, 0, 0]) for frame in frames_of(spec)] == [0, 1, 2, 3, 4]
    assert republished(spec) == 5


@READERS
@MODES
def test_whole_files_messages_and_chunks_have_a_limit(
    tmp_path: Path, mode: CompressionMode, storage: StoragePlugin, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv(unpack.VARIABLE, "1")  # whole files: 32
    spec = _compressed(tmp_path / "bag", mode, storage, last=40 * MIB)
    assert sum(file.stat().st_size for file in Path(spec).iterdir()) < MIB
    with pytest.raises(SourceError, match=r"unpack to (1 MiB|4 MiB together|32 MiB) at most.*trusted, set"):
        read(spec)
    assert not list((tmp_path / "temporary").iterdir()), "it leaves files behind"
    monkeypatch.setenv(unpack.VARIABLE, "64")
    assert read(spec) >= 4


@READERS
def test_a_whole_file_that_does_not_say_how_large_it_is(tmp_path: Path, read: Read) -> None:
    spec = _compressed(tmp_path / "bag", CompressionMode.FILE, StoragePlugin.SQLITE3)
    next((tmp_path / "bag").glob("*.zstd")).write_bytes(_zeros(512 * MIB))
    with pytest.raises(SourceError, match="to unpack to 256 MiB at most"):
        read(spec)


@pytest.mark.parametrize(("statement", "said"), [
    ("CREATE VIEW messages AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
     "SELECT x AS id, 1 AS topic_id, x AS timestamp, zeroblob(1000000) AS data FROM n", "the view 'messages'"),
    ("CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB AS (zeroblob(900000000)))",
     "table 'messages' computes some"),
], ids=["endless", "computed"])  # fmt: skip
@READERS
def test_a_database_is_no_program(tmp_path: Path, statement: str, said: str, read: Read) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(1, 1)]}, StoragePlugin.SQLITE3)
    file = next((tmp_path / "bag").glob("*.db3"))
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE messages")
        database.execute(statement)
    database.close()
    for path in (spec, str(file)):
        with pytest.raises(SourceError, match=said):
            read(path)


def test_metadata_that_repeats_itself_without_end(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(1, 1)]})
    lines = ["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12))]
    (tmp_path / "bag" / "metadata.yaml").write_text("\n".join(lines))
    with pytest.raises(SourceError, match="1000000 values"):
        republished(spec)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e3", "9" * 30])
def test_a_limit_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(1, 1)]})
    monkeypatch.setenv(unpack.VARIABLE, text)
    with pytest.raises(ConfigError, match="expected a number of MiB"):
        republished(spec)


def test_another_rosbags_is_refused_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rosbags.rosbag2 import storage_mcap

    spec = write(tmp_path / "bag", {"/image": [image(1, 1)]})
    monkeypatch.delattr(storage_mcap, "DECOMPRESSORS")
    with pytest.raises(SourceError, match=r"version of rosbags whose unpacking can be limited"):
        republished(spec)
