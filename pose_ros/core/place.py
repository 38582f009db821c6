# SPDX-License-Identifier: Apache-2.0
"""Place: put a body of known size and shape where the camera saw it."""

from __future__ import annotations

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses

#: Fewest keypoints from which a position is computed; two would do without noise.
_FEWEST = 3
#: Rounds of reweighting by distance; a third changes nothing that matters.
_ROUNDS = 2


def placed(poses: Poses, camera: Camera) -> Poses:
    """Return poses whose ``local_points`` stand in the camera's frame; see :func:`place`.

    Every keypoint gets the covariance of its subject's position: that is by far the largest part, along the ray.
    """
    if poses.local_points is None:
        return poses
    points, covariances = place(poses.local_points, poses.keypoints, poses.scores, camera)
    k = len(poses.skeleton)
    return poses.replace(points=points, covariances=np.repeat(covariances[:, None], k, axis=1))


def place(
    local_points: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Move each subject to where its points project onto its keypoints.

    A point X + t is seen along the ray r when it has no component across r. That is linear in t, so the answer is a
    weighted least squares of 3 unknowns: no start value, no iteration over angles. Rays carry the lens distortion.

    Args:
        local_points: (N, K, 3) metres, any origin, axes of the optical frame.
        keypoints: (N, K, 2) pixels of the image as it came.
        scores: (N, K) weights.
        camera: Of the image.

    Returns:
        Points (N, K, 3) float32 in the optical frame, and the covariance (N, 3, 3) float32 of each subject's position
        in square metres, from how badly rays and points agree. NaN where fewer than three keypoints can be used, or
        where the subject would not be in front of the camera.
    """
    n = len(local_points)
    points = np.full(np.shape(local_points), np.nan, np.float32)
    covariances = np.full((n, 3, 3), np.nan, np.float32)
    local = np.asarray(local_points, np.float64)
    rays = camera.rays(keypoints)
    usable = np.isfinite(local).all(axis=2) & np.isfinite(rays).all(axis=2) & (np.asarray(scores) > 0)
    for row in np.flatnonzero(usable.sum(axis=1) >= _FEWEST):
        seen = usable[row]
        solution = _solve(local[row, seen], rays[row, seen, :2], np.asarray(scores, np.float64)[row, seen])
        if solution is not None:
            shift, covariances[row] = solution
            points[row] = local[row] + shift
    return points, covariances


def _solve(points: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the translation of one subject and its covariance, or None when it would lie behind the camera."""
    count = len(points)
    # Per keypoint: tx - u tz = u z - x and ty - v tz = v z - y, in units of (metres across the ray) / depth.
    a = np.zeros((count, 2, 3))
    a[:, 0, 0] = a[:, 1, 1] = 1
    a[:, :, 2] = -rays
    b = rays * points[:, 2:] - points[:, :2]
    depth = np.ones(count)
    for _ in range(_ROUNDS):
        # An error of a pixel is depth times as long in metres: divide by it to weigh every pixel alike.
        w = weights / depth**2
        normal = np.einsum("k,kij,kil->jl", w, a, a)
        if np.linalg.cond(normal) > 1e12:
            return None
        shift = np.linalg.solve(normal, np.einsum("k,kij,ki->j", w, a, b))
        depth = points[:, 2] + shift[2]
        if not (depth > 0).all():
            return None
    residual = a @ shift - b
    variance = np.einsum("k,ki,ki->", w, residual, residual) / (2 * count - 3)
    return shift, np.linalg.inv(normal) * variance
