# SPDX-License-Identifier: Apache-2.0
"""Compressed images: what image_transport writes, and damage of every kind."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sensor_msgs", reason="ROS 2 messages are not installed")
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from pose_ros.errors import ImageError
from pose_ros.ros.images import compressed_to_rgb, rgb_to_compressed


def picture() -> np.ndarray:
    """Return a smooth picture whose colours all differ, RGB uint8 (48, 64, 3)."""
    y, x = np.mgrid[:48, :64]
    return np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=2).astype(np.uint8)


def encode(image: np.ndarray, suffix: str) -> bytes:
    """Return what OpenCV writes for pixels in its own order."""
    return cv2.imencode(suffix, image)[1].tobytes()


def message(data: bytes, format: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=format, data=array.array("B", data))


BGR = picture()[..., ::-1]
JPEG, PNG = encode(BGR, ".jpg"), encode(BGR, ".png")


@pytest.mark.parametrize("format", ["jpeg", "jpg", "", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8"])
def test_jpeg(format: str) -> None:
    np.testing.assert_allclose(compressed_to_rgb(message(JPEG, format)).astype(int), picture(), atol=12)


@pytest.mark.parametrize("format", ["png", "rgb8; png compressed bgr8", "jpeg"])
def test_png_is_exact_and_known_by_its_bytes(format: str) -> None:
    np.testing.assert_array_equal(compressed_to_rgb(message(PNG, format)), picture())


def test_an_encoder_that_took_rgb_for_bgr_is_understood() -> None:
    swapped = message(encode(picture(), ".png"), "rgb8; png compressed rgb8")
    np.testing.assert_array_equal(compressed_to_rgb(swapped), picture())


def test_kinds_of_png() -> None:
    rgb = picture()
    wide = np.ascontiguousarray(BGR).astype(np.uint16) * 257
    alpha = np.dstack([BGR, np.full(rgb.shape[:2], 9, np.uint8)])
    grey = np.ascontiguousarray(rgb[..., 0])
    np.testing.assert_array_equal(compressed_to_rgb(message(encode(wide, ".png"), "rgb16; png compressed bgr16")), rgb)
    np.testing.assert_array_equal(compressed_to_rgb(message(encode(alpha, ".png"))), rgb)
    np.testing.assert_array_equal(compressed_to_rgb(message(encode(grey, ".png"), "mono8; png compressed ")),
                                  np.repeat(grey[..., None], 3, axis=2))


def test_grey_and_progressive_jpeg() -> None:
    grey = np.full((9, 7), 120, np.uint8)
    np.testing.assert_allclose(compressed_to_rgb(message(encode(grey, ".jpg"))).astype(int), 120, atol=1)
    progressive = cv2.imencode(".jpg", BGR, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    np.testing.assert_allclose(compressed_to_rgb(message(progressive)).astype(int), picture(), atol=12)


def exif(orientation: int) -> bytes:
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def test_an_exif_rotation_is_not_applied() -> None:
    turned = JPEG[:2] + exif(6) + JPEG[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3), "the tag is readable"
    np.testing.assert_array_equal(compressed_to_rgb(message(turned)), compressed_to_rgb(message(JPEG)))


@pytest.mark.parametrize("data", [JPEG, PNG])
def test_every_truncation_is_noticed(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    for length in [0, 1, 2, 3, 20, 33, *range(40, len(data), 61), len(data) - 2, len(data) - 1]:
        with pytest.raises(ImageError, match=r"cut off|expected a JPEG or PNG"):
            compressed_to_rgb(message(data[:length]))


def test_the_end_of_a_thumbnail_is_not_the_end() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(JPEG) + 2) + JPEG
    whole = JPEG[:2] + thumbnail + JPEG[2:]
    assert compressed_to_rgb(message(whole)).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="cut off"):
        compressed_to_rgb(message(whole[:-100]))


def test_padding_behind_the_end_is_accepted() -> None:
    assert compressed_to_rgb(message(JPEG + bytes(100))).shape == (48, 64, 3)


def test_fill_bytes_between_segments_are_skipped() -> None:
    filled = JPEG[:2] + b"\xff\xff\xff" + JPEG[2:]
    np.testing.assert_array_equal(compressed_to_rgb(message(filled)), compressed_to_rgb(message(JPEG)))


def claim(data: bytes, width: int, height: int) -> bytes:
    """Return a file whose header claims another size."""
    if data[:2] == b"\xff\xd8":
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
    head = struct.pack(">II", width, height) + data[24:29]
    return data[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + data[33:]


@pytest.mark.parametrize("data", [JPEG, PNG])
@pytest.mark.parametrize(
    ("size", "words"),
    [((16384, 16384), "bytes can hold"), ((7000, 7000), "than its [0-9]+ bytes can hold"), ((0, 48), "at least one"),
     ((64, 0), "at least one")],
)
def test_impossible_sizes_are_never_decoded(
    data: bytes, size: tuple[int, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=words):
        compressed_to_rgb(message(claim(data, *size)))
    with pytest.raises(ImageError, match="expected at most 64000000"):
        compressed_to_rgb(message(claim(data, 8001, 8000) + bytes(100_000)))


def test_the_limit_can_be_chosen() -> None:
    with pytest.raises(ImageError, match="expected at most 1000"):
        compressed_to_rgb(message(PNG), max_pixels=1000)


def test_a_limit_above_that_of_opencv() -> None:
    huge = claim(JPEG, 40_000, 40_000) + bytes(300_000)
    with pytest.raises(ImageError, match="40000x40000 pixels, but OpenCV refuses it"):
        compressed_to_rgb(message(huge), max_pixels=2_000_000_000)


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [(b"", "jpeg", "0 bytes"), (b"GIF89a", "gif", "'47 49 46 38'"), (PNG, "16UC1; compressedDepth png", "depth image"),
     (PNG[:60] + b"\0\0\0\0" + PNG[64:], "png", "damaged")],
)
def test_other_files(data: bytes, format: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError, match=words):
        compressed_to_rgb(message(data, format))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([JPEG, PNG]), st.integers(0, 3000), st.integers(0, 3000), st.binary(max_size=6))
def test_damage_gives_an_image_or_an_image_error(data: bytes, start: int, length: int, junk: bytes) -> None:
    start %= len(data)
    try:
        rgb = compressed_to_rgb(message(data[:start] + junk + data[start + length :]), max_pixels=1_000_000)
    except ImageError:
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_writing_and_reading_returns_the_image(format: str) -> None:
    header = Header(frame_id="camera")
    msg = rgb_to_compressed(picture(), header, format, 95)
    assert msg.format == f"bgr8; {format} compressed bgr8"
    assert msg.header == header
    np.testing.assert_allclose(compressed_to_rgb(msg).astype(int), picture(), atol=12 if format == "jpeg" else 0)


def test_quality_matters() -> None:
    low, high = (len(rgb_to_compressed(picture(), Header(), "jpeg", q).data) for q in (10, 95))
    assert low < high


def test_writing_refuses_other_formats() -> None:
    with pytest.raises(ImageError, match="known: jpeg, png"):
        rgb_to_compressed(picture(), Header(), "webp")
