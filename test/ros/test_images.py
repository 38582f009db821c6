# SPDX-License-Identifier: Apache-2.0
"""Raw images: every encoding from bytes that are laid out here by hand, and what is refused."""

from __future__ import annotations

import array
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sensor_msgs", reason="ROS 2 messages are not installed")
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from pose_ros.errors import ImageError, ShapeError
from pose_ros.ros.images import image_to_rgb, rgb_to_image

RED_GREY_BLUE = [(230, 40, 30), (128, 128, 128), (20, 60, 220), (250, 250, 250)]
PACKED = ["rgb", "bgr", "rgba", "bgra"]
BAYER = ["rggb", "bggr", "gbrg", "grbg"]
COLOR = [f"{n}{d}" for n in PACKED for d in (8, 16)] + ["8UC3", "8UC4"]
YUV = ["uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21", "nv24"]
GREY = ["mono8", "mono16", "8UC1"]
BAYERS = [f"bayer_{n}{d}" for n in BAYER for d in (8, 16)]
ALL = [*COLOR, *YUV, *GREY, *BAYERS]


def picture(height: int = 8, bar: int = 8) -> np.ndarray:
    """Return vertical bars of known colours, RGB uint8 (height, 4 bar, 3)."""
    return np.repeat(np.array([RED_GREY_BLUE], np.uint8), bar, axis=1).repeat(height, axis=0)


def yuv(rgb: np.ndarray) -> np.ndarray:
    """Return Y, U, V of ITU-R BT.601 with limited range, uint8 (H, W, 3)."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    return np.rint(rgb / 255 @ matrix.T + [16, 128, 128]).astype(np.uint8)


def lay_out(rgb: np.ndarray, encoding: str, big_endian: bool = False) -> list[np.ndarray]:
    """Return the rows of bytes of ``rgb`` in an encoding, written from the encodings' definitions."""
    h, w = rgb.shape[:2]
    y, u, v = np.moveaxis(yuv(rgb), 2, 0)
    generic = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
    encoding = generic.get(encoding, encoding)
    if encoding in ("uyvy", "yuv422"):
        samples = np.stack([u[:, ::2], y[:, ::2], v[:, ::2], y[:, 1::2]], 2).reshape(h, 2 * w)
    elif encoding in ("yuyv", "yuv422_yuy2"):
        samples = np.stack([y[:, ::2], u[:, ::2], y[:, 1::2], v[:, ::2]], 2).reshape(h, 2 * w)
    elif encoding in ("nv12", "nv21"):
        first, second = (u, v) if encoding == "nv12" else (v, u)
        samples = np.concatenate([y, np.stack([first[::2, ::2], second[::2, ::2]], 2).reshape(h // 2, w)])
    elif encoding == "nv24":
        samples = np.concatenate([y, np.stack([u, v], 2).reshape(2 * h, w)])
    elif encoding.startswith("bayer"):
        pattern = encoding[6:10]
        samples = np.empty((h, w), np.uint8)
        for i, letter in enumerate(pattern):
            samples[i // 2 :: 2, i % 2 :: 2] = rgb[i // 2 :: 2, i % 2 :: 2, "rgb".index(letter)]
    elif encoding.startswith("mono"):
        samples = rgb[..., 0]
    else:
        alpha = np.full((h, w, 1), 77, np.uint8)
        samples = np.concatenate([rgb, alpha], 2)[..., ["rgba".index(c) for c in encoding.rstrip("0123456789")]]
    if encoding.endswith("16"):
        # 40 more than the exact value rounds to the same 8 bits, and tells the two bytes apart.
        samples = (samples.astype(np.uint16) * 257 + 40).astype(">u2" if big_endian else "<u2")
    return [np.frombuffer(row.tobytes(), np.uint8) for row in samples]


def message(rgb: np.ndarray, encoding: str, *, padding: int = 0, big_endian: bool = False) -> Image:
    rows = lay_out(rgb, encoding, big_endian)
    if encoding == "nv24" and padding:
        # A row of its chroma is as long as two of its brightness: the padding of both comes after it.
        h = len(rgb)
        chroma = np.stack(rows[h:]).reshape(h, -1)
        data = b"".join(r.tobytes() + b"\xa5" * padding for r in rows[:h])
        data += b"".join(r.tobytes() + b"\xa5" * 2 * padding for r in chroma)
    else:
        data = b"".join(r.tobytes() + b"\xa5" * padding for r in rows)
    msg = Image(height=rgb.shape[0], width=rgb.shape[1], encoding=encoding, is_bigendian=big_endian)
    msg.step = len(lay_out(rgb, encoding)[0]) + padding
    msg.data = array.array("B", data)
    return msg


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("encoding", ALL)
def test_known_colours_come_back(encoding: str, padding: int) -> None:
    rgb = picture()
    if encoding in GREY:
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
    got = image_to_rgb(message(rgb, encoding, padding=padding))
    assert got.shape == rgb.shape
    assert got.dtype == np.uint8
    # YUV rounds; demosaicing mixes colours at the edges of the bars.
    inner = np.arange(rgb.shape[1]) % 8
    columns = (inner > 1) & (inner < 6) if encoding in BAYERS else inner >= 0
    np.testing.assert_allclose(got[:, columns].astype(int), rgb[:, columns], atol=3 if encoding in YUV else 0)


@pytest.mark.parametrize("encoding", [e for e in ALL if e.endswith("16")])
def test_both_byte_orders_say_the_same(encoding: str) -> None:
    little, big = (message(picture(), encoding, big_endian=b) for b in (False, True))
    assert little.data != big.data
    np.testing.assert_array_equal(image_to_rgb(little), image_to_rgb(big))


def test_16_bits_are_scaled_and_rounded() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    msg = Image(height=1, width=8, encoding="mono16", step=16, is_bigendian=sys.byteorder == "big")
    msg.data.frombytes(values.tobytes())
    assert image_to_rgb(msg)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]


@pytest.mark.parametrize("encoding", [e for e in ALL if e.startswith("bayer")])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 5), (3, 2), (3, 3)])
def test_small_bayer_images_are_not_black(encoding: str, size: tuple[int, int]) -> None:
    grey = np.full((*size, 3), 90, np.uint8)
    np.testing.assert_array_equal(image_to_rgb(message(grey, encoding)), grey)


