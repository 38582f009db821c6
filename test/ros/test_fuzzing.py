# SPDX-License-Identifier: Apache-2.0
"""Broken messages: each is read, or refused in words; none takes long, none takes memory that it does not give back."""

from __future__ import annotations

import contextlib
import random
import resource
import struct
import time
import tracemalloc
import zlib

import pytest

pytest.importorskip("tf2_msgs", reason="ROS 2 messages are not installed")
from fuzzing import KINDS, broken
from fuzzing.kinds import packed

from pose_ros.errors import ImageError, PoseRosError

#: Of each kind. `benchmarks/fuzz.py` sends many more.
COUNT = 1500


@pytest.mark.parametrize("name", KINDS)
def test_examples_are_read(name: str) -> None:
    for example in KINDS[name].examples:
        KINDS[name].read(example)


@pytest.mark.parametrize("name", KINDS)
def test_broken_messages_are_read_or_refused(name: str) -> None:
    kind, refused = KINDS[name], 0
    for seed in range(COUNT):
        message = broken(kind, random.Random(f"{name}{seed}"))
        try:
            kind.read(message)
        except PoseRosError as error:
            refused += bool(str(error))
        except Exception as error:
            raise AssertionError(f"{name} of seed {seed}: {type(error).__name__}: {error}") from error
    assert 0 < refused < COUNT


@pytest.mark.parametrize("name", KINDS)
def test_no_memory_is_kept(name: str) -> None:
    kind = KINDS[name]

    def send(first: int) -> None:
        for seed in range(first, first + 200):
            with contextlib.suppress(PoseRosError):
                kind.read(broken(kind, random.Random(f"{name}{seed}")))

    send(0)
    tracemalloc.start()
    send(0)
    before = tracemalloc.get_traced_memory()[0]
    send(0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000


def _png(chunks: list[tuple[bytes, int, bytes]]) -> bytes:
    """Return a PNG of (type, claimed length, data)."""
    found = b"\x89PNG\r\n\x1a\n"
    for kind, length, data in chunks:
        found += struct.pack(">I", length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return found


def test_a_chunk_that_claims_gigabytes_is_refused_before_anything_makes_room_for_it() -> None:
    """Seen with OpenCV 5: 9 kB made it ask for 2 GB, and look at all of them, for up to 25 seconds."""
    head = (b"IHDR", 13, struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0))
    pixels = zlib.compress(bytes(48 * (1 + 3 * 64)))
    for kind in (b"IDAT", b"tEXt", b"zTXt", b"eXIf", b"iCCP"):
        bad = _png([head, (kind, 2**31 - 1, b"abc"), (b"IDAT", len(pixels), pixels), (b"IEND", 0, b"")])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        with pytest.raises(ImageError, match="is damaged or has no end"):
            KINDS["CompressedImage"].read(packed(bad, "bgr8; png compressed bgr8"))
        assert time.process_time() - began < 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_png_with_another_chunk_before_its_header_is_refused() -> None:
    bad = _png([(b"tEXt", 3, b"abc"), (b"IHDR", 13, bytes(13)), (b"IEND", 0, b"")])
    with pytest.raises(ImageError, match="begins with something else than its header"):
        KINDS["CompressedImage"].read(packed(bad, "png"))
