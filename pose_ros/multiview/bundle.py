# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment: where cameras stand, and what they saw, so that all pixels fit best (Triggs et al., 2000).

What the cameras saw are moments: a board that moved, or bodies whose limbs keep their lengths. A moment has nothing to
do with another one but through the cameras, so the normal equations are solved for the cameras first, by the Schur
complement over the moments, all of them in one batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview import lens
from pose_ros.multiview.rig import PosedCamera
from pose_ros.multiview.subjects import LET_GO, cross, turns

#: Standard deviations of a pixel's distance whose median is 1: of a Rayleigh distribution.
_MEDIAN = 1.1774
_ROUNDS, _STEPS = 4, 30
#: Information that is worth nothing, per square metre or radian; what is seen is worth ten thousands.
_NOTHING = 1e-3
#: Consecutive moments err alike; the uncertainty is read from so many stretches of them.
_STRETCHES = 10


@dataclass(frozen=True, eq=False)
class Sightings:
    """What V cameras saw of K points at T moments, as directions, so that lenses no longer matter."""

    #: (V, T, K, 2) x and y of the ray with z = 1; 0 where not seen.
    rays: np.ndarray
    #: (V, T, K, 2, 2) by how many pixels the image of a point moves with its ray.
    pixels: np.ndarray
    #: (V, T, K) 0 for not seen, else how much it counts.
    weights: np.ndarray
    #: (V, T, K, 2) pixels per second that images of points move, where clocks are compared; None where they agree.
    speeds: np.ndarray | None = None

    @classmethod
    def of(cls, cameras: Sequence[Camera], keypoints: np.ndarray, weights: np.ndarray | None = None) -> Sightings:
        """Make them of keypoints (V, T, K, 2) in pixels, NaN for missing, and weights (V, T, K)."""
        shape = keypoints.shape[:-1]
        rays, slope = lens.rays(cameras, keypoints.reshape(len(cameras), -1, 2))
        rays = np.moveaxis(rays, 0, -1).reshape(*shape, 2)
        slope = np.moveaxis(slope, (0, 1), (-2, -1)).reshape(*shape, 2, 2)
        known = np.isfinite(rays).all(axis=-1) & np.isfinite(slope).all(axis=(-1, -2))
        weights = known.astype(np.float64) if weights is None else np.where(known, weights, 0.0)
        rays, slope = np.where(known[..., None], rays[..., :2], 0.0), np.where(known[..., None, None], slope, 0.0)
        return cls(rays, slope, weights)