@pytest.mark.parametrize("encoding", [e for e in ALL if e not in YUV])
def test_one_pixel(encoding: str) -> None:
    rgb = np.full((1, 1, 3), 200, np.uint8)
    np.testing.assert_array_equal(image_to_rgb(message(rgb, encoding)), rgb)


def test_smallest_yuv_images() -> None:
    for encoding, size in [("nv24", (1, 1)), ("uyvy", (1, 2)), ("yuyv", (1, 2)), ("nv12", (2, 2)), ("nv21", (2, 2))]:
        rgb = np.full((*size, 3), 200, np.uint8)
        np.testing.assert_allclose(image_to_rgb(message(rgb, encoding)).astype(int), rgb, atol=2)


@pytest.mark.parametrize("padding", [0, 12])
def test_rgb8_is_a_view_that_cannot_be_written(padding: int) -> None:
    msg = message(picture(), "rgb8", padding=padding)
    rgb = image_to_rgb(msg)
    assert np.shares_memory(rgb, np.frombuffer(msg.data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        rgb[0, 0] = 0


@pytest.mark.parametrize("encoding", ALL)
def test_the_message_is_not_changed(encoding: str) -> None:
    msg = message(picture(), encoding)
    before = msg.data.tobytes()
    image_to_rgb(msg)
    assert msg.data.tobytes() == before


@pytest.mark.parametrize("encoding", [e for e in ALL if not e.startswith(("nv", "8UC"))])
def test_agrees_with_rosbags_image(encoding: str, rng: np.random.Generator) -> None:
    oracle = pytest.importorskip("rosbags.image", reason="the oracle rosbags-image is not installed")
    msg = message(picture(), encoding)
    msg.data = array.array("B", rng.integers(0, 256, len(msg.data), dtype=np.uint8).tobytes())
    expected = oracle.message_to_cvimage(msg, "rgb8")
    # It cuts 16 bits off where we round.
    np.testing.assert_allclose(image_to_rgb(msg).astype(int), expected, atol=1 if encoding.endswith("16") else 0)


def bad(**fields: object) -> Image:
    msg = message(picture(), "bgr8")
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (bad(step=95), "step of at least 96"),
        (bad(step=0), "step of at least 96"),
        (bad(width=0), "at least one pixel"),
        (bad(height=0), "at least one pixel"),
        (bad(encoding="bgr9"), "did you mean 'bgr8'"),
        (bad(encoding=""), "known: 8UC1"),
        (bad(encoding="16UC1"), "depth image"),
        (bad(encoding="32FC1"), "depth image"),
        (bad(data=array.array("B", bytes(767))), "expected 768 bytes, got 767"),
        (bad(data=array.array("B", bytes(769))), "expected 768 bytes, got 769"),
        (bad(data=array.array("B")), "expected 768 bytes, got 0"),
        (bad(encoding="uyvy", width=31), "multiples of 2 and 1"),
        (bad(encoding="nv12", height=7), "multiples of 2 and 2"),
        (bad(width=16384, height=16384, step=49152), "expected 805306368 bytes, got 768"),
        (bad(width=2**32 - 1, height=2**32 - 1, step=2**32 - 1, encoding="mono8"), "got 768"),
    ],
)
def test_wrong_messages_say_what_is_wrong(msg: Image, words: str) -> None:
    tracemalloc.start()
    with pytest.raises(ImageError, match=words):
        image_to_rgb(msg)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000, "nothing large is allocated for a wrong header"


