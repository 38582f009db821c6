# SPDX-License-Identifier: Apache-2.0
"""Triangulate: where keypoints are that several cameras saw, how sure that is, and which views to believe.

Every sight of a keypoint gives two linear equations in its position, in pixels times depth. They are summed to one
3 x 3 system for each point, so that any choice of views and weights costs a sum; weighted by depth and repeated, the
solution is that of least squared pixels but for second order (Hartley and Sturm, "Triangulation", CVIU 1997, iterative
linear least squares). Views that do not fit are found by trying all pairs of views and counting how far all others are
off, cut at the limit (MSAC; Torr and Zisserman, "MLESAC", CVIU 2000).
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import ShapeError
from pose_ros.multiview import lens
from pose_ros.multiview.rig import Rig

#: Pairs are made of at most so many views of a point, those with the highest scores; 66 pairs find what is there.
_VIEWS_TO_PAIR = 12
#: A residual of more standard deviations weighs less than its square (Huber).
_HUBER = 2.0
#: Depth below which a point weighs no more, metres; what is nearer to a camera is its own housing.
_NEAREST = 0.05
#: How much farther, squared, views may be from a point that two of them make: it has the noise of those.
_LOOSER = 2.0
#: The assumed noise counts as much as so many residuals, and the noise of a subject as so many of a keypoint.
_NOISE_KNOWN, _SUBJECT_KNOWN = 10.0, 12.0
#: Rays are parallel if the determinant is less than this part of the cube of the trace; those that meet at a tenth of a
#: degree are. What is left of single precision there is worth more than pixels with noise are.
_FLATTEST = 4e-7
#: A symmetric matrix of its upper half.
_SYMMETRIC = [0, 1, 2, 1, 3, 4, 2, 4, 5]

# The C library hands freed memory back to the system, to ask for it again at once, until it has freed one large piece:
# then it keeps twice as much. This halves the time of everything below in a process that sees no images.
np.empty(16 << 20, np.uint8)


@dataclass(frozen=True)
class TriangulateOptions:
    """Options of :func:`triangulate`."""

    noise: float = option(
        3.0, "Standard deviation of where a keypoint with score 1 is seen; the variance of others is that over their "
        "score.", unit="px", low=0.05, high=100.0, live=True,
    )
    limit: float = option(
        4.0, "A view that is off by more standard deviations than this is dropped.", low=1.0, high=100.0, live=True
    )
    min_score: float = option(0.1, "Keypoints with a lower score are not used.", low=0.0, high=1.0, live=True)
    min_views: int = option(2, "A keypoint that fewer views agree on is missing.", low=2, high=64, live=True)
    min_angle: float = option(
        1.0, "Rays that meet at less than this angle (root mean square over the pairs of views) give no point.",
        unit="deg", low=0.0, high=90.0, live=True,
    )


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Keypoints of N subjects in the world; NaN and zero views where there is no position."""

    #: (N, K, 3) float64, metres.
    points: np.ndarray
    #: (N, K, 3, 3) float64, square metres.
    covariances: np.ndarray
    #: (N, K) uint8: how many views agree.
    views: np.ndarray
    #: (N, K) float64, pixels: root mean square over those views.
    errors: np.ndarray
    #: (V, N, K) bool: which views agree.
    used: np.ndarray
    #: (V, N, K) float64, pixels: how far each view is off, used or not; NaN where it saw nothing.
    residuals: np.ndarray


