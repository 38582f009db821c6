# SPDX-License-Identifier: Apache-2.0
"""Depth messages: every encoding from bytes laid out here by hand, and what is refused."""

from __future__ import annotations

import array
import contextlib
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.errors import ImageError
from pose_ros.ros import rvl
from pose_ros.ros.depth import depth_values

METRES = np.array([[0.5, 1.25, np.nan], [2.0, np.inf, 3.75]], np.float32)
MILLIMETRES = np.array([[500, 1250, 0], [2000, 0, 65535]], np.uint16)


def image(values: np.ndarray, encoding: str, big_endian: bool = False, padding: int = 0, **other: object) -> object:
    """Return what has the fields of sensor_msgs/Image."""
    rows = values.astype(values.dtype.newbyteorder(">" if big_endian else "<")).view(np.uint8).reshape(len(values), -1)
    rows = np.pad(rows, [(0, 0), (0, padding)], constant_values=0xAB)
    fields = {"width": values.shape[1], "height": len(values), "step": rows.shape[1], "encoding": encoding,
              "is_bigendian": big_endian, "data": array.array("B", rows.tobytes())}  # fmt: skip
    return SimpleNamespace(**{**fields, **other})


def compressed(values: np.ndarray, format: str, a: float = 0.0, b: float = 0.0, data: bytes | None = None) -> object:
    """Return what has the fields of sensor_msgs/CompressedImage, as compressed_depth_image_transport writes it."""
    if data is None:
        data = cv2.imencode(".png", values)[1].tobytes() if "rvl" not in format else (
            struct.pack("<II", values.shape[1], values.shape[0]) + encode(values))
    return SimpleNamespace(format=format, data=array.array("B", struct.pack("<iff", 0, a, b) + data))


def encode(values: np.ndarray) -> bytes:
    """Compress by RVL, value by value, as the paper describes it."""
    nibbles: list[int] = []

    def write(number: int) -> None:
        while True:
            nibble, number = number & 7, number >> 3
            nibbles.append(nibble | (8 if number else 0))
            if not number:
                return

    flat, at, previous = values.ravel().tolist(), 0, 0
    while at < len(flat):
        for wanted in (False, True):
            end = at
            while end < len(flat) and bool(flat[end]) == wanted:
                end += 1
            write(end - at)
            if wanted:
                for value in flat[at:end]:
                    delta, previous = value - previous, value
                    write(2 * delta if delta >= 0 else -2 * delta - 1)
            at = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 3, 4])
@pytest.mark.parametrize(("values", "encoding", "scale"), [
    (MILLIMETRES, "16UC1", 0.001), (MILLIMETRES, "mono16", 0.001), (METRES, "32FC1", 1.0)
])  # fmt: skip
def test_raw(values: np.ndarray, encoding: str, scale: float, padding: int, big_endian: bool) -> None:
    read = depth_values(image(values, encoding, big_endian, padding))
    np.testing.assert_array_equal(read.image, values)
    assert read.image.dtype == values.dtype
    assert read.image.dtype.isnative
    assert read.scale == scale
    Depth(read.image, Camera(np.eye(3), (3, 2)), read.scale)


def test_raw_image_is_not_copied_where_nothing_has_to_be_done() -> None:
    msg = image(MILLIMETRES, "16UC1")
    assert np.shares_memory(depth_values(msg).image, np.frombuffer(msg.data, np.uint8))


def test_real_message_of_ros() -> None:
    sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="ROS 2 messages are not installed")
    raw = image(METRES, "32FC1")
    msg = sensor_msgs.Image(**{k: v for k, v in vars(raw).items() if k != "is_bigendian"})
    np.testing.assert_array_equal(depth_values(msg).image, METRES)
    packed = compressed(MILLIMETRES, "16UC1; compressedDepth png")
    msg = sensor_msgs.CompressedImage(format=packed.format, data=packed.data)
    np.testing.assert_array_equal(depth_values(msg).image, MILLIMETRES)


@pytest.mark.parametrize("format", [
    "16UC1; compressedDepth", "16UC1; compressedDepth png", "16UC1; compressedDepth rvl", "mono16; compressedDepth png"
])  # fmt: skip
def test_compressed_millimetres(format: str) -> None:
    read = depth_values(compressed(MILLIMETRES, format))
    np.testing.assert_array_equal(read.image, MILLIMETRES)
    assert (read.image.dtype, read.scale) == (np.uint16, 0.001)


