# SPDX-License-Identifier: Apache-2.0
"""What a depth camera measures of a scene: bodies of capsules before a floor and a wall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.multiview.rig import PosedCamera
from scenes import rays
from scenes.observing import EPOCH_NS
from scenes.people import Truth


@dataclass(frozen=True)
class DepthFaults:
    """What goes wrong between the world and a depth image."""

    #: Standard deviation at one metre; it grows with the square of the depth, as that of stereo does.
    noise_m: float = 0.0
    #: Share of pixels without a measurement.
    holes: float = 0.0
    #: Pixels next to a step of more than ``step_m`` have no measurement; 0 keeps them.
    step_m: float = 0.0
    #: Nearest and farthest that is measured.
    range_m: tuple[float, float] = (0.2, 20.0)
    #: Whether the image is uint16 millimetres (16UC1), or else float32 metres (32FC1) with NaN for holes.
    millimetres: bool = True


@dataclass(frozen=True, eq=False)
class Rendered:
    """A depth image and what is true about it."""

    depth: Depth
    #: (H, W) float64 metres, without any fault; infinite where nothing is.
    clean: np.ndarray
    #: (H, W) int: index of the person, -1 things, -2 floor and wall, -3 nothing.
    owners: np.ndarray
    camera: PosedCamera
    #: In the camera's optical frame, ends (C, 3).
    bodies: rays.Capsules

    def joints(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is true of joints (N, K, 3), metres in the world.

        Returns:
            (N, K) depth of the joints, (N, K) depth of the first flesh or thing on the rays through them, both in
            metres in this camera's frame, and (N, K) whether that is something else than the flesh around the joint.
            Where it is not, the difference of the depths is how deep the joint lies under the skin.
        """
        own = points @ self.camera.rotation.T + self.camera.translation
        t = rays.enter(own[:, :, None], self.bodies.a, self.bodies.b, self.bodies.radii)
        return own[..., 2], np.fmin.reduce(t, axis=-1) * own[..., 2], rays.hidden(own, self.bodies)


def render(
    truth: Truth,
    moment: int,
    camera: PosedCamera,
    *,
    colour: PosedCamera | None = None,
    wall_m: float | None = 6.0,
    things: tuple[rays.Thing, ...] = (),
    faults: DepthFaults = DepthFaults(),
    seed: int = 0,
) -> Rendered:
    """Return what a depth camera measures at one moment of a scene.

    Args:
        truth: Of the scene.
        moment: Which of its T moments.
        camera: The depth camera.
        colour: The colour camera beside it; the depth image says how they stand to one another. None: registered.
        wall_m: How far ahead of the camera a wall is, upright and facing it; None for none. The floor is at z = 0.
        things: Pillars and the like.
        faults: Noise, holes and units.
        seed: Of the faults; the moment is added to it.
    """
    flesh = rays.capsules(truth, things)
    bodies = rays.Capsules(flesh.a[moment], flesh.b[moment], flesh.radii, flesh.owners)
    bodies = bodies.moved(camera.rotation, camera.translation)
    directions = _rays(camera.camera)
    clean, owners = _background(camera, directions, wall_m)
    for c in np.flatnonzero(np.isfinite(bodies.a).all(axis=1)):
        window = _window(camera.camera, bodies.a[c], bodies.b[c], bodies.radii[c])
        t = rays.enter(directions[window], bodies.a[c], bodies.b[c], bodies.radii[c])
        nearer = t < clean[window]
        clean[window][nearer] = t[nearer]
        owners[window][nearer] = bodies.owners[c]
    image = _measured(clean, faults, np.random.default_rng([seed, moment]))
    rotation, translation = np.eye(3), np.zeros(3)
    if colour is not None:
        rotation = colour.rotation @ camera.rotation.T
        translation = colour.translation - rotation @ camera.translation
    stamp = EPOCH_NS + round(truth.times_s[moment] * 1e9)
    scale = 0.001 if faults.millimetres else 1.0
    depth = Depth(image, camera.camera, scale, stamp, rotation, translation)
    return Rendered(depth, clean, owners, camera, bodies)


@lru_cache(maxsize=8)
def _rays(camera: Camera) -> np.ndarray:
    """Return the direction of each pixel, (H, W, 3) with z = 1, so that lengths along it are depths."""
    w, h = camera.size_wh
    return camera.rays(np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).astype(np.float64))


def _background(camera: PosedCamera, directions: np.ndarray, wall_m: float | None) -> tuple[np.ndarray, np.ndarray]:
    world = directions @ camera.rotation
    ahead = camera.rotation[2] * (1, 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = -camera.centre[2] / world[..., 2]
        wall = (wall_m or np.inf) / (world @ (ahead / np.linalg.norm(ahead)))
    clean = np.minimum(np.where(floor > 0, floor, np.inf), np.where(wall > 0, wall, np.inf))
    return clean, np.where(np.isfinite(clean), -2, -3)


def _window(camera: Camera, a: np.ndarray, b: np.ndarray, radius: float) -> tuple[slice, slice]:
    """Return rows and columns that hold all of a capsule."""
    corners = np.stack(np.meshgrid(*[[-radius, radius]] * 3), axis=-1).reshape(-1, 3)
    box = np.concatenate([a + corners, b + corners])
    w, h = camera.size_wh
    if (box[:, 2] <= 0.05).any():
        return slice(0, h), slice(0, w)
    pixels = camera.project(box)
    (left, top), (right, bottom) = np.floor(pixels.min(axis=0)) - 2, np.ceil(pixels.max(axis=0)) + 3
    rows, columns = np.clip([top, bottom], 0, h).astype(int), np.clip([left, right], 0, w).astype(int)
    return slice(*rows), slice(*columns)


def _measured(clean: np.ndarray, faults: DepthFaults, rng: np.random.Generator) -> np.ndarray:
    noisy = clean + faults.noise_m * np.where(np.isfinite(clean), clean, 0) ** 2 * rng.standard_normal(clean.shape)
    gone = ~((noisy >= faults.range_m[0]) & (noisy <= faults.range_m[1])) | (rng.random(clean.shape) < faults.holes)
    if faults.step_m:
        with np.errstate(invalid="ignore"):
            for axis in (0, 1):
                step = np.abs(np.diff(clean, axis=axis)) > faults.step_m
                for side in ((1, 0), (0, 1)):
                    gone |= np.pad(step, [side if i == axis else (0, 0) for i in (0, 1)])
    if faults.millimetres:
        return np.where(gone, 0, np.round(np.where(gone, 0, noisy) * 1000)).astype(np.uint16)
    return np.where(gone, np.nan, noisy).astype(np.float32)
