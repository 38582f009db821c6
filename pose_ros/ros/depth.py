# SPDX-License-Identifier: Apache-2.0
"""Depth images: sensor_msgs/Image and compressedDepth -> the values and the unit of a Depth (REP-118).

32FC1 is metres. 16UC1 is millimetres, and so is mono16, which several drivers call it. The unit is never guessed from
the values. A wrong message raises :class:`~pose_ros.errors.ImageError`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pose_ros.errors import ImageError
from pose_ros.ros import image_file, rvl
from pose_ros.ros.images import MAX_PIXELS

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image

#: Encoding -> type of a value, and metres per unit.
_UNITS = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}
#: compressed_depth_image_transport begins with an enumeration and two parameters.
_HEADER = struct.Struct("<iff")
_EXPECTED = "expected 16UC1 (millimetres), 32FC1 (metres) or mono16 (millimetres)"


class DepthValues(NamedTuple):
    """What a message says, as :class:`pose_ros.core.depth.Depth` takes it."""

    #: (H, W) uint16 or float32; 0, NaN and infinity are no measurement.
    image: np.ndarray
    #: Metres per unit.
    scale: float


def depth_values(msg: Image | CompressedImage, max_pixels: int = MAX_PIXELS) -> DepthValues:
    """Return the values of a depth image.

    Args:
        msg: sensor_msgs/Image, or sensor_msgs/CompressedImage of a ``.../compressedDepth`` topic, or anything with
            their fields.
        max_pixels: Refuse compressed images that claim more.

    Returns:
        The values, which may be a read-only view of the message's bytes.

    Raises:
        ImageError: The encoding is no depth, or sizes and bytes do not fit together.
    """
    return _raw(msg) if hasattr(msg, "encoding") else _compressed(msg, max_pixels)


def _unit(encoding: str, what: str) -> tuple[str, float]:
    if encoding not in _UNITS:
        colour = encoding.lower().startswith(("rgb", "bgr", "mono8", "8uc", "bayer", "yuv", "uyvy", "yuyv", "nv"))
        raise ImageError(f"{what} '{encoding}' is no depth image (REP-118): {_EXPECTED}; "
                         + ("this is a picture: subscribe to the depth topic" if colour else
                            "let the driver publish one of them"))
    return _UNITS[encoding]


def _raw(msg: Image) -> DepthValues:
    kind, scale = _unit(msg.encoding, "encoding")
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    what = f"{msg.encoding} depth image of {width}x{height} with step {step}"
    if width < 1 or height < 1:
        raise ImageError(f"{what}: expected at least one pixel; check the camera driver")
    row = width * int(kind[1])
    if step < row:
        raise ImageError(f"{what}: expected a step of at least {row} bytes; check the camera driver")
    data = np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.empty(0, np.uint8)
    if data.nbytes != step * height:
        raise ImageError(f"{what}: expected {step * height} bytes, got {data.nbytes}; "
                         "it was cut off or its header is wrong")
    order = ">" if msg.is_bigendian else "<"
    rows = np.ascontiguousarray(data.reshape(height, step)[:, :row]).view(np.dtype(order + kind))
    # Numbers of this machine's own order stay where they are.
    values = rows.astype(np.dtype(kind), copy=False)
    values.flags.writeable = False
    return DepthValues(values, scale)


def _compressed(msg: CompressedImage, max_pixels: int) -> DepthValues:
    """Undo compressed_depth_image_transport: a header of 12 bytes, then PNG or RVL of 16-bit values.

    For 32FC1 these are inverse depths: ``depth = A / (value - B)`` with A and B of the header; 0 is no measurement.
    """
    encoding, _, transport = (part.strip() for part in msg.format.partition(";"))
    words = transport.split()
    if not words or words[0] != "compressedDepth" or words[1:] not in ([], ["png"], ["rvl"]):
        raise ImageError(f"format '{msg.format}' is no depth image: expected '16UC1; compressedDepth', "
                         "'... compressedDepth png' or '... compressedDepth rvl'; subscribe to the topic "
                         "'.../compressedDepth' of the depth image, or to the raw one")
    kind, scale = _unit(encoding, "compressed depth of")
    data = bytes(msg.data)
    what = f"'{msg.format}' of {len(data)} bytes"
    if len(data) <= _HEADER.size:
        raise ImageError(f"{what}: expected a header of {_HEADER.size} bytes and an image; it was cut off")
    _, quant_a, quant_b = _HEADER.unpack_from(data)
    rest = data[_HEADER.size :]
    values = _rvl(rest, what, max_pixels) if words[1:] == ["rvl"] else _png(rest, what, max_pixels)
    if kind == "u2":
        return DepthValues(values, scale)
    if not quant_a > 0 or not np.isfinite([quant_a, quant_b]).all():
        raise ImageError(f"{what}: expected a positive depth quantisation, got A={quant_a:g} and B={quant_b:g}; "
                         "it was damaged, or compressed by something else")
    with np.errstate(divide="ignore"):
        metres = np.float32(quant_a) / (values.astype(np.float32) - np.float32(quant_b))
    return DepthValues(np.where((values > 0) & (metres > 0), metres, np.float32(np.nan)), scale)


def _check_size(width: int, height: int, what: str, max_pixels: int) -> None:
    if width < 1 or height < 1 or width * height > max_pixels:
        raise ImageError(f"{what} claims {width}x{height} pixels, expected 1 to {max_pixels}; it is damaged, or raise "
                         "the limit if this camera is real")


def _png(data: bytes, what: str, max_pixels: int) -> np.ndarray:
    import cv2

    width, height = image_file.size(data)
    _check_size(width, height, what, max_pixels)
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{what}: OpenCV refuses it: {error}") from error
    if values is None or values.dtype != np.uint16 or values.shape != (height, width):
        came = "nothing" if values is None else f"{values.dtype} {values.shape}"
        raise ImageError(f"{what}: expected a PNG of 16-bit grey, {height}x{width}, got {came}; it is damaged, "
                         "or compressed by something else")
    return values


def _rvl(data: bytes, what: str, max_pixels: int) -> np.ndarray:
    if len(data) < 8:
        raise ImageError(f"{what}: expected width and height before RVL data; it was cut off")
    width, height = struct.unpack_from("<II", data)
    _check_size(width, height, what, max_pixels)
    return rvl.decode(data[8:], width * height).reshape(height, width)
