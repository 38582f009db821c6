# SPDX-License-Identifier: Apache-2.0
"""Wire: sensor_msgs/Image from and to the bytes that travel, without the copies in between.

rclpy fills a cleared C message from the bytes, makes Python bytes of its pixels and an array of those, and goes the
same way back. For a 1080p image each step takes about as long as the tracker. Here the pixels stay where they are.

The layout is plain CDR (OMG DDS-XTypes 1.3, 7.4.1), the representation that all ROS 2 middlewares use: four bytes that
say so, then the fields in order, each aligned to its size, counted from behind those four bytes.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from pose_ros.errors import ShapeError
from pose_ros.ros.images import rgb_to_encoding

#: First two bytes of plain CDR -> byte order in the words of struct.
_ORDER = {b"\x00\x00": ">", b"\x00\x01": "<"}
#: Bytes before the fields.
_PREFIX = 4


@dataclass(frozen=True)
class WireImage:
    """The fields of sensor_msgs/Image; ``data`` is a view of the bytes that came."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


def write_image(rgb: np.ndarray, header: Header, encoding: str = "bgr8") -> bytes:
    """Return the serialized message of an image, which rclpy's publishers take as well.

    Args:
        rgb: RGB uint8 (H, W, 3).
        header: Of the message.
        encoding: See :func:`pose_ros.ros.images.rgb_to_encoding`.

    Raises:
        ShapeError: ``rgb`` is no image.
        ImageError: The encoding cannot be written.
    """
    pixels = rgb_to_encoding(rgb, encoding)
    height, width = pixels.shape[:2]
    head = bytearray(struct.pack("<iI", header.stamp.sec, header.stamp.nanosec))

    def add(kinds: str, *values: int) -> None:
        head.extend(bytes(-len(head) % 4) + struct.pack("<" + kinds, *values))

    def add_text(text: str) -> None:
        encoded = text.encode() + b"\0"
        add("I", len(encoded))
        head.extend(encoded)

    add_text(header.frame_id)
    add("II", height, width)
    add_text(encoding)
    head.append(sys.byteorder == "big")
    add("II", pixels.nbytes // height, pixels.nbytes)
    return b"".join((b"\0\1\0\0", head, pixels.data))


def read_image(raw: bytes) -> WireImage | Image:
    """Return the image in serialized bytes; rclpy reads those that are not laid out as usual.

    Raises:
        RuntimeError: rclpy cannot read them either.
    """
    try:
        return _read(raw)
    except (KeyError, IndexError, ValueError, struct.error):
        message: Image = deserialize_message(raw, Image)
        return message


def stamp_ns(raw: bytes) -> int:
    """Return the stamp of a serialized message that begins with a header, nanoseconds.

    Raises:
        ShapeError: It is too short, or not laid out as usual.
    """
    try:
        sec, nanosec = struct.unpack_from(_ORDER[raw[:2]] + "iI", raw, _PREFIX)
    except (KeyError, struct.error) as error:
        raise ShapeError("message", "plain CDR that begins with a header", f"{len(raw)} bytes: {raw[:4]!r}") from error
    return int(sec * 1_000_000_000 + nanosec)


def _read(raw: bytes) -> WireImage:
    order, at = _ORDER[raw[:2]], _PREFIX

    def numbers(kinds: str) -> tuple[int, ...]:
        nonlocal at
        at += -at % 4
        found = struct.unpack_from(order + kinds, raw, at)
        at += struct.calcsize(order + kinds)
        return found

    def text() -> str:
        nonlocal at
        (size,) = numbers("I")
        part, at = raw[at : at + size], at + size
        if len(part) != size or part[-1:] != b"\0":
            raise ValueError("expected a text with a zero at its end")
        return part[:-1].decode(errors="replace")

    sec, nanosec = numbers("iI")
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=text())
    height, width = numbers("II")
    encoding = text()
    is_bigendian, at = raw[at], at + 1
    step, size = numbers("II")
    data = memoryview(raw)[at : at + size]
    if len(data) != size:
        raise ValueError("expected more pixels")
    return WireImage(header, height, width, encoding, is_bigendian, step, data)