class _Stand(NamedTuple):
    """Where V cameras stand, seen from their middle: near it, rounding matters least."""

    #: (3,), metres in the world.
    origin: np.ndarray
    #: (3, V, 1), metres from there.
    centres: np.ndarray
    #: (4, 3, V, 1): what each of x, y, z and -1 adds to the coordinates in the camera's optical frame.
    pose: np.ndarray
    #: (V, 3) and (V, 1): depth is ``axes @ x + offsets``.
    axes: np.ndarray
    offsets: np.ndarray
    #: (V, 1, 2), pixels: principal points.
    middles: np.ndarray

    @classmethod
    @functools.lru_cache(16)
    def of(cls, rig: Rig) -> _Stand:
        """Return what does not change from one call to the next."""
        origin = np.mean([camera.centre for camera in rig], axis=0)
        centres = np.array([camera.centre - origin for camera in rig]).T[:, :, None]
        rotations = np.array([camera.rotation for camera in rig])
        offsets = np.array([camera.translation for camera in rig]) + rotations @ origin
        pose = np.concatenate([rotations, -offsets[:, :, None]], axis=2).transpose(2, 1, 0)[..., None]
        middles = np.array([camera.camera.K[:2, 2] for camera in rig])[:, None]
        pose, axes, deep = (a.astype(np.float32) for a in (pose, rotations[:, 2], offsets[:, 2:]))
        return cls(origin, centres.astype(np.float32), pose, axes, deep, middles)


class _Sights(NamedTuple):
    """What V cameras saw of M points, as equations ``rows @ x = right``, in pixels times depth."""

    #: (2, 3, V, M)
    rows: np.ndarray
    #: (2, V, M)
    right: np.ndarray
    #: (V, 3) and (V, 1): depth is ``axes @ x + offsets``.
    axes: np.ndarray
    offsets: np.ndarray
    #: (V, 9, M): what each sight adds to the normal equations: xx xy xz yy yz zz of the matrix, x y z of the right.
    sums: np.ndarray
    #: (V, M): 1 / variance, square pixels; 0 where nothing was seen.
    weights: np.ndarray

    def of(self, points: np.ndarray) -> _Sights:
        """Return the sights of some points."""
        rows, right, sums, weights = (
            array.take(points, axis=-1) for array in (self.rows, self.right, self.sums, self.weights)
        )
        return _Sights(rows, right, self.axes, self.offsets, sums, weights)


def triangulate(
    rig: Rig,
    keypoints: np.ndarray,
    scores: np.ndarray,
    options: TriangulateOptions | None = None,
    sigmas: np.ndarray | None = None,
) -> Triangulation:
    """Find the keypoints of N subjects in the world.

    Args:
        rig: V cameras.
        keypoints: (V, N, K, 2) pixels of each camera, with distortion; NaN where not seen.
        scores: (V, N, K) in [0, 1].
        options: How to.
        sigmas: What broadcasts to (V, N, K): standard deviation of a keypoint with score 1, pixels; takes the place of
            ``options.noise``. People who fill an image are seen less sharply, in pixels, than those far away.

    Returns:
        The points, in the world of the rig.

    Raises:
        ShapeError: An array has another shape.
    """
    options = options or TriangulateOptions()
    keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    if keypoints.ndim != 4 or keypoints.shape[0] != len(rig) or keypoints.shape[3] != 2:
        raise ShapeError("keypoints", f"({len(rig)}, N, K, 2) for {len(rig)} cameras", keypoints.shape)
    shape = keypoints.shape[:3]
    if scores.shape != shape:
        raise ShapeError("scores", str(shape), scores.shape)
    v, n, k = shape
    noise: np.ndarray | float = options.noise if sigmas is None else np.broadcast_to(sigmas, shape).reshape(v, -1)
    sights = _sights(rig, keypoints.reshape(v, n * k, 2), scores.reshape(v, n * k), noise, options.min_score)

    weights, limit = sights.weights, options.limit**2
    x, _ = _solve(_sum(sights.sums, weights))
    squares, depth = _residuals(sights, x)
    wrong = ((squares * weights > limit) | ((depth <= 0) & (weights > 0))).any(axis=0)
    bad = np.flatnonzero(wrong & ((weights > 0).sum(axis=0) > 2))
    if len(bad):
        weights = weights.copy()
        agreed, rough = _agreeing(sights.of(bad), _LOOSER * limit)
        weights[:, bad] *= agreed
        depth[:, bad] = sights.axes @ rough + sights.offsets
    for last in (False, True):
        robust = weights / np.square(np.fmax(depth, _NEAREST))
        if last:
            robust *= np.fmin(1, _HUBER / np.sqrt(np.fmax(squares * weights, 1e-12)))
        x, inverse = _solve(_sum(sights.sums, robust))
        squares, depth = _residuals(sights, x)
        if not last:
            weights = np.where((squares * weights <= limit) & (depth > 0), weights, 0)
    return _report(rig, options, sights, weights, x, inverse, squares, shape)


