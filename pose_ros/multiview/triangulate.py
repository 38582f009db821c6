# SPDX-License-Identifier: Apache-2.0
"""Triangulate: where keypoints are that several cameras saw, how sure that is, and which views to believe.

The normal equations of all views, weighted by depth, and repeated, give the point of least squared pixels but for
second order (Hartley and Sturm, "Triangulation", CVIU 1997, iterative linear least squares). Where some view does not
fit, those that agree are found, and only these points are solved again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import ShapeError
from pose_ros.multiview.agreement import agreeing
from pose_ros.multiview.rig import Rig
from pose_ros.multiview.sights import SYMMETRIC, Sights, count, inverse, nearness, solve

#: A residual of more standard deviations weighs less than its square (Huber).
_HUBER = 2.0
#: How much farther, squared, views may be from a point that two of them make: it has the noise of those.
_LOOSER = 2.0
#: The assumed noise counts as much as so many residuals, and the noise of a subject as so many of a keypoint.
_NOISE_KNOWN, _SUBJECT_KNOWN = 10.0, 12.0


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
    #: (V, N, K) float32, pixels: how far each view is off, used or not; NaN where it saw nothing.
    residuals: np.ndarray


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
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
    sights = Sights.make(rig, keypoints.reshape(v, n * k, 2), scores.reshape(v, n * k), noise, options.min_score)

    weights, limit = sights.weights, options.limit**2
    squares, at = sights.residuals(solve(sights.sum(weights)))
    squares *= weights
    robust = _robust(weights, squares, at[2])
    off = _off(squares, at[2], weights, limit)
    wrong = again = np.flatnonzero(off.any(axis=0) & (count(weights > 0) > 2))
    if off.any():
        weights = np.where(off, 0, weights)
    if len(wrong):
        some = sights.of(wrong)
        agreed, rough = agreeing(some, _LOOSER * limit)
        # Where but two views made the point, or some hardly fit, all that agree make it first, and then are judged.
        rough |= ((agreed.squares > limit) & agreed.fits).any(axis=0)
        agreed.squares[:, rough] = 0
        weights[:, wrong] = own = some.weights * agreed.fits
        robust[:, wrong] = _robust(own, agreed.squares, agreed.depth)
        again = wrong[rough]
    total = sights.sum(robust)
    points = solve(total)
    squares, at = sights.residuals(points)
    if len(again):
        some, own, near = sights.of(again), weights.take(again, axis=1), at[2].take(again, axis=1)
        far = squares.take(again, axis=1) * own
        weights[:, again] = own = np.where(_off(far, near, own, limit), 0, own)
        total[:, again] = own = some.sum(_robust(own, far, near))
        points[:, again] = own = solve(own)
        squares[:, again], at[:, :, again] = some.residuals(own)
    return _report(options, sights, weights, points, inverse(total), squares, at, shape)


def _robust(weights: np.ndarray, squares: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return weights divided by squared depths, and of views that are far off by how far; (V, M) all."""
    part = np.sqrt(squares)
    part *= 1 / _HUBER
    np.fmax(part, 1, out=part)
    part *= nearness(depth)
    return np.divide(weights, part, out=part)


def _off(squares: np.ndarray, depth: np.ndarray, weights: np.ndarray, limit: float) -> np.ndarray:
    """Return which views do not fit, (V, M) bool."""
    off = depth <= 0
    off &= weights > 0
    off |= squares > limit
    return off


def _report(
    options: TriangulateOptions, sights: Sights, weights: np.ndarray, points: np.ndarray, inverses: np.ndarray,
    squares: np.ndarray, at: np.ndarray, shape: tuple[int, int, int],
) -> Triangulation:  # fmt: skip
    """Return what was found, without the points on which too few views agree or whose rays are too parallel."""
    _, n, k = shape
    stand = sights.stand
    used = weights > 0
    views = count(used)
    many = views.astype(np.float32)
    # The squared chords between n unit vectors, (x - centre) / length each, sum to n^2 less the square of their sum.
    at = at * at
    length = np.add(at[0], at[1])
    length += at[2]
    unit = used / np.sqrt(length)
    whole = points[:3] * unit.sum(axis=0) - stand.centres @ unit
    whole *= whole
    least = 1 - np.float32(np.cos(np.radians(options.min_angle)))
    found = (views >= options.min_views) & (many * many - whole.sum(axis=0) >= least * many * (many - 1))
    used &= found
    views *= found

    # The noise may be other than assumed: the residuals of a subject, and a little those of the keypoint, say. Errors
    # divided by what few residuals say are Student's, with the variance n / (n - 2).
    seen = squares * used
    misfit = np.where(found, np.einsum("vm,vm->m", seen, weights), 0)
    freedom = np.where(found, 2 * many - 3, 0)
    each = (_NOISE_KNOWN + misfit.reshape(n, k).sum(axis=1)) / (_NOISE_KNOWN + freedom.reshape(n, k).sum(axis=1))
    scale = (_SUBJECT_KNOWN * np.repeat(each, k) + misfit) / (_SUBJECT_KNOWN + freedom - 2)
    scale[~found] = np.nan
    covariances = (inverses * scale).astype(np.float64).take(SYMMETRIC, axis=0)
    points = points[:3] + stand.origin[:, None]
    points[:, ~found] = np.nan
    return Triangulation(
        points.T.reshape(n, k, 3),
        covariances.T.reshape(n, k, 3, 3),
        views.reshape(n, k),
        np.sqrt(seen.sum(axis=0, dtype=np.float64) / views).reshape(n, k),
        used.reshape(shape),
        # NaN where nothing was seen: 0 / 0.
        (np.sqrt(squares) / (sights.weights > 0)).reshape(shape),
    )
