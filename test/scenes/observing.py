# SPDX-License-Identifier: Apache-2.0
"""What cameras and their pose networks make of a scene: keypoints with every fault, and the truth beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.skeletons import catalogue
from scenes import cameras, rays
from scenes.people import Person, Truth, at

#: Stamp of time 0, nanoseconds.
EPOCH_NS = 1_700_000_000_000_000_000
#: The noise of a guess is so many times that of a look.
_GUESS = 4.0
#: Keypoints that are looked at together; more do not fit into the cache of a processor.
_AT_ONCE = 150


@dataclass(frozen=True)
class Faults:
    """What goes wrong between the world and keypoints. All shares are 0 .. 1."""

    #: Standard deviation of each coordinate of a keypoint of score 1, pixels; the variance of others is that over
    #: their score.
    sigma_px: float = 1.0
    #: The same as a part of the subject's size in the image (square root of width times height); both add up.
    sigma_size: float = 0.0
    #: How much the noise differs between keypoints: standard deviation of its logarithm, were it not folded at 0.
    spread: float = 0.0
    #: Time in which the noise of a keypoint in one camera becomes another, seconds (exponential autocorrelation); 0: it
    #: is white, as that of networks is not.
    lasting_s: float = 0.0
    #: Share of keypoints that are ``outlier_px`` off in any direction, with the score of a good one.
    outliers: float = 0.0
    outlier_px: float = 60.0
    #: Share of subjects whose left and right are exchanged.
    swaps: float = 0.0
    #: Share of subjects in an image that nobody found, and of images that never came.
    misses: float = 0.0
    drops: float = 0.0
    #: Whether bodies and things hide what is behind them, and whether networks guess it, with much noise.
    occlusion: bool = True
    guess: bool = False
    #: Whether networks think that they see what they guess: its scores are those of what is seen.
    sure: bool = False
    #: Fewest keypoints of a subject that a network finds.
    fewest: int = 4
    #: Pillars and other things in the way.
    things: tuple[rays.Thing, ...] = ()
    #: Standard deviation of when an image is taken around its time, seconds; its stamp says when that was.
    jitter_s: float = 0.0
    #: How much later than the first camera each one takes its images; empty: all at once.
    offsets_s: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Shot:
    """One image of one camera, as a pose network saw it; the rows of everything are in the same, shuffled order."""

    camera: PosedCamera
    stamp_ns: int
    #: Which turn of all cameras this belongs to.
    tick: int
    #: With ``ids`` 0, as nobody was tracked yet.
    poses: Poses
    #: (N,) who that is.
    true_ids: np.ndarray
    #: (N, K, 3) metres in the world at the stamp, of all joints.
    points: np.ndarray
    #: (N, K, 2) where the joints project, without noise; NaN outside of the image.
    pixels: np.ndarray
    #: (N, K) bool: something is in front of it.
    hidden: np.ndarray
    #: (N, K) standard deviation of the noise, pixels; NaN for what is missing or an outlier, or was swapped.
    sigmas: np.ndarray


@dataclass(frozen=True, eq=False)
class Recording:
    """All that all cameras saw."""

    rig: Rig
    skeleton: Skeleton
    people: Sequence[Person]
    #: In the order of their stamps.
    shots: list[Shot] = field(default_factory=list)

    def of(self, camera: str) -> list[Shot]:
        """Return what one camera saw, in time order."""
        return [shot for shot in self.shots if shot.camera.name == camera]

    def ticks(self) -> list[list[Shot | None]]:
        """Return for each turn what each camera of the rig saw; None where the image never came."""
        place = {camera.name: v for v, camera in enumerate(self.rig)}
        out: list[list[Shot | None]] = []
        for shot in sorted(self.shots, key=lambda s: s.tick):
            while len(out) <= shot.tick:
                out.append([None] * len(self.rig))
            out[shot.tick][place[shot.camera.name]] = shot
        return out

    def truth(self, stamps_ns: Sequence[int] | int) -> Truth:
        """Return where everybody was at some stamps."""
        return at(self.people, (np.atleast_1d(np.asarray(stamps_ns, np.int64)) - EPOCH_NS) / 1e9)


def observe(
    persons: Sequence[Person],
    rig: Rig | PosedCamera,
    skeleton: Skeleton | str = "coco17",
    *,
    seconds: float = 4.0,
    rate_hz: float = 30.0,
    faults: Faults = Faults(),
    seed: int = 0,
) -> Recording:
    """Return what cameras see of people; the same arguments give the same numbers."""
    kind = catalogue.get(skeleton) if isinstance(skeleton, str) else skeleton
    whole = rig if isinstance(rig, Rig) else Rig([rig])
    ticks = np.arange(round(seconds * rate_hz))
    shots = []
    for v, camera in enumerate(whole):
        rng = np.random.default_rng([seed, v])
        offset = faults.offsets_s[v] if faults.offsets_s else 0.0
        times = np.round((ticks / rate_hz + offset + faults.jitter_s * rng.standard_normal(len(ticks))) * 1e9)
        truth = at(persons, times / 1e9)
        points = truth.points(kind)
        pixels = cameras.project(camera, points)
        hidden = np.zeros(points.shape[:-1], bool)
        if faults.occlusion:
            bodies = rays.capsules(truth, faults.things).moved(camera.rotation, camera.translation)
            own = points @ camera.rotation.T + camera.translation
            for some in np.array_split(np.arange(len(ticks)), max(len(ticks) * len(kind) // _AT_ONCE, 1)):
                hidden[some] = rays.hidden(own[some], bodies.at(some))
        came = rng.random(len(ticks)) >= faults.drops
        noise, last = rng.standard_normal((len(persons), len(kind), 2)) if faults.lasting_s else None, -np.inf
        for t in np.flatnonzero(came):
            there = np.flatnonzero(np.isfinite(points[t]).any(axis=(1, 2)))
            if noise is not None:
                keep = np.exp((last - times[t]) * 1e-9 / faults.lasting_s)
                noise, last = keep * noise + np.sqrt(1 - keep**2) * rng.standard_normal(noise.shape), times[t]
            shots.append(_shot(camera, EPOCH_NS + int(times[t]), int(t), kind, points[t, there], pixels[t, there],
                               hidden[t, there], truth.ids[there], faults, rng,
                               None if noise is None else noise[there]))  # fmt: skip
    return Recording(whole, kind, persons, sorted(shots, key=lambda s: s.stamp_ns))


def _shot(
    camera: PosedCamera, stamp_ns: int, tick: int, skeleton: Skeleton, points: np.ndarray, pixels: np.ndarray,
    hidden: np.ndarray, ids: np.ndarray, faults: Faults, rng: np.random.Generator, noise: np.ndarray | None,
) -> Shot:  # fmt: skip
    n, k = points.shape[:2]
    shown = np.exp(faults.spread * np.abs(rng.standard_normal((n, k))))
    times = shown * np.where(hidden, _GUESS, 1)
    one = np.hypot(faults.sigma_px, faults.sigma_size * _sizes(pixels))
    sigmas, scores = one[:, None] * times, 1 / (shown if faults.sure else times) ** 2
    noise = rng.standard_normal((n, k, 2)) if noise is None else noise
    seen = pixels + sigmas[..., None] * noise
    wild = rng.random((n, k)) < faults.outliers
    angle = rng.uniform(0, 2 * np.pi, (n, k))
    seen += np.where(wild, faults.outlier_px, 0)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    swapped = np.asarray(rng.random(n) < faults.swaps)
    for column in (seen, scores, wild):
        column[swapped] = column[swapped][:, skeleton.flip_index]
    moved = swapped[:, None] & (skeleton.flip_index != np.arange(k))
    if not faults.guess:
        seen[hidden] = np.nan
    missing = ~np.isfinite(seen).all(axis=2)
    scores[missing] = 0
    found = (~missing).sum(axis=1) >= faults.fewest
    found &= rng.random(n) >= faults.misses
    rows = rng.permutation(np.flatnonzero(found))
    sigmas = np.where(missing | wild | moved, np.nan, sigmas)
    poses = Poses(skeleton, seen[rows], scores[rows], keypoints_to_boxes(seen[rows]))
    return Shot(camera, stamp_ns, tick, poses, ids[rows], points[rows], pixels[rows], hidden[rows], sigmas[rows])


def _sizes(pixels: np.ndarray) -> np.ndarray:
    """Return the size of each subject (N,), pixels; 0 for who is not in the image."""
    span = np.fmax.reduce(pixels, axis=1) - np.fmin.reduce(pixels, axis=1)
    return np.asarray(np.nan_to_num(np.sqrt(span[:, 0] * span[:, 1])))
