# SPDX-License-Identifier: Apache-2.0
"""What a JPEG or PNG in memory claims to be, read without decoding it."""

from __future__ import annotations

from pose_ros.errors import ImageError

#: No complete file says more: DEFLATE reaches 1032 to 1 on PNG's 8 pixels per byte, JPEG needs a bit per 8x8 block.
_MAX_PIXELS_PER_BYTE = 8 * 1032

_PNG = b"\x89PNG\r\n\x1a\n"


def size(data: bytes) -> tuple[int, int]:
    """Return (width, height) that the header of a complete JPEG or PNG claims.

    Raises:
        ImageError: It is neither, its end is missing, or its bytes cannot hold so many pixels.
    """
    if data.startswith(_PNG):
        width, height = _png_size(data)
    elif data.startswith(b"\xff\xd8"):
        width, height = _jpeg_size(data)
    else:
        raise ImageError(f"expected a JPEG or PNG, got {len(data)} bytes that begin with '{data[:4].hex(' ')}'")
    if width < 1 or height < 1:
        raise ImageError(f"compressed image claims {width}x{height} pixels, expected at least one")
    if width * height > _MAX_PIXELS_PER_BYTE * len(data):
        raise ImageError(f"compressed image claims {width}x{height} pixels, more than its {len(data)} bytes can hold")
    return width, height


def _png_size(data: bytes) -> tuple[int, int]:
    """Walk the chunks of a PNG (ISO/IEC 15948, 5.3) to its end.

    Decoders make room for what a chunk says of its length before they read it: up to 4 GB for a file of some bytes.
    """
    at = len(_PNG)
    if data[at + 4 : at + 8] != b"IHDR":
        raise ImageError(f"PNG of {len(data)} bytes begins with something else than its header; it is damaged")
    while at + 12 <= len(data):
        kind, length = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND" and length == 0:
            return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        at += 12 + length
    raise ImageError(f"PNG of {len(data)} bytes is damaged or has no end; it was cut off")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments of a JPEG (ITU-T T.81, B.1) to its frame header, and see that the scan has an end."""
    at, found = 2, None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(data):
            found = int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if marker == 0xDA and found is not None:
            # Only behind the start of the scan: a thumbnail in the head has an end of its own.
            if data.rfind(b"\xff\xd9", at) < 0:
                break
            return found
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ImageError(f"JPEG of {len(data)} bytes is damaged or has no end; it was cut off")
