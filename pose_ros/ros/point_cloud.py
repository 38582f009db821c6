# SPDX-License-Identifier: Apache-2.0
"""Point clouds: sensor_msgs/PointCloud2 -> points, and the depth image that a colour camera would have of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth, scaled
from pose_ros.errors import ImageError
from pose_ros.rgbd.view import from_points

if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2

#: sensor_msgs/PointField: FLOAT32 and FLOAT64.
_TYPES = {7: "f4", 8: "f8"}
#: Points of an organised cloud are those of the camera's pixels when they project onto them this closely.
_SAME_PIXEL = 1.0
#: Points per pixel of the image that is made of a cloud: fewer leave holes to look through.
_PER_PIXEL = 1.5
#: So many points of a cloud say how dense it is.
_SAMPLED = 20_000
#: An image is made no coarser than this part of the colour image.
_COARSEST = 0.05


def cloud_points(msg: PointCloud2) -> np.ndarray:
    """Return the points of a cloud.

    Args:
        msg: sensor_msgs/PointCloud2, or anything with its fields.

    Returns:
        (H, W, 3) float32, metres in the frame of its header; H is 1 where the cloud is not organised. Infinity is NaN.

    Raises:
        ImageError: It has no x, y, z, or sizes and bytes do not fit together.
    """
    width, height = int(msg.width), int(msg.height)
    step, row = int(msg.point_step), int(msg.row_step)
    what = f"point cloud of {width}x{height} with point_step {step} and row_step {row}"
    fields = {field.name: field for field in msg.fields}
    offsets, formats = [], []
    for name in "xyz":
        if name not in fields or fields[name].datatype not in _TYPES:
            came = ", ".join(f"{f.name} (type {f.datatype})" for f in msg.fields) or "none"
            raise ImageError(f"{what}: expected fields x, y, z of FLOAT32 (type 7) or FLOAT64 (type 8), got {came}; "
                             "subscribe to a cloud with positions")
        formats.append((">" if msg.is_bigendian else "<") + _TYPES[fields[name].datatype])
        offsets.append(int(fields[name].offset))
    sizes = [offset + int(kind[2]) for offset, kind in zip(offsets, formats, strict=True)]
    if width * height == 0:
        return np.empty((height, width, 3), np.float32)
    if max(sizes) > step or row < step * width:
        raise ImageError(f"{what}: expected a point_step of at least {max(sizes)} and a row_step of at least "
                         f"{step * width} bytes; check who publishes it")
    data = np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.empty(0, np.uint8)
    if data.nbytes != row * height:
        raise ImageError(f"{what}: expected {row * height} bytes, got {data.nbytes}; "
                         "it was cut off or its header is wrong")
    kind = np.dtype({"names": list("xyz"), "formats": formats, "offsets": offsets, "itemsize": step})
    points = np.ndarray((height, width), kind, data, strides=(row, step))
    out = np.empty((height, width, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, name in enumerate("xyz"):
            out[..., i] = points[name]
    finite = np.isfinite(out)
    if not finite.all():
        out[~finite] = np.nan
    return out


def cloud_to_depth(
    points: np.ndarray, camera: Camera, stamp_ns: int = 0, rotation: np.ndarray | None = None,
    translation: np.ndarray | None = None,
) -> Depth:
    """Return what the colour camera would measure of a cloud, registered to its image.

    An organised cloud of the colour camera's own pixels is taken as it is. Any other one is projected, into an image
    that is as fine as the points are dense.

    Args:
        points: (H, W, 3) or (M, 3), metres in the cloud's frame.
        camera: Of the colour image.
        stamp_ns: Of the cloud.
        rotation: (3, 3) ``x_colour = rotation @ x_cloud + translation``; identity when left out.
        translation: (3,) metres.
    """
    if rotation is None and translation is None:
        if points.ndim == 3 and _is_own(points, camera):
            z = np.ascontiguousarray(points[..., 2], np.float32)
            return Depth(z, scaled(camera, (z.shape[1], z.shape[0])), 1.0, stamp_ns)
    else:
        turn = np.eye(3) if rotation is None else rotation
        shift = np.zeros(3) if translation is None else translation
        points = np.einsum("ij,...j->...i", turn.astype(np.float32), points) + shift.astype(np.float32)
    flat = points.reshape(-1, 3)
    width, height = camera.size_wh
    fine = np.clip(np.sqrt(_seen(flat, camera) / _PER_PIXEL / (width * height)), _COARSEST, 1.0)
    size = max(1, round(width * fine)), max(1, round(height * fine))
    return from_points(flat, scaled(camera, size), stamp_ns)


def _seen(points: np.ndarray, camera: Camera) -> int:
    """Return how many points (M, 3) are in the image, as a sample of them tells."""
    step = max(1, len(points) // _SAMPLED)
    pixels = camera.project(points[::step])
    with np.errstate(invalid="ignore"):
        return int(((pixels > -0.5) & (pixels < np.array(camera.size_wh) - 0.5)).all(axis=1).sum()) * step


def _is_own(points: np.ndarray, camera: Camera) -> bool:
    """Whether an organised cloud has a point for each pixel of the camera, or of its image in another resolution."""
    height, width = points.shape[:2]
    if height < 2 or width < 2:
        return False
    # Some hundred pixels say it as well as all.
    rows, columns = (np.unique(np.linspace(0, size - 1, 24).astype(int)) for size in (height, width))
    y, x = np.meshgrid(rows, columns, indexing="ij")
    pixels = scaled(camera, (width, height)).project(points[y, x])
    off = np.abs(pixels - np.stack([x, y], axis=-1)).max(axis=-1)
    known = np.isfinite(off)
    return bool(known.any() and np.median(off[known]) < _SAME_PIXEL)