@settings(max_examples=300, deadline=None)
@given(
    encoding=st.sampled_from(ALL),
    width=st.integers(0, 24),
    height=st.integers(0, 24),
    extra=st.integers(-3, 9),
    data=st.binary(max_size=4000),
    fits=st.booleans(),
    big_endian=st.booleans(),
)
def test_any_message_is_an_image_or_an_image_error(
    encoding: str, width: int, height: int, extra: int, data: bytes, fits: bool, big_endian: bool
) -> None:
    even = width > 0 and height > 0 and width % 2 == height % 2 == 0
    rows = lay_out(np.zeros((height, width, 3), np.uint8), encoding) if even else []
    step = max(0, (len(rows[0]) if rows else width) + extra)
    if fits and rows:
        data = (data + b"\x00").ljust(step * len(rows), b"\x5a")[: step * len(rows)]
    msg = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big_endian)
    msg.data = array.array("B", data)
    try:
        got = image_to_rgb(msg)
    except ImageError:
        got = None
    if fits and rows and extra >= 0:
        assert got is not None
    if got is not None:
        assert got.shape == (height, width, 3)
        assert got.dtype == np.uint8


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_writing_and_reading_returns_the_image(encoding: str, rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (12, 40, 3), dtype=np.uint8)[:, ::2]
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 5, 999_999_999
    msg = rgb_to_image(rgb, header, encoding)
    assert (msg.width, msg.height, msg.encoding) == (20, 12, encoding)
    assert msg.step * msg.height == len(msg.data)
    assert msg.header == header
    np.testing.assert_array_equal(image_to_rgb(msg), rgb)


def test_writing_mono() -> None:
    msg = rgb_to_image(np.full((2, 3, 3), 60, np.uint8), Header(), "mono8")
    assert msg.data.tobytes() == bytes([60] * 6)


def test_writing_refuses_what_is_no_image() -> None:
    with pytest.raises(ImageError, match="did you mean 'bgr8'"):
        rgb_to_image(picture(), Header(), "bgr16")
    for encoding in ("rgb8", "bgr8"):
        with pytest.raises(ShapeError):
            rgb_to_image(np.zeros((4, 4), np.uint8), Header(), encoding)