@pytest.mark.parametrize("format", [f"32FC1; compressedDepth{how}" for how in ("", " png", " rvl")])
def test_compressed_metres_are_inverse_depths(format: str) -> None:
    """Quantised as the transport does with its default parameters: depth_quantization 100, depth_max 10 m."""
    a = 100.0 * (100.0 + 1)
    b = 1 - a / 10.0
    with np.errstate(invalid="ignore"):
        inverse = np.where(METRES < 10, a / METRES + b, 0)
    read = depth_values(compressed(np.nan_to_num(inverse).astype(np.uint16), format, a, b))
    assert read.scale == 1.0
    np.testing.assert_array_equal(np.isnan(read.image), ~(METRES < 10))
    # The transport's own precision: a step of the inverse depth, z^2 / A.
    known = METRES[METRES < 10]
    assert (np.abs(read.image[METRES < 10] - known) <= known**2 / a * 1.001).all()


@settings(max_examples=60)
@given(st.lists(st.one_of(st.just(0), st.integers(0, 65535)), min_size=1, max_size=60))
def test_rvl_gives_back_what_went_in(values: list[int]) -> None:
    np.testing.assert_array_equal(rvl.decode(encode(np.array(values)), len(values)), values)


def test_rvl_of_an_image_with_holes(rng: np.random.Generator) -> None:
    values = np.rint(1500 + 400 * np.sin(np.arange(120 * 160) / 700)).astype(np.uint16).reshape(120, 160)
    values[rng.random(values.shape) < 0.1] = 0
    data = encode(values)
    np.testing.assert_array_equal(rvl.decode(data, values.size).reshape(values.shape), values)


@pytest.mark.parametrize("cut", [0, 3, 8, 40])
def test_rvl_that_was_cut_off(cut: int) -> None:
    data = encode(np.arange(1, 200, dtype=np.uint16))
    with pytest.raises(ImageError, match=r"cut off|damaged"):
        rvl.decode(data[:cut], 199)


@settings(max_examples=80)
@given(st.binary(max_size=80), st.integers(1, 500))
def test_rvl_of_anything_is_values_or_an_error(data: bytes, count: int) -> None:
    with contextlib.suppress(ImageError):
        assert rvl.decode(data, count).shape == (count,)


@pytest.mark.parametrize(("encoding", "said"), [
    ("rgb8", "subscribe to the depth topic"), ("mono8", "subscribe to the depth topic"), ("16SC1", "let the driver"),
    ("64FC1", "let the driver"), ("", "let the driver"),
])  # fmt: skip
def test_other_encodings_are_refused(encoding: str, said: str) -> None:
    with pytest.raises(ImageError, match=f"'{encoding}' is no depth image.*expected 16UC1.*{said}"):
        depth_values(image(MILLIMETRES, encoding))


@pytest.mark.parametrize(("changed", "said"), [
    ({"width": 0}, "at least one pixel"), ({"step": 5}, "step of at least 6"),
    ({"height": 3}, "expected 18 bytes, got 12"), ({"data": array.array("B")}, "got 0"),
])  # fmt: skip
def test_sizes_that_do_not_fit(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        depth_values(image(MILLIMETRES, "16UC1", **changed))


def test_damaged_compressed_depth_is_refused() -> None:
    whole = cv2.imencode(".png", MILLIMETRES)[1].tobytes()
    grey = cv2.imencode(".png", MILLIMETRES.astype(np.uint8))[1].tobytes()
    for format, data, said in (
        ("jpeg", whole, "is no depth image.*compressedDepth"),
        ("16UC1; compressedDepth zstd", whole, "is no depth image"),
        ("rgb8; compressedDepth png", whole, "'rgb8' is no depth image"),
        ("16UC1; compressedDepth png", b"", "cut off"),
        ("16UC1; compressedDepth png", whole[:-8], "cut off"),
        ("16UC1; compressedDepth png", grey, "16-bit grey"),
        ("16UC1; compressedDepth rvl", b"\x01\0\0", "cut off"),
        ("16UC1; compressedDepth rvl", struct.pack("<II", 70000, 70000), "claims 70000x70000"),
        ("16UC1; compressedDepth rvl", struct.pack("<II", 0, 4), "claims 0x4"),
        ("16UC1; compressedDepth rvl", struct.pack("<II", 4, 4), "cut off"),
        ("32FC1; compressedDepth png", whole, "positive depth quantisation"),
    ):
        with pytest.raises(ImageError, match=said):
            depth_values(compressed(MILLIMETRES, format, data=data))
    with pytest.raises(ImageError, match="positive depth quantisation"):
        depth_values(compressed(MILLIMETRES, "32FC1; compressedDepth png", float("nan"), 1.0))
