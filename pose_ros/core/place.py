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
    local, rays, scores = np.asarray(local_points, np.float64), camera.rays(keypoints), np.asarray(scores)
    columns = np.stack([*np.moveaxis(local, 2, 0), *np.moveaxis(rays[..., :2], 2, 0), scores])
    usable = np.isfinite(columns.sum(axis=0)) & (scores > 0)
    x, y, z, u, v, weights = np.where(usable, columns, 0)
    # Per keypoint: tx - u tz = u z - x and ty - v tz = v z - y, in units of (metres across the ray) / depth.
    right, down = u * z - x, v * z - y
    terms = np.stack([np.ones_like(u), u, v, u * u + v * v, right, down, u * right + v * down], axis=2)
    count, depth = usable.sum(axis=1), np.ones_like(z)
    sound = count >= _FEWEST
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_ROUNDS):
            # An error of a pixel is depth times as long in metres: divide by it to weigh every pixel alike.
            w = weights / depth**2
            total, wu, wv, squares, wx, wy, wz = (w[:, None] @ terms)[:, 0].T
            spread = squares - (wu * wu + wv * wv) / total
            tz = ((wu * wx + wv * wy) / total - wz) / spread
            tx, ty = (wx + wu * tz) / total, (wy + wv * tz) / total
            depth = np.where(usable, z + tz[:, None], 1)
            # Rays that are all the same tell no distance: nothing is made of a condition beyond 1e12.
            sound &= (spread * total > 1e-12 * (total + squares) ** 2) & (depth > 0).all(axis=1)
        shift = np.stack([tx, ty, tz], axis=1)
        off = right - tx[:, None] + u * tz[:, None], down - ty[:, None] + v * tz[:, None]
        variance = (w * (off[0] * off[0] + off[1] * off[1])).sum(axis=1) / (2 * count - 3)
    normal = np.zeros((len(local), 3, 3))
    normal[:, 0, 0] = normal[:, 1, 1] = total
    normal[:, 0, 2], normal[:, 1, 2] = normal[:, 2, 0], normal[:, 2, 1] = -wu, -wv
    normal[:, 2, 2] = squares
    normal[~sound], shift[~sound], variance[~sound] = np.eye(3), np.nan, np.nan
    points = (local + shift[:, None]).astype(np.float32)
    return points, (np.linalg.inv(normal) * variance[:, None, None]).astype(np.float32)
