# SPDX-License-Identifier: Apache-2.0
"""Shape: the points that rules look at, in metres where these are known and else in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.anatomy.limbs import PARTS
from pose_ros.anatomy.metric import median
from pose_ros.recognisers.base import Clip

#: Up in the image of a level camera.
_LEVEL = np.array([0.0, -1.0, 0.0])
#: A camera that looks along the vertical shows no direction upwards in its image.
_LEAST_UP = 0.1


@dataclass(frozen=True, eq=False)
class Shape:
    """N subjects at T moments."""

    #: (N, T, V, 3) metres; of those who are ``flat`` pixels, and 0. NaN where unknown.
    points: np.ndarray
    #: (N,) whether only the image is known.
    flat: np.ndarray
    #: (N, 1, 3) unit vector away from the ground.
    up: np.ndarray

    @classmethod
    def of(cls, clip: Clip, min_score: float) -> Shape:
        """Return what a clip shows; keypoints below a score are taken for unknown."""
        shapes = clip.shapes.astype(np.float64)
        flat = np.asarray(~np.isfinite(shapes).any(axis=(1, 2, 3)))
        pixels = np.concatenate([clip.keypoints, np.zeros((*clip.scores.shape, 1))], axis=3)
        points = np.where(flat[:, None, None, None], pixels, shapes)
        points[clip.scores < min_score] = np.nan
        in_image = np.array([*clip.up[:2], 0.0])
        length = np.linalg.norm(in_image)
        in_image = in_image / length if length > _LEAST_UP else _LEVEL
        return cls(points, flat, np.where(flat[:, None], in_image, clip.up)[:, None])

    def size(self, limbs: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return what measures the subjects, (N,), by limbs that are known parts of it.

        In the image most limbs look too short and none too long, so that the longest counts there.

        Args:
            limbs: (N, T, L) lengths.
            parts: (L,) of what is asked for, such as the body's height.
        """
        sizes = (limbs / parts).reshape(len(limbs), limbs.shape[1] * limbs.shape[2])
        return np.where(self.flat, most(sizes), median(sizes))


class Arms:
    """Both arms of N bodies at T moments; the left one first."""

    def __init__(self, clip: Clip, min_score: float) -> None:
        """Find the arms in a clip whose skeleton has the joints of ``coco17``."""
        self.shape = shape = Shape.of(clip, min_score)
        index = clip.skeleton.index

        def pair(name: str) -> np.ndarray:
            return shape.points[:, :, [index[f"left_{name}"], index[f"right_{name}"]]]

        #: (N, T, 2, 3)
        self.shoulders, self.elbows, self.wrists, self.hips = map(pair, ("shoulder", "elbow", "wrist", "hip"))
        parts = {("shoulder", "elbow"): (self.shoulders, self.elbows), ("elbow", "wrist"): (self.elbows, self.wrists),
                 ("shoulder", "hip"): (self.shoulders, self.hips)}  # fmt: skip
        lengths = np.concatenate([np.linalg.norm(a - b, axis=3) for a, b in parts.values()], axis=2)
        #: (N, 1, 1) height of the body.
        self.size = shape.size(lengths, np.repeat([PARTS[limb] for limb in parts], 2))[:, None, None]
        self.upper, self.fore, self.trunk = (PARTS[limb] * self.size for limb in parts)

    def above(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return how far points are above others, (N, T, 2)."""
        return np.asarray(((a - b) * self.shape.up[:, None]).sum(axis=3))


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below ``low``, 1 above ``high`` and what is between in between."""
    return np.asarray(np.clip((value - low) / (high - low), 0, 1))


def most(values: np.ndarray) -> np.ndarray:
    """Return the largest of what is not NaN along the last axis; NaN where there is nothing."""
    largest = np.where(np.isnan(values), -np.inf, values).max(axis=-1, initial=-np.inf)
    return np.where(np.isinf(largest), np.nan, largest)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., 3) of length 1; NaN where they have none."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, np.nan))


def since(holds: np.ndarray) -> np.ndarray:
    """Return from which moment on something holds until the last one, (N, ...); T where it does not hold then.

    Args:
        holds: (N, T, ...) bool.
    """
    broken = np.where(holds, -1, np.arange(holds.shape[1]).reshape(-1, *(1,) * (holds.ndim - 2)))
    return np.asarray(broken.max(axis=1, initial=-1) + 1)


def steady(values: np.ndarray, steps: int) -> np.ndarray:
    """Return the median (N, ...) of what is known of (N, T, ...) at the last steps."""
    return median(np.moveaxis(values[:, -max(1, steps) :], 1, -1))