def along_rays(
    rig: Rig, keypoints: np.ndarray, scores: np.ndarray, sigmas: np.ndarray, points: np.ndarray,
    covariances: np.ndarray, options: TriangulateOptions | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Correct points that are known roughly by as many rays as there are, be it one.

    Args:
        rig: V cameras.
        keypoints: (V, M, 2) pixels; NaN where not seen.
        scores: (V, M) in [0, 1].
        sigmas: (V, M) standard deviation of a keypoint with score 1, pixels.
        points: (M, 3) metres in the world, where they should be.
        covariances: (M, 3, 3) square metres, how sure that is.
        options: How far sights may be from there, in standard deviations.

    Returns:
        (M, 3) points and (M, 3, 3) covariances, NaN where no camera saw it near where it should be; (V, M) bool: which
        ones did.
    """
    options = options or TriangulateOptions()
    sights, stand = _sights(rig, keypoints, scores, sigmas, options.min_score), _Stand.of(rig)
    start = points.T - stand.origin[:, None]
    squares, depth = _residuals(sights, start)
    # What a metre is in pixels, and so how far the point may be off in them.
    pixels = sights.sums[:, [0, 3, 5]].sum(axis=1) / (2 * depth * depth)
    spread = pixels * np.trace(covariances, axis1=1, axis2=2) / 3
    with np.errstate(invalid="ignore"):
        used = (depth > 0) & (squares * sights.weights <= options.limit**2 * (1 + spread * sights.weights))
    used &= sights.weights > 0
    known = np.full(covariances.shape, np.nan)
    fine = used.any(axis=0) & np.isfinite(covariances).all(axis=(1, 2))
    known[fine] = np.linalg.inv(covariances[fine])
    prior = np.concatenate([
        known.reshape(-1, 9)[:, [0, 1, 2, 4, 5, 8]].T, np.einsum("mij,jm->im", known, start)
    ])  # fmt: skip
    near = sights.weights * used / np.square(np.fmax(depth, _NEAREST))
    # Rays may contradict one another: each alone, and every two of them, say where it is; the nearest to where it
    # should be, on which most agree, is right.
    tried = np.zeros((len(used) * (len(used) + 1) // 2, len(used)), np.float32)
    np.put_along_axis(tried, np.array([*itertools.combinations_with_replacement(range(len(used)), 2)]), 1, axis=1)
    x, _ = _solve(np.einsum("pv,vcm->cpm", tried, sights.sums * near[:, None]) + prior[:, None])
    squares, depth = _residuals(sights, x)
    squares *= sights.weights[:, None]
    with np.errstate(invalid="ignore"):
        fits = used[:, None] & (squares <= options.limit**2) & (depth > 0)
    apart = x - start[:, None]
    cost = np.where(fits, squares, options.limit**2 * used[:, None]).sum(axis=0)
    cost += np.einsum("ipm,mij,jpm->pm", apart, known, apart)
    best = np.where(np.isnan(cost), np.inf, cost).argmin(axis=0)
    used &= fits[:, best, np.arange(len(best))]
    x, inverse = _solve(_sum(sights.sums, near * used) + prior)
    x[:, ~used.any(axis=0)], inverse[:, ~used.any(axis=0)] = np.nan, np.nan
    return (x + stand.origin[:, None]).T, inverse[_SYMMETRIC].T.reshape(-1, 3, 3), used


class Deviations(NamedTuple):
    """How far what each camera saw is from what the others did, without it; NaN where fewer than two others did."""

    #: (V, M): chi-square of the camera's own deviation, as a multiple of the median that noise alone would make.
    own: np.ndarray
    #: (V, M): the same of the others among themselves.
    others: np.ndarray
    #: (V, M), pixels.
    pixels: np.ndarray


def leave_one_out(
    rig: Rig, keypoints: np.ndarray, scores: np.ndarray, sigmas: np.ndarray, used: np.ndarray, min_score: float = 0.1
) -> Deviations:
    """Compare every camera with points that are made without it.

    The chi-square that a sight adds to those of the others is that of its distance from their point, with the
    uncertainty of that point. Of two cameras both deviate by what they disagree, and ``others`` is 0.

    Args:
        rig: V cameras.
        keypoints: (V, M, 2) pixels; NaN where not seen.
        scores: (V, M) in [0, 1].
        sigmas: (V, M) standard deviation of a keypoint with score 1, pixels.
        used: (V, M) bool: the sights of which points are made; all others are compared with these.
        min_score: Keypoints with a lower score are not used.
    """
    sights = _sights(rig, keypoints, scores, sigmas, min_score)
    each, alone = np.arange(len(used)), np.eye(len(used), dtype=bool)[:, :, None]
    made = sights.weights * used
    rough, _ = _solve(_sum(sights.sums, made))
    _, depth = _residuals(sights, rough)
    # (2 V, V, M): the weights of all sights in the point without each camera, then in the one with it.
    chosen = np.concatenate([made * ~alone, np.where(alone, sights.weights, made)])
    x, _ = _solve(np.einsum("vcm,pvm->cpm", sights.sums, chosen / np.square(np.fmax(depth, _NEAREST))))
    squares, depth = _residuals(sights, x)
    weights = chosen.transpose(1, 0, 2)
    without, whole = np.split(np.where(weights > 0, squares * weights, 0).sum(axis=0), 2)
    count = (made * ~alone > 0).sum(axis=1)
    known = (sights.weights > 0) & (count >= 2)
    own, others = np.fmax(whole - without, 0) / _median(2), without / _median(2 * count - 3)
    pixels = np.sqrt(squares[each, each])
    if len(used) == 2:
        pair = (made > 0) & (count == 1)
        own[pair], others[pair] = (whole / _median(1))[pair], 0
        pixels[pair] = np.sqrt(squares[each, len(each) + each])[pair]
        known |= pair
    return Deviations(*(np.where(known, part, np.nan) for part in (own, others, pixels)))


def _median(freedom: np.ndarray | int) -> np.ndarray:
    """Return the median of chi-square (Wilson and Hilferty 1931)."""
    freedom = np.fmax(freedom, 1)
    return np.asarray(freedom * (1 - 2 / (9 * freedom)) ** 3)


def _sights(rig: Rig, pixels: np.ndarray, scores: np.ndarray, noise: np.ndarray | float, least: float) -> _Sights:
    """Return the equations of pixels (V, M, 2)."""
    v, m = scores.shape
    stand = _Stand.of(rig)
    # With p a pixel's ray, J how the pixel moves with it: J (x / z - p) z = J (R[:2] - p R[2]) x + J (t[:2] - p t[2])
    seen = np.isfinite(pixels[..., 0]) & np.isfinite(pixels[..., 1]) & (scores >= least) & (scores > 0)
    if not seen.all():
        pixels = np.where(seen[..., None], pixels, stand.middles)
    rays, stretch = lens.rays([posed.camera for posed in rig], pixels)
    nowhere = np.isnan(rays[0])
    if nowhere.any():
        rays[:, nowhere], stretch[:, :, nowhere], seen = 0, 0, seen & ~nowhere
    # One column after the other: arrays that fit the processor's cache are worth a loop over four.
    sides = np.empty((2, 4, v, m), np.float32)
    for i, (rightwards, down, forward) in enumerate(stand.pose):
        across, along = rightwards - forward * rays[0], down - forward * rays[1]
        for a in (0, 1):
            np.multiply(stretch[a, 0], across, out=sides[a, i])
            sides[a, i] += stretch[a, 1] * along
    rows, right = sides[:, :3], sides[:, 3]
    weights = (np.where(seen, scores, 0) / np.square(noise)).astype(np.float32)
    sums = np.empty((v, 9, m), np.float32)
    for place, (i, j) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
        sums[:, place] = rows[0, i] * rows[0, j] + rows[1, i] * rows[1, j]
    for i in range(3):
        sums[:, 6 + i] = rows[0, i] * right[0] + rows[1, i] * right[1]
    return _Sights(rows, right, stand.axes, stand.offsets, sums, weights)


def _sum(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the normal equations of the weighted views, (V, 9, M) and (V, M) -> (9, M)."""
    total: np.ndarray = np.einsum("vcm,vm->cm", sums, weights)
    return total


def _solve(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve symmetric 3 x 3 systems (9, ...): positions (3, ...) and inverses (6, ...: xx xy xz yy yz zz)."""
    a, b, c, d, e, f, x, y, z = total
    inverse = np.empty((6, *a.shape), a.dtype)
    inverse[0], inverse[1], inverse[2] = d * f - e * e, c * e - b * f, b * e - c * d
    inverse[3], inverse[4], inverse[5] = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * inverse[0] + b * inverse[1] + c * inverse[2]
    # Of a single ray it is zero, but for rounding.
    trace = a + d + f
    inverse /= np.where(determinant > _FLATTEST * trace * trace * trace, determinant, np.nan)
    positions = np.empty((3, *a.shape), a.dtype)
    positions[0] = inverse[0] * x + inverse[1] * y + inverse[2] * z
    positions[1] = inverse[1] * x + inverse[3] * y + inverse[4] * z
    positions[2] = inverse[2] * x + inverse[4] * y + inverse[5] * z
    return positions, inverse


def _residuals(sights: _Sights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the sights are from points: (3, P, M) or (3, M) -> square pixels (V, P, M) and depths."""
    depth = (sights.axes @ x.reshape(3, -1) + sights.offsets).reshape(len(sights.axes), *x.shape[1:])
    rows, right = sights.rows, sights.right
    if x.ndim == 3:
        rows, right = rows[:, :, :, None], right[:, :, None]
    off = rows[:, 0] * x[0]
    off += rows[:, 1] * x[1]
    off += rows[:, 2] * x[2]
    off -= right
    off *= off
    squares = off[0]
    squares += off[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        squares /= depth * depth
    return squares, depth


def _agreeing(sights: _Sights, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which views to believe, (V, M) bool, and about where the points are, (3, M).

    They are all but one where these agree, else those that agree with the best pair.
    """
    views = len(sights.weights)
    fits, x, left = _best(sights, 1 - np.eye(views, dtype=np.float32), sights.sums * sights.weights[:, None], limit)
    torn = np.flatnonzero((fits.sum(axis=0) < left) & (left > 2))
    if len(torn):
        some = sights.of(torn)
        terms = some.sums * some.weights[:, None]
        if views > _VIEWS_TO_PAIR:
            best = np.argpartition(-some.weights, _VIEWS_TO_PAIR, axis=0)[:_VIEWS_TO_PAIR]
            terms = np.take_along_axis(terms, best[:, None], axis=0)
        pairs = np.array(list(itertools.combinations(range(len(terms)), 2)))
        chosen = np.zeros((len(pairs), len(terms)), np.float32)
        np.put_along_axis(chosen, pairs, 1, axis=1)
        fits[:, torn], x[:, torn], _ = _best(some, chosen, terms, limit)
    return fits, x


def _best(
    sights: _Sights, chosen: np.ndarray, terms: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which views agree with the best of P choices of views, and how many should.

    Args:
        sights: Of M points.
        chosen: (P, T) 0 or 1: the terms of each choice.
        terms: (T, 9, M) normal equations.
        limit: Square of the most standard deviations.

    Returns:
        (V, M) bool, none where two choices are as good; (3, M) where that choice puts the points; and (M,) how many
        views but one there are.
    """
    count = sights.weights.shape[1]
    total = (chosen @ terms.reshape(len(terms), -1)).reshape(len(chosen), 9, count)
    x, _ = _solve(total.transpose(1, 0, 2))
    squares, depth = _residuals(sights, x)
    squares *= sights.weights[:, None]
    # A point behind a camera, or nowhere, agrees with nobody.
    np.copyto(squares, limit, where=~((squares < limit) & (depth > 0)))
    seen = sights.weights > 0
    cost = np.einsum("vpm,vm->pm", squares, seen)
    fits = (squares < limit) & seen[:, None]
    best = cost.argmin(axis=0), np.arange(count)
    # Two views alone may agree by chance. If others do, too, nobody can tell who is right.
    agreed = fits[:, best[0], best[1]]
    few = np.flatnonzero(agreed.sum(axis=0) == 2)
    rivals = fits[:, :, few]
    torn = ((rivals.sum(axis=0) >= 2) & (rivals != agreed[:, None, few]).any(axis=0)).any(axis=0)
    agreed[:, few[torn]] = False
    return agreed, x[:, best[0], best[1]], seen.sum(axis=0) - 1


def _report(
    rig: Rig, options: TriangulateOptions, sights: _Sights, weights: np.ndarray, x: np.ndarray, inverse: np.ndarray,
    squares: np.ndarray, shape: tuple[int, int, int],
) -> Triangulation:  # fmt: skip
    """Return what was found, without the points on which too few views agree or whose rays are too parallel."""
    _, n, k = shape
    used = weights > 0
    views = used.sum(axis=0)
    stand = _Stand.of(rig)
    with np.errstate(divide="ignore", invalid="ignore"):
        rays = x[:, None] - stand.centres
        rays *= used / np.sqrt((rays * rays).sum(axis=0))
        # The squared chords between n unit vectors sum to n^2 less the square of their sum.
        chords = (views * views - np.square(rays.sum(axis=1)).sum(axis=0)) / (views * (views - 1) / 2)
        least = 2 - 2 * np.cos(np.radians(options.min_angle))
        found = (views >= options.min_views) & (chords >= least) & np.isfinite(x[0])
    used &= found
    views = np.where(found, views, 0)

    # The noise may be other than assumed: the residuals of a subject, and a little those of the keypoint, say. Errors
    # divided by what few residuals say are Student's, with the variance n / (n - 2).
    misfit = np.where(found, (squares * weights * used).sum(axis=0), 0)
    freedom = np.where(found, 2 * views - 3, 0)
    each = (_NOISE_KNOWN + misfit.reshape(n, k).sum(axis=1)) / (_NOISE_KNOWN + freedom.reshape(n, k).sum(axis=1))
    scale = (_SUBJECT_KNOWN * np.repeat(each, k) + misfit) / (_SUBJECT_KNOWN + freedom - 2)
    covariances = (inverse * np.where(found, scale, np.nan))[_SYMMETRIC].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt((squares * used).sum(axis=0) / views)
    points = np.where(found, x + stand.origin[:, None], np.nan)
    return Triangulation(
        points.T.reshape(n, k, 3),
        covariances.T.reshape(n, k, 3, 3),
        views.astype(np.uint8).reshape(n, k),
        errors.reshape(n, k),
        used.reshape(shape),
        np.sqrt(np.where(sights.weights > 0, squares, np.nan)).reshape(shape),
    )
