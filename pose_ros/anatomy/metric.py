# SPDX-License-Identifier: Apache-2.0
"""Metric: the size of a body of which only the shape is known, and how sure its place is then.

One camera cannot tell a child nearby from an adult far away. What settles it is a height: that of adults, or one that
is given. Limbs are fixed parts of it (Drillis and Contini 1966), so a few limbs tell how large a shape is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.limbs import PARTS
from pose_ros.core import place
from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

#: Of adults, metres: men of 1.71 and women of 1.59 on average (NCD-RisC, eLife 2016; born in 1996), with some 0.07 m
#: within both.
HEIGHT_M, HEIGHT_SIGMA_M = 1.65, 0.09
#: Limbs that are long, so that errors of joints matter less.
_LONG = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"))
#: Fewest limbs that tell a height.
_FEWEST = 3
#: Lengths that are remembered of each subject, and how often one is.
_SAMPLES, _EVERY_S = 32, 0.25
#: A subject that is not seen for so long is forgotten, seconds.
_FORGET_S = 30.0


class BodySize:
    """Give bodies the height that is expected of them; remembers the limbs of tracked subjects."""

    def __init__(self, height_m: float = HEIGHT_M, sigma_m: float = HEIGHT_SIGMA_M) -> None:
        """Start with nobody.

        Args:
            height_m: Of all subjects.
            sigma_m: Its standard deviation.
        """
        self.height_m, self.sigma_m = height_m, sigma_m
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._skeleton: Skeleton | None = None
        self._stamp_ns = 0
        self._ids, self._seen_ns, self._taken_ns = (np.empty(0, np.int64) for _ in range(3))
        self._counts = np.empty(0, np.int64)
        self._samples = np.empty((0, _SAMPLES, 0))

    def __call__(self, poses: Poses, stamp_ns: int) -> tuple[Poses, np.ndarray]:
        """Return poses whose ``local_points`` are scaled, and by what part of it each size may be wrong.

        Of a tracked subject each limb counts with its median over the last seconds, and the height that most limbs
        agree on is made the expected one.

        Args:
            poses: With local points up to scale.
            stamp_ns: When; earlier than the last one starts over.

        Returns:
            The poses, and (N,) standard deviations of the scale. Both are NaN where fewer than three limbs were seen.
        """
        ends, parts = long_limbs(poses.skeleton)
        if poses.skeleton != self._skeleton or stamp_ns < self._stamp_ns:
            self.reset()
            self._skeleton, self._samples = poses.skeleton, np.empty((0, _SAMPLES, len(parts)))
        self._stamp_ns = stamp_ns
        if poses.local_points is None:
            return poses, np.full(len(poses), np.nan)
        local = poses.local_points.astype(np.float64)
        lengths = np.linalg.norm(local[:, ends[:, 0]] - local[:, ends[:, 1]], axis=2)
        heights = self._remembered(poses.ids, lengths) / parts
        height = median(heights)
        away = median(np.abs(np.log(heights / height[:, None])))
        counts = np.isfinite(heights).sum(axis=1)
        height[counts < _FEWEST] = np.nan
        # The standard error of a median of normal numbers is 1.25 sigma / sqrt(n), and sigma is 1.48 of these.
        spread = 1.25 * 1.48 * away / np.sqrt(np.maximum(counts, 1))
        sigma = np.hypot(self.sigma_m / self.height_m, spread)
        scaled = local * (self.height_m / height)[:, None, None]
        return poses.replace(local_points=scaled.astype(np.float32)), np.where(np.isfinite(height), sigma, np.nan)

    def _remembered(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the median lengths (N, L) of each subject, this image included, and take samples."""
        stamp = self._stamp_ns
        kept = stamp - self._seen_ns <= _FORGET_S * 1e9
        new = np.setdiff1d(ids[ids > 0], self._ids[kept])
        none = np.full((len(new), *self._samples.shape[1:]), np.nan)
        self._ids = np.concatenate([self._ids[kept], new])
        self._seen_ns = np.concatenate([self._seen_ns[kept], np.full(len(new), stamp)])
        self._taken_ns = np.concatenate([self._taken_ns[kept], np.full(len(new), stamp - round(_EVERY_S * 1e9))])
        self._counts = np.concatenate([self._counts[kept], np.zeros(len(new), np.int64)])
        self._samples = np.concatenate([self._samples[kept], none])
        tracked = ids > 0
        order = np.argsort(self._ids)
        rows = order[np.searchsorted(self._ids, ids[tracked], sorter=order)]
        past = np.full((len(ids), *self._samples.shape[1:]), np.nan)
        past[tracked] = self._samples[rows]
        due = stamp - self._taken_ns[rows] >= _EVERY_S * 1e9
        taken = rows[due]
        self._samples[taken, self._counts[taken] % _SAMPLES] = lengths[tracked][due]
        self._counts[taken] += 1
        self._taken_ns[taken] = self._seen_ns[rows] = stamp
        return median(np.concatenate([past, lengths[:, None]], axis=1).swapaxes(1, 2))


def placed(poses: Poses, camera: Camera, scale_sigma: np.ndarray | float, shape_sigma_m: float = 0.02) -> Poses:
    """Return poses whose ``local_points`` stand in the camera's frame, with covariances that know of their size.

    A body that is larger by a part e and stands farther away by the same part looks the same, so that the error of a
    point p is e p: along its ray.

    Args:
        poses: With local points.
        camera: Of the image.
        scale_sigma: Standard deviation of the local points' scale, one or (N,).
        shape_sigma_m: Standard deviation of each coordinate of a local point, metres.
    """
    poses = place.placed(poses, camera)
    if poses.points is None or poses.covariances is None:
        return poses
    return poses.replace(covariances=poses.covariances + lasting(poses.points, scale_sigma, shape_sigma_m))


def lasting(points: np.ndarray, scale_sigma: np.ndarray | float, shape_sigma_m: np.ndarray | float) -> np.ndarray:
    """Return the covariances (N, K, 3, 3) float32 of what is wrong with a shape; no filter over time takes it away.

    Args:
        points: (N, K, 3) metres in the optical frame.
        scale_sigma: Standard deviation of the shape's scale, one or (N,).
        shape_sigma_m: Standard deviation of each coordinate of a point around the root, metres, one or (N,).
    """
    points = np.asarray(points, np.float32)
    scale, shape = (
        np.broadcast_to(np.square(sigma), len(points)).astype(np.float32)[:, None, None]
        for sigma in (scale_sigma, shape_sigma_m)
    )
    wrong = (scale * points)[..., :, None] * points[..., None, :]
    wrong[..., range(3), range(3)] += shape
    return np.asarray(wrong)


@lru_cache(maxsize=64)
def long_limbs(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Return (L, 2) int64, keypoints at the ends of the long limbs, and (L,) their lengths as parts of the height."""
    at = {joint: i for i, joint in enumerate(skeleton.joints)}
    found = {
        (at[f"{side}_{a}"], at[f"{side}_{b}"]): PARTS[a, b]
        for a, b in _LONG for side in ("left", "right") if f"{side}_{a}" in at and f"{side}_{b}" in at
    }  # fmt: skip
    return np.array(list(found), np.int64).reshape(-1, 2), np.array(list(found.values()))


def median(values: np.ndarray) -> np.ndarray:
    """Return the median of what is not NaN along the last axis; NaN where there is nothing."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    middle = [np.take_along_axis(ordered, np.maximum(i, 0), axis=-1) for i in ((count - 1) // 2, count // 2)]
    middle[1] = np.where(count == 0, np.nan, middle[1])
    return np.asarray((middle[0] + middle[1])[..., 0] / 2)
