# SPDX-License-Identifier: Apache-2.0
"""Wire: serialized images are read and written as rclpy does it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from pose_ros.ros.images import image_to_rgb, rgb_to_image
from pose_ros.ros.wire import WireImage, read_image, write_image

FIELDS = ("header", "height", "width", "encoding", "is_bigendian", "step")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
WORDS = st.integers(0, 2**32 - 1)


def image(**fields: object) -> Image:
    header = Header(frame_id="camera", stamp=Time(sec=-7, nanosec=5))
    return Image(**{"header": header, "height": 2, "width": 1, "encoding": "bgr8", "step": 3, **fields})


def big_endian(frame_id: bytes, encoding: bytes, data: bytes) -> bytes:
    """Return the bytes that a big-endian machine sends, laid out by hand."""
    out = bytearray(struct.pack(">iII", -7, 5, len(frame_id)) + frame_id)
    out += bytes(-len(out) % 4) + struct.pack(">III", 2, 1, len(encoding)) + encoding + b"\1"
    out += bytes(-len(out) % 4) + struct.pack(">II", 3, len(data)) + data
    return b"\0\0\0\0" + bytes(out)


@given(frame_id=TEXTS, encoding=TEXTS, height=WORDS, width=WORDS, step=WORDS, big=st.integers(0, 255),
       sec=st.integers(-(2**31), 2**31 - 1), nanosec=WORDS, data=st.binary(max_size=9))
def test_it_reads_what_rclpy_writes(frame_id, encoding, height, width, step, big, sec, nanosec, data):
    header = Header(frame_id=frame_id, stamp=Time(sec=sec, nanosec=nanosec))
    message = image(header=header, height=height, width=width, encoding=encoding, step=step, is_bigendian=big,
                    data=data)
    read = read_image(serialize_message(message))
    assert isinstance(read, WireImage)
    assert [getattr(read, name) for name in FIELDS] == [getattr(message, name) for name in FIELDS]
    assert bytes(read.data) == data


@pytest.mark.parametrize("frame_id", [b"\0", b"a\0", b"ab\0", b"abc\0", b"abcd\0"])
@pytest.mark.parametrize("encoding", [b"bgr8\0", b"rgb16\0", b"mono16\0"])
def test_it_reads_the_other_byte_order(frame_id, encoding):
    read = read_image(big_endian(frame_id, encoding, b"123456"))
    assert isinstance(read, WireImage)
    assert (read.header.stamp, read.header.frame_id) == (Time(sec=-7, nanosec=5), frame_id[:-1].decode())
    assert (read.height, read.width, read.encoding, read.is_bigendian, read.step) == (
        2, 1, encoding[:-1].decode(), 1, 3
    )
    assert bytes(read.data) == b"123456"


def test_pixels_are_not_copied():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    raw = serialize_message(rgb_to_image(rgb, Header(), "rgb8"))
    read = image_to_rgb(read_image(raw))
    assert (read == rgb).all()
    assert np.shares_memory(read, np.frombuffer(raw, np.uint8))
    assert not read.flags.writeable


def test_what_is_laid_out_otherwise_is_left_to_rclpy():
    raw = serialize_message(image(data=b"123456"))
    # A text without a zero at its end.
    odd = raw.replace(b"bgr8\0", b"bgr8!")
    read = read_image(odd)
    assert isinstance(read, Image)
    assert read == deserialize_message(odd, Image)


def test_what_was_cut_off_is_an_error_at_every_length():
    raw = serialize_message(image(data=b"123456"))
    used = raw.rindex(b"123456") + 6
    for size in range(used):
        with pytest.raises(RuntimeError):
            read_image(raw[:size])


@given(frame_id=TEXTS, encoding=st.sampled_from(["rgb8", "bgr8", "rgba8", "mono8"]), height=st.integers(1, 4),
       width=st.integers(1, 4), sec=st.integers(-(2**31), 2**31 - 1), nanosec=WORDS)
def test_it_writes_what_rclpy_writes(frame_id, encoding, height, width, sec, nanosec):
    rgb = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    header = Header(frame_id=frame_id, stamp=Time(sec=sec, nanosec=nanosec))
    raw, message = write_image(rgb, header, encoding), rgb_to_image(rgb, header, encoding)
    assert deserialize_message(raw, Image) == message
    # Not compared byte by byte: rclpy leaves whatever was there in the gaps between the fields.
    assert len(raw) == len(serialize_message(message))


def test_it_writes_slices():
    rgb = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)[:, ::2]
    assert deserialize_message(write_image(rgb, Header(), "rgb8"), Image) == rgb_to_image(rgb, Header(), "rgb8")