class Scene(Protocol):
    """What moves before the cameras; its E globals hold at all moments, its B numbers at one."""

    #: Whether it says itself how large everything is; otherwise uncertainties are those for a known size.
    known_size: ClassVar[bool]

    def points(self) -> np.ndarray:
        """(T, K, 3) in the world."""
        ...

    def chain(self, to_points: np.ndarray) -> np.ndarray:
        """Make derivatives by points, (..., T, K, n, 3), those by the numbers of a moment: (..., T, n, B), K summed."""
        ...

    def curvature(self, information: np.ndarray) -> np.ndarray:
        """Make (T, K, 3, 3) of the points a (T, B, B) of the numbers of a moment."""
        ...

    def prior(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Cost, and Gauss-Newton's (T, B, B), (T, E, B), (E, E), (T, B), (T, E) of what is known beforehand."""
        ...

    def moved(self, moments: np.ndarray, common: np.ndarray) -> Scene:
        """Return the scene after a step (T, B) and (E,)."""
        ...


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What came out."""

    #: (V, 3, 3) and (V, 3) metres, world to camera.
    rotations: np.ndarray
    translations: np.ndarray
    scene: Scene
    #: (V, T, K, 2) pixels, NaN where not seen.
    residuals: np.ndarray
    #: (V, T, K) from 1 for what fits to 0 for what the loss has let go.
    trust: np.ndarray
    #: (V, 6, 6) of a small turn (radians) and shift (metres) in the camera's frame; 0 for the first camera. The size of
    #: the whole counts as known, which only a board says.
    covariances: np.ndarray
    #: (V,) seconds to add to each camera's stamps to get those of the first one, and their standard deviations; 0 where
    #: clocks were not compared.
    offsets_s: np.ndarray
    offset_deviations_s: np.ndarray

    def posed(self, names: Sequence[str], cameras: Sequence[Camera]) -> list[PosedCamera]:
        """Return the cameras where they stand."""
        return [PosedCamera(*one) for one in zip(names, cameras, self.rotations, self.translations, strict=True)]


#: Rotations, translations, scene and offsets of the clocks while they are improved.
_State = tuple[np.ndarray, np.ndarray, Scene, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Linear:
    """Normal equations: globals are the cameras but the first one, then those of the scene."""

    cost: float
    common: np.ndarray  # (G, G)
    mixed: np.ndarray  # (T, G, B)
    moments: np.ndarray  # (T, B, B)
    common_pull: np.ndarray  # (T, G) what each moment pulls at the globals
    moments_pull: np.ndarray  # (T, B)

    def solve(self, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the step of the globals (G,) and of the moments (T, B)."""
        schur, pull, inverse = self.reduced(damping)
        common = np.linalg.solve(schur, pull.sum(axis=0))
        return common, (inverse @ (self.moments_pull - common @ self.mixed)[..., None])[..., 0]

    def reduced(self, damping: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the Schur complement (G, G), the pull of each moment at it (T, G), and (T, B, B) inverted."""
        inverse = np.linalg.inv(_damped(self.moments, damping))
        through = self.mixed @ inverse
        schur = _damped(self.common, damping) - (through @ np.swapaxes(self.mixed, 1, 2)).sum(axis=0)
        return schur, self.common_pull - (through @ self.moments_pull[..., None])[..., 0], inverse


def adjust(sightings: Sightings, rotations: np.ndarray, translations: np.ndarray, scene: Scene) -> Adjusted:
    """Improve a rough guess by Levenberg and Marquardt; the first camera stays where it is.

    Args:
        sightings: What the cameras saw. A point that fewer than two cameras saw at a moment only counts for a board.
        rotations: (V, 3, 3) world to camera.
        translations: (V, 3) metres.
        scene: The guess of what was seen.
    """
    state = (np.array(rotations), np.array(translations), scene, np.zeros(len(rotations)))
    for _ in range(_ROUNDS):
        sigma = _spread(sightings, _residuals(sightings, *state)[0])
        # What is known beforehand counts in standard deviations, so pixels have to as well.
        weighed = dataclasses.replace(sightings, weights=sightings.weights / sigma**2)
        state = _descend(weighed, state, let_go := LET_GO * sigma)
    residuals = _residuals(sightings, *state)[0]
    linear = _linear(weighed, *state, let_go)
    covariances, deviations = np.zeros((len(rotations), 6, 6)), np.zeros(len(rotations))
    parts = _covariance(linear, sightings.weights > 0, residuals, let_go, sigma)
    if not state[2].known_size:
        parts = _of_one_size(parts, *state[:2], _width(sightings))
    for view in range(1, len(rotations)):
        at = _width(sightings) * (view - 1)
        covariances[view] = parts[at : at + 6, at : at + 6]
        deviations[view] = 0.0 if sightings.speeds is None else np.sqrt(parts[at + 6, at + 6])
    trust = 1 / (1 + (np.linalg.norm(residuals, axis=-1) / let_go) ** 2)
    seen = sightings.weights > 0
    residuals, trust = np.where(seen[..., None], residuals, np.nan), np.where(seen, trust, 0.0)
    return Adjusted(*state[:3], residuals, trust, covariances, state[3], deviations)


def misfit(sightings: Sightings, rotations: np.ndarray, translations: np.ndarray, near: float) -> np.ndarray:
    """Return how badly the rays of each moment meet, (T,): the mean of log(1 + (pixels off / near)^2); 0 for none."""
    points = meet(rotations, translations, sightings)
    met = np.isfinite(points[..., 0])
    at_once = np.zeros(len(rotations))
    off = _off(sightings, rotations, translations, np.where(met[..., None], points, 0.0), at_once)[0]
    weights = sightings.weights * met
    bad = weights * np.log1p((off**2).sum(axis=-1) / near**2)
    return bad.sum(axis=(0, 2)) / np.maximum(weights.sum(axis=(0, 2)), 1e-9)


def meet(rotations: np.ndarray, translations: np.ndarray, sightings: Sightings) -> np.ndarray:
    """Return the points (T, K, 3) nearest to all rays; NaN where fewer than two cameras see one.

    A first guess: while the cameras are guesses themselves, none of them can be told to be wrong.
    """
    directions = np.concatenate([sightings.rays, np.ones_like(sightings.rays[..., :1])], axis=-1)
    directions = np.einsum("vij,vtki->vtkj", rotations, directions)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    across = np.eye(3) - directions[..., None] * directions[..., None, :]
    across *= sightings.weights[..., None, None]
    centres = -np.einsum("vij,vi->vj", rotations, translations)
    pull = np.einsum("vtkij,vj->tki", across, centres)
    met = (sightings.weights > 0).sum(axis=0) > 1
    normal = np.where(met[..., None, None], across.sum(axis=0), np.eye(3))
    points = np.linalg.solve(normal + 1e-12 * np.eye(3), pull[..., None])[..., 0]
    return np.where(met[..., None], points, np.nan)


def _width(sightings: Sightings) -> int:
    """Return how many numbers a camera has: a turn, a shift, and what its clock is off."""
    return 6 if sightings.speeds is None else 7


def _descend(sightings: Sightings, state: _State, let_go: float) -> _State:
    damping, linear = 1e-3, _linear(sightings, *state, let_go)
    for _ in range(_STEPS):
        common, moments = linear.solve(damping)
        width = _width(sightings)
        split = width * (len(state[0]) - 1)
        step = np.concatenate([np.zeros((1, width)), common[:split].reshape(-1, width)])
        turn = turns(step[:, :3])
        tried = (turn @ state[0], (turn @ state[1][..., None])[..., 0] + step[:, 3:6],
                 state[2].moved(moments, common[split:]), state[3] + step[:, 6:].sum(axis=1))  # fmt: skip
        ahead = _linear(sightings, *tried, let_go)
        if ahead.cost < linear.cost:
            done = linear.cost - ahead.cost < 1e-7 * linear.cost
            state, linear, damping = tried, ahead, max(damping / 5, 1e-9)
            if done:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 4
    return state


def _residuals(
    sightings: Sightings, rotations: np.ndarray, translations: np.ndarray, scene: Scene, offsets_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far images lie from what was seen (V, T, K, 2), in pixels, and the points in the camera frames."""
    return _off(sightings, rotations, translations, scene.points(), offsets_s)


def _off(
    sightings: Sightings, rotations: np.ndarray, translations: np.ndarray, points: np.ndarray, offsets_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    local = np.einsum("vij,tkj->vtki", rotations, points) + translations[:, None, None]
    # A point behind a camera has no image; one that is pushed there feels a wall, not a hole.
    depth = np.maximum(local[..., 2:], 1e-3)
    off = (sightings.pixels @ (local[..., :2] / depth - sightings.rays)[..., None])[..., 0]
    if sightings.speeds is not None:
        # What was stamped with a moment was seen so much later.
        off = off + sightings.speeds * offsets_s[:, None, None, None]
    return np.where(sightings.weights[..., None] > 0, off, 0.0), local


def _linear(
    sightings: Sightings, rotations: np.ndarray, translations: np.ndarray, scene: Scene, offsets_s: np.ndarray,
    let_go: float,
) -> _Linear:
    off, local = _residuals(sightings, rotations, translations, scene, offsets_s)
    squares = (off**2).sum(axis=-1)
    cost, ss, es, ee, s, e = scene.prior()
    cost += float((sightings.weights * np.log1p(squares / let_go**2)).sum() * let_go**2)
    trust = sightings.weights / (1 + squares / let_go**2)
    z = np.maximum(local[..., 2], 1e-3)
    by_local = np.zeros((*z.shape, 2, 3))
    by_local[..., 0, 0] = by_local[..., 1, 1] = 1 / z
    by_local[..., 2] = -local[..., :2] / z[..., None] ** 2
    by_local = sightings.pixels @ by_local
    by_camera = np.concatenate([by_local @ -cross(local), by_local], axis=-1)  # (V, T, K, 2, 6 or 7)
    if sightings.speeds is not None:
        by_camera = np.concatenate([by_camera, sightings.speeds[..., None]], axis=-1)
    width = by_camera.shape[-1]
    by_point = by_local @ rotations[:, None, None]
    heavy = by_camera * trust[..., None, None]
    moment_count, views, extra = len(ss), len(rotations), len(ee)
    globals_ = width * (views - 1) + extra
    common = np.zeros((globals_, globals_))
    mixed = np.zeros((moment_count, globals_, ss.shape[1]))
    pull = np.zeros((moment_count, globals_))
    own = np.swapaxes(heavy.reshape(views, -1, width), 1, 2) @ by_camera.reshape(views, -1, width)
    between = scene.chain(np.swapaxes(heavy, -1, -2) @ by_point)  # (V, T, width, B)
    tug = -(off[..., None, :] @ heavy)[..., 0, :].sum(axis=2)
    for view in range(1, views):
        at = slice(width * (view - 1), width * view)
        common[at, at], mixed[:, at], pull[:, at] = own[view], between[view], tug[view]
    at = slice(width * (views - 1), None)
    common[at, at], mixed[:, at], pull[:, at] = ee, es, e
    weighed = by_point * trust[..., None, None]
    ss = ss + scene.curvature((np.swapaxes(weighed, -1, -2) @ by_point).sum(axis=0))
    tugs = -(off[..., None, :] @ weighed).sum(axis=0)
    return _Linear(cost, common, mixed, ss, pull, s + scene.chain(tugs)[..., 0, :])


def _damped(matrices: np.ndarray, damping: float) -> np.ndarray:
    """Return matrices with a longer diagonal; what nothing is known of stands still."""
    out = matrices.copy()
    index = np.arange(matrices.shape[-1])
    out[..., index, index] = out[..., index, index] * (1 + damping) + _NOTHING
    return out


def _spread(sightings: Sightings, off: np.ndarray) -> float:
    """Return a robust standard deviation of residuals, pixels along one axis."""
    distances = np.linalg.norm(off, axis=-1)[sightings.weights > 0]
    return max(float(np.median(distances)) / _MEDIAN, 0.02) if len(distances) else 1.0


def _covariance(linear: _Linear, seen: np.ndarray, off: np.ndarray, let_go: float, sigma: float) -> np.ndarray:
    """Return the covariance (G, G) of the globals.

    The inverse of the normal matrix would be it if errors were Gaussian, as large as residuals are, and independent.
    They are larger, because the moments' own numbers have been fitted to them; those that are let go say less (Huber,
    Robust statistics, 1981, 7.6); and those of a network or of a wrong lens are alike for many moments, which shows in
    how stretches of moments pull together (the design effect of clusters).
    """
    schur, pull, _ = linear.reduced(0.0)
    bread = np.linalg.pinv(schur, hermitian=True)
    squares = (off**2).sum(axis=-1)[seen] / let_go**2
    trust = 1 / (1 + squares)
    robust = (trust**2 * squares).mean() / 2 * (let_go / sigma) ** 2 * trust.mean()
    robust /= max((trust - trust**2 * squares).mean(), 0.2) ** 2
    count, fitted = 2 * seen.sum(), len(schur) + (np.einsum("tbb->tb", linear.moments) > 1).sum()
    free = count / max(count - fitted, 0.1 * count)
    together = _scatter(bread, np.stack([p.sum(axis=0) for p in np.array_split(pull, min(_STRETCHES, len(pull)))]))
    return bread * robust * free * max(1.0, together / max(_scatter(bread, pull), 1e-12))


def _of_one_size(covariance: np.ndarray, rotations: np.ndarray, translations: np.ndarray, width: int) -> np.ndarray:
    """Return the covariance of the globals when it is known how large the rig is."""
    centres = -np.einsum("vij,vi->vj", rotations, translations)
    longer = np.zeros(len(covariance))
    for view in range(1, len(rotations)):
        at = width * (view - 1)
        longer[at + 3 : at + 6] = -rotations[view] @ (centres[view] - centres[0])
    along = covariance @ longer
    return covariance - np.outer(along, along) / max(float(longer @ along), 1e-300)


def _scatter(bread: np.ndarray, pulls: np.ndarray) -> float:
    """Return how much pulls (N, G) that cancel out scatter, in units of what is known."""
    pulls = pulls - pulls.mean(axis=0)
    return float(np.einsum("ng,gh,nh->", pulls, bread, pulls)) * len(pulls) / max(len(pulls) - 1, 1)
