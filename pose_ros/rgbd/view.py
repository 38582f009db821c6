# SPDX-License-Identifier: Apache-2.0
"""Depth view: depth from another place, as the colour camera would see it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth

#: Pixels per pixel of the depth image: a little coarser, so that a near surface has no cracks to look through.
_COARSER = 0.8
#: Room around the keypoints, as a part of their extent and in pixels.
_MARGIN, _MARGIN_PX = 0.1, 8
#: No view is larger, pixels: what a wide lens sees at its edges is far apart.
_LARGEST = 2048


def in_colour(depth: Depth, rays: np.ndarray, low: float, high: float) -> Depth:
    """Return depth as the colour camera sees it, at least where the rays go; what is registered stays as it is.

    Args:
        depth: Of any camera.
        rays: (N, K, 3) of the subjects' keypoints in the colour camera's frame, z is 1; NaN where not seen.
        low: Nearest depth that counts, metres.
        high: Farthest depth, metres.
    """
    if depth.registered:
        return depth
    boxes = _boxes(rays)
    camera = _looking_at(boxes, float(depth.grid.K[0, 0]))
    return _splat(_points(depth, boxes, low, high), camera, depth.stamp_ns)


def from_points(points: np.ndarray, camera: Camera, stamp_ns: int = 0) -> Depth:
    """Return the depth image that a camera would have of points: the nearest one in each pixel.

    Args:
        points: (..., 3) metres in the camera's optical frame; NaN is no point.
        camera: Whose pixels are filled; what no point falls into is NaN.
        stamp_ns: Of the points.
    """
    return _splat(np.asarray(points, np.float32).reshape(-1, 3).T, camera, stamp_ns)


def _splat(points: np.ndarray, camera: Camera, stamp_ns: int) -> Depth:
    """Return the depth image of points (3, M)."""
    x, y, z = points
    width, height = camera.size_wh
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if camera.ideal:
            x, y = (v / z * np.float32(camera.K[i, i]) + np.float32(camera.K[i, 2]) for i, v in enumerate((x, y)))
        else:
            x, y = camera.project(points.T).T
        inside = (z > 0) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    at = np.rint(y[inside]).astype(np.int32) * width + np.rint(x[inside]).astype(np.int32)
    image = np.full(width * height, np.inf, np.float32)
    np.minimum.at(image, at, z[inside])
    image[np.isinf(image)] = np.nan
    return Depth(image.reshape(height, width), camera, 1.0, stamp_ns)


def _boxes(rays: np.ndarray) -> np.ndarray:
    """Return (M, 4), the extent of each subject that was seen, on the plane z = 1 and with a margin."""
    seen = np.isfinite(rays[..., 0])
    xy, some = rays[..., :2], seen.any(axis=1)
    low = np.where(seen[..., None], xy, np.inf).min(axis=1, initial=np.inf)[some]
    high = np.where(seen[..., None], xy, -np.inf).max(axis=1, initial=-np.inf)[some]
    room = _MARGIN * (high - low).max(axis=1, keepdims=True, initial=0) + 0.02
    return np.concatenate([low - room, high + room], axis=1)


def _looking_at(boxes: np.ndarray, focal: float) -> Camera:
    """Return an ideal camera at the colour camera's place that sees all boxes."""
    focal *= _COARSER
    if not len(boxes):
        return Camera(np.diag([focal, focal, 1.0]), (1, 1))
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    focal = min(focal, _LARGEST / float((high - low).max()))
    width, height = (int(x) for x in np.ceil((high - low) * focal) + 1)
    return Camera(np.array([[focal, 0, -low[0] * focal], [0, focal, -low[1] * focal], [0, 0, 1]]), (width, height))


def _points(depth: Depth, boxes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return (3, M) float32, what the depth image shows in the boxes, in the colour camera's frame."""
    wanted = _wanted(depth, boxes, low, high)
    z = depth.image[wanted].astype(np.float32) * np.float32(depth.scale)
    with np.errstate(invalid="ignore"):
        z[~((z >= low) & (z <= high) & (z > 0))] = np.nan
    rows, columns = wanted
    points = pixel_rays(depth.grid, depth.rotation)[:, rows, columns] * z
    points += depth.translation.astype(np.float32)[:, None, None]
    return points.reshape(3, -1)


def _wanted(depth: Depth, boxes: np.ndarray, low: float, high: float) -> tuple[slice, slice]:
    """Return rows and columns of the depth image in which anything of the boxes can be, between two depths."""
    width, height = depth.grid.size_wh
    if not len(boxes):
        return slice(0), slice(0)
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]]
    corners = np.stack([x, y, np.ones_like(x)], axis=-1)[..., None, :] * np.array([low or 0.1, high])[:, None]
    there = (corners - depth.translation) @ depth.rotation
    pixels = depth.grid.project(there).reshape(-1, 2)
    if np.isnan(pixels).any():
        return slice(None), slice(None)
    first = np.clip(np.floor(pixels.min(axis=0)) - _MARGIN_PX, 0, (width, height)).astype(int)
    last = np.clip(np.ceil(pixels.max(axis=0)) + _MARGIN_PX, 0, (width, height)).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])


def pixel_rays(camera: Camera, rotation: np.ndarray) -> np.ndarray:
    """Return the turned ray of every pixel of a camera, (3, H, W) float32; z was 1. It is kept for the next image."""
    return _pixel_rays(camera.K.tobytes(), camera.D.tobytes(), camera.model, *camera.size_wh, rotation.tobytes())


@lru_cache(maxsize=4)
def _pixel_rays(
    matrix: bytes, coefficients: bytes, model: str, width: int, height: int, rotation: bytes
) -> np.ndarray:
    camera = Camera(np.frombuffer(matrix).reshape(3, 3), (width, height), np.frombuffer(coefficients), model)
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    turned = np.einsum("ij,hwj->ihw", np.frombuffer(rotation).reshape(3, 3), camera.rays(pixels))
    rays = np.ascontiguousarray(turned, np.float32)
    rays.flags.writeable = False
    return rays
