# SPDX-License-Identifier: Apache-2.0
"""Cameras around a place, with real lenses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview.rig import PosedCamera, Rig

#: Distortion of ordinary lenses; the numbers are of the size that calibrations give.
LENSES = {
    "": (),
    "plumb_bob": (-0.12, 0.05, 0.0008, -0.0005, 0.0),
    "rational_polynomial": (0.35, -0.11, 0.0004, -0.0003, 0.004, 0.62, -0.06, 0.012),
    "equidistant": (-0.012, 0.006, -0.004, 0.0008),
}
#: Focal length in parts of the image's width.
_FOCAL = {"": 0.8, "plumb_bob": 0.75, "rational_polynomial": 0.75, "equidistant": 0.5}


def look_at(centre: Sequence[float], target: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return rotation (3, 3) and translation (3,) of a level camera at ``centre`` that looks at ``target``."""
    place = np.asarray(centre, np.float64)
    z = np.asarray(target, np.float64) - place
    z /= np.linalg.norm(z)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    return rotation, -rotation @ place


def camera(size_wh: tuple[int, int] = (1280, 720), model: str = "", focal: float = 0.0) -> Camera:
    """Return a camera with a lens of LENSES; ``focal`` in parts of the width, 0 is what suits the lens."""
    w, h = size_wh
    f = w * (focal or _FOCAL[model])
    # No real lens sits exactly in the middle.
    k = np.array([[f, 0, w / 2 + 0.004 * w], [0, 1.002 * f, h / 2 - 0.006 * h], [0, 0, 1]])
    return Camera(k, (w, h), np.array(LENSES[model]), model)


def posed(
    name: str,
    centre: Sequence[float],
    target: Sequence[float] = (0.0, 0.0, 1.0),
    size_wh: tuple[int, int] = (1280, 720),
    model: str = "",
    focal: float = 0.0,
) -> PosedCamera:
    """Return a camera that stands at ``centre`` and looks at ``target``, metres in the world."""
    return PosedCamera(name, camera(size_wh, model, focal), *look_at(centre, target))


def smaller(camera: PosedCamera, factor: int) -> PosedCamera:
    """Return a camera that sees the same in fewer pixels: each is the mean of factor x factor."""
    own = camera.camera
    k = np.diag([1 / factor, 1 / factor, 1.0]) @ own.K
    k[:2, 2] += 0.5 / factor - 0.5
    w, h = own.size_wh
    return dataclasses.replace(camera, camera=Camera(k, (w // factor, h // factor), own.D, own.model))


def rig(
    n: int = 4,
    radius: float = 4.5,
    height: float = 2.2,
    target: Sequence[float] = (0.0, 0.0, 0.9),
    models: Sequence[str] = ("plumb_bob",),
    sizes: Sequence[tuple[int, int]] = ((1280, 720),),
) -> Rig:
    """Return n cameras around a place that look at it; models and sizes are dealt out in turn.

    Heights differ a little, and the cameras are not spread quite evenly, so that no two face one another.
    """
    cameras = []
    for i in range(n):
        angle = 2 * np.pi * (i + 0.13 * (i % 3)) / n + 0.3
        place = [radius * np.cos(angle), radius * np.sin(angle), height + 0.3 * (i % 3 - 1)]
        cameras.append(posed(f"camera{i}", place, target, sizes[i % len(sizes)], models[i % len(models)]))
    return Rig(cameras)


def project(camera: PosedCamera, points: np.ndarray) -> np.ndarray:
    """Return the pixels (..., 2) of points of the world (..., 3); NaN behind the camera and outside of its image.

    Lens models fold far points back into the image; those are outside, too.
    """
    pixels = camera.project(points)
    own = np.asarray(points, np.float64) @ camera.rotation.T + camera.translation
    w, h = camera.camera.size_wh
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = ((pixels > -0.5) & (pixels < np.array([w, h]) - 0.5)).all(axis=-1) & (own[..., 2] > 0)
        pixels[~inside] = np.nan
        folded = np.abs(camera.camera.rays(pixels)[..., :2] - own[..., :2] / own[..., 2:]).max(axis=-1) > 1e-2
    pixels[folded] = np.nan
    return pixels
