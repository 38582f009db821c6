# SPDX-License-Identifier: Apache-2.0
"""Images: sensor_msgs/Image and CompressedImage <-> RGB uint8 (H, W, 3).

A wrong message raises :class:`~pose_ros.errors.ImageError` before anything is allocated. Generic OpenCV types mean what
OpenCV means by them: 8UC1 is grey, 8UC3 BGR, 8UC4 BGRA. 16 bits become 8 as ``round(value * 255 / 65535)``. YUV is
BT.601 with limited range, which is what OpenCV and cv_bridge do.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pose_ros.core.frame import check_image
from pose_ros.errors import ImageError, UnknownNameError
from pose_ros.ros import image_file

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

#: A compressed image that claims more pixels than this is refused unread.
MAX_PIXELS = 64_000_000


class _Layout(NamedTuple):
    """How the bytes of an encoding lie."""

    #: Samples per pixel in one row.
    channels: int
    #: OpenCV's conversion of 8-bit data to RGB; empty when it is RGB already.
    code: str
    #: Bytes per sample.
    depth: int = 1
    #: Rows of ``step`` bytes per row of pixels, in halves: planar chroma follows the brightness.
    half_rows: int = 2
    #: Width and height are multiples of these.
    grid: tuple[int, int] = (1, 1)


# OpenCV names a Bayer pattern after the second and third pixel of the second row: its BG is everybody else's RGGB.
_BAYER = {"rggb": "COLOR_BayerBG2RGB", "bggr": "COLOR_BayerRG2RGB",
          "gbrg": "COLOR_BayerGR2RGB", "grbg": "COLOR_BayerGB2RGB"}
_COLOR = {"rgb": (3, ""), "bgr": (3, "COLOR_BGR2RGB"), "rgba": (4, "COLOR_RGBA2RGB"), "bgra": (4, "COLOR_BGRA2RGB"),
          "mono": (1, "COLOR_GRAY2RGB")}
_UYVY = _Layout(2, "COLOR_YUV2RGB_UYVY", grid=(2, 1))
_YUYV = _Layout(2, "COLOR_YUV2RGB_YUY2", grid=(2, 1))

#: Encoding -> layout; names of sensor_msgs/image_encodings.hpp (Humble to Kilted) and nv12.
_LAYOUTS: dict[str, _Layout] = {
    **{f"{name}{8 * depth}": _Layout(*kind, depth=depth) for name, kind in _COLOR.items() for depth in (1, 2)},
    **{f"bayer_{name}{8 * depth}": _Layout(1, code, depth=depth) for name, code in _BAYER.items() for depth in (1, 2)},
    "8UC1": _Layout(1, "COLOR_GRAY2RGB"),
    "8UC3": _Layout(3, "COLOR_BGR2RGB"),
    "8UC4": _Layout(4, "COLOR_BGRA2RGB"),
    "uyvy": _UYVY,
    "yuv422": _UYVY,
    "yuyv": _YUYV,
    "yuv422_yuy2": _YUYV,
    "nv12": _Layout(1, "COLOR_YUV2RGB_NV12", half_rows=3, grid=(2, 2)),
    "nv21": _Layout(1, "COLOR_YUV2RGB_NV21", half_rows=3, grid=(2, 2)),
    "nv24": _Layout(1, "nv24", half_rows=6),
}
_DEPTH_IMAGES = ("16UC1", "32FC1")


def image_to_rgb(msg: Image) -> np.ndarray:
    """Return the pixels of a raw image.

    Args:
        msg: sensor_msgs/Image, or anything with its fields.

    Returns:
        RGB uint8 (H, W, 3). It may be a read-only view of the message's bytes.

    Raises:
        ImageError: The encoding is unknown, or size, step and data do not fit together.
    """
    layout = _layout(msg.encoding)
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    what = f"{msg.encoding} image of {width}x{height} with step {step}"
    if width < 1 or height < 1:
        raise ImageError(f"{what}: expected at least one pixel; check the camera driver")
    if width % layout.grid[0] or height % layout.grid[1]:
        raise ImageError(f"{what}: expected width and height in multiples of {layout.grid[0]} and {layout.grid[1]}")
    row = width * layout.channels * layout.depth
    if step < row:
        raise ImageError(f"{what}: expected a step of at least {row} bytes; check the camera driver")
    data = np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.empty(0, np.uint8)
    rows = height * layout.half_rows // 2
    if data.nbytes != step * rows:
        raise ImageError(f"{what}: expected {step * rows} bytes, got {data.nbytes}; "
                         "it was cut off or its header is wrong")
    if layout.code == "nv24":
        return _nv24_to_rgb(data.reshape(3, height, step), width)
    samples = data.reshape(rows, step)[:, :row]
    if layout.depth == 2:
        samples = _to_8_bits(samples, bool(msg.is_bigendian))
    if layout.channels > 1:
        samples = samples.reshape(rows, width, layout.channels)
    if layout.code:
        return _convert(samples, layout.code)
    samples.flags.writeable = False
    return samples


def _layout(encoding: str) -> _Layout:
    if encoding in _DEPTH_IMAGES:
        raise ImageError(f"encoding '{encoding}' is a depth image (REP-118), expected a colour or grey one; "
                         "subscribe to the colour topic, or publish 16-bit grey as mono16")
    try:
        return _LAYOUTS[encoding]
    except KeyError:
        raise ImageError(str(UnknownNameError("image encoding", str(encoding), _LAYOUTS))) from None


def _to_8_bits(samples: np.ndarray, big_endian: bool) -> np.ndarray:
    """Scale 16-bit samples, (rows, 2 n) bytes -> (rows, n)."""
    import cv2

    words = np.ascontiguousarray(samples).view(np.uint16)
    if big_endian != (sys.byteorder == "big"):
        words = words.byteswap()
    return cv2.convertScaleAbs(words, alpha=255 / 65535).reshape(words.shape)


def _convert(samples: np.ndarray, code: str) -> np.ndarray:
    """Let OpenCV make RGB of 8-bit samples."""
    import cv2

    if "Bayer" in code and min(samples.shape) < 3:
        # OpenCV leaves fewer than three rows black; reflecting by two pixels keeps the colours in their places.
        return np.ascontiguousarray(_convert(np.pad(samples, 2, mode="reflect"), code)[2:-2, 2:-2])
    return cv2.cvtColor(samples, getattr(cv2, code))


def _nv24_to_rgb(planes: np.ndarray, width: int) -> np.ndarray:
    """Convert full-resolution Y, then interleaved UV; (3, H, step) -> (H, W, 3)."""
    import cv2

    height = planes.shape[1]
    y = planes[0, :, :width]
    u, v = cv2.split(planes[1:].reshape(height, -1)[:, : 2 * width].reshape(height, width, 2))
    # OpenCV does not know this encoding. Each pixel twice as UYVY goes through the arithmetic of the others.
    twice = _convert(cv2.merge([u, y, v, y]).reshape(height, 2 * width, 2), "COLOR_YUV2RGB_UYVY")
    return cv2.resize(twice, (width, height), interpolation=cv2.INTER_NEAREST)


def compressed_to_rgb(msg: CompressedImage, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the pixels of a JPEG or PNG, as they lie in the file: an EXIF rotation would not fit the intrinsics.

    Args:
        msg: sensor_msgs/CompressedImage, or anything with its fields. ``format`` is read as image_transport writes it:
            the bytes say what they are, and only ``... compressed rgb8`` changes the order of the colours.
        max_pixels: Refuse images that claim more.

    Returns:
        RGB uint8 (H, W, 3); 16-bit files are scaled down, transparency is dropped.

    Raises:
        ImageError: It is no JPEG or PNG, it was cut off, it is too large, or it does not decode.
    """
    import cv2

    if "compressedDepth" in msg.format:
        raise ImageError(f"format '{msg.format}' is a depth image, expected colour; subscribe to the colour topic")
    data = bytes(msg.data)
    width, height = image_file.size(data)
    what = f"compressed image of {len(data)} bytes claims {width}x{height} pixels"
    if width * height > max_pixels:
        raise ImageError(f"{what}, expected at most {max_pixels}; raise the limit if this camera is real")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"{what}, but OpenCV refuses it: {error}") from error
    if bgr is None or bgr.shape != (height, width, 3):
        raise ImageError(f"{what}, but does not decode to them; it is damaged")
    if "compressed rgb" in msg.format:
        # The encoder took RGB for BGR: the file has red and blue exchanged, so what OpenCV calls BGR is RGB.
        return bgr
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def rgb_to_encoding(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return the pixels in another encoding, contiguous; ``rgb`` itself where nothing is to be done.

    Args:
        rgb: RGB uint8 (H, W, 3).
        encoding: rgb8, bgr8, rgba8, bgra8 or mono8.

    Raises:
        ShapeError: ``rgb`` is no image.
        ImageError: The encoding cannot be written.
    """
    import cv2

    codes = {"rgb8": None, "bgr8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGB2RGBA, "bgra8": cv2.COLOR_RGB2BGRA,
             "mono8": cv2.COLOR_RGB2GRAY}
    if encoding not in codes:
        raise ImageError(str(UnknownNameError("image encoding to write", encoding, codes)))
    code = codes[encoding]
    return np.ascontiguousarray(check_image(rgb)) if code is None else cv2.cvtColor(check_image(rgb), code)


def rgb_to_image(rgb: np.ndarray, header: Header, encoding: str = "bgr8") -> Image:
    """Return a raw image message; :func:`pose_ros.ros.wire.write_image` is faster where only its bytes are needed.

    Args:
        rgb: RGB uint8 (H, W, 3).
        header: Taken as it is.
        encoding: See :func:`rgb_to_encoding`.

    Raises:
        ShapeError: ``rgb`` is no image.
        ImageError: The encoding cannot be written.
    """
    from sensor_msgs.msg import Image

    pixels = rgb_to_encoding(rgb, encoding)
    height, width = pixels.shape[:2]
    msg = Image(header=header, height=height, width=width, encoding=encoding, step=pixels.nbytes // height,
                is_bigendian=sys.byteorder == "big")
    # Appending to the message's own array is the one way that copies once and looks at no single byte (setting the
    # field to bytes checks each of them up to Iron, and copies twice since).
    msg.data.frombytes(pixels.data)
    return msg


def rgb_to_compressed(rgb: np.ndarray, header: Header, format: str = "jpeg", quality: int = 90) -> CompressedImage:
    """Return a compressed image message with the format string that image_transport documents.

    Args:
        rgb: RGB uint8 (H, W, 3).
        header: Taken as it is.
        format: jpeg or png.
        quality: 1 .. 100, of a JPEG.

    Raises:
        ShapeError: ``rgb`` is no image.
        ImageError: The format cannot be written.
    """
    import cv2
    from sensor_msgs.msg import CompressedImage

    options = {"jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality], "png": [cv2.IMWRITE_PNG_COMPRESSION, 1]}
    if format not in options:
        raise ImageError(str(UnknownNameError("image format to write", format, options)))
    done, data = cv2.imencode(f".{format}", cv2.cvtColor(check_image(rgb), cv2.COLOR_RGB2BGR), options[format])
    if not done:
        raise ImageError(f"cannot write {rgb.shape[1]}x{rgb.shape[0]} pixels as {format}")
    msg = CompressedImage(header=header, format=f"bgr8; {format} compressed bgr8")
    msg.data.frombytes(data.data)
    return msg
