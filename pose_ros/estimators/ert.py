# SPDX-License-Identifier: Apache-2.0
"""Cascades of regression trees that look at single pixels (Kazemi and Sullivan, CVPR 2014): dlib's shape predictors.

In the same rectangle and without turning it, points are those of dlib (Boost Software License) before it rounds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_ros.core import warp
from pose_ros.core.frame import check_image
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.regions import check_regions, check_sides, keypoints_to_boxes
from pose_ros.errors import CardError
from pose_ros.estimators.base import CropEstimator
from pose_ros.plugin import Model, read_params

#: Nothing is as large or as far away as this, pixels.
_FAR = 1e7


@dataclass(frozen=True)
class ErtParams:
    """What a card says in ``params``: which rectangle the trees were trained to start from."""

    scale: float = option(1.0, "Side of the rectangle in longer sides of the detector's box.", low=0.1, high=4.0)
    shift: float = option(0.0, "How far below the box's middle its middle is, in longer sides.", low=-1.0, high=1.0)
    points_scale: float = option(1.0, "Its side in longer sides of the box around all points.", low=0.1, high=4.0)
    points_shift: float = option(0.0, "How far below that box's middle it is, in longer sides.", low=-1.0, high=1.0)


@dataclass(frozen=True)
class ErtOptions:
    """Options of :class:`Ert`."""

    looks: int = option(
        2, "1: only in the rectangle that the detector's box tells; 2: again in the one around the points that were "
        "found there, so that it matters less which detector it was.", low=1, high=4, live=True,
    )  # fmt: skip


class Ert(CropEstimator):
    """Points of each region; a card's ``params`` are :class:`ErtParams`.

    Trees do not say how sure they are: the score is 1 for every point within the image, and what would be outside is
    missing. Card outputs: points and places, see :mod:`pose_ros.runtime.trees_session`.
    """

    Options = ErtOptions
    options: ErtOptions

    def __init__(self, model: Model, options: ErtOptions | None = None) -> None:
        """Read the card.

        Raises:
            CardError: A parameter does not fit, or the cascade has other points than the skeleton.
        """
        super().__init__(model, options)
        k = len(self.skeleton)
        self.params = read_params(ErtParams, self.card)
        shapes = [t.shape[1:] for t in self.session.outputs]
        if len(shapes) != 2 or shapes[0] != (k, 2) or len(shapes[1]) != 3 or shapes[1][2] != 3:
            raise CardError(self.card.name, f"expected outputs (N, {k}, 2) and (N, stages, pixels, 3), got "
                                            f"{[('N', *shape) for shape in shapes]}")

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """Estimate one pose per region; see :class:`pose_ros.estimators.base.CropEstimator`."""
        check_image(image)
        regions = check_regions(regions)
        keypoints = np.full((len(regions), len(self.skeleton), 2), np.nan)
        rows = np.flatnonzero((np.abs(regions) < _FAR).all(axis=1) & (regions[:, 2:4] > 0).all(axis=1))
        if len(rows):
            rectangles = _square(regions[rows].astype(np.float64), self.params.scale, self.params.shift)
            found = self.look(image, rectangles)
            for _ in range(1, self.options.looks):
                box = _upright(found, rectangles[:, 4])
                found = self.look(image, _square(box, self.params.points_scale, self.params.points_shift))
            keypoints[rows] = found
        # A pixel's area reaches half a pixel around its middle.
        inside = np.all((keypoints >= -0.5) & (keypoints < np.array(image.shape[1::-1]) - 0.5), axis=2, keepdims=True)
        sides = check_sides(sides, len(regions))
        return Poses(self.skeleton, np.where(inside, keypoints, np.nan), inside[..., 0], sides=sides)

    def look(self, image: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
        """Return points (N, K, 2) in pixels, also outside the image, for rectangles: regions (N, 5) of any shape."""
        matrices = warp.region_matrix(rectangles, (1, 1), "corner")
        _, channels, *_ = self.session.inputs[0].shape
        batch = np.zeros((len(matrices), channels, 1, 1), np.float32)
        first, places = self._run(batch)
        points, each = first, np.arange(len(batch))[:, None]
        for stage in range(places.shape[1]):
            anchors = np.nan_to_num(places[:, stage, :, 0]).clip(0, points.shape[1] - 1).astype(np.intp)
            near = _turned(places[:, stage, :, 1:], first, points) + points[each, anchors]
            pixels = _gray(image, np.floor(warp.apply(matrices, near.astype(np.float64)) + 0.5))
            batch[:, 0] = stage + 1
            batch[:, 1:, 0, 0] = np.concatenate([points.reshape(len(batch), -1), pixels], axis=1)
            points, *_ = self._run(batch, self.card.outputs[:1])
        return warp.apply(matrices, points.astype(np.float64))


    def _run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Return outputs in the order of the card; what a broken cascade says of endless ones is NaN."""
        made = self.session.run(batch, outputs)
        return [np.where(np.isfinite(made[name]), made[name], np.nan) for name in outputs or self.card.outputs]


def _square(regions: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Return squares of ``scale`` longer sides of regions (N, 5), moved down along their own axis by ``shift``."""
    side = regions[:, 2:4].max(axis=1)
    x = regions[:, 0] - shift * side * np.sin(regions[:, 4])
    y = regions[:, 1] + shift * side * np.cos(regions[:, 4])
    return np.stack([x, y, scale * side, scale * side, regions[:, 4]], axis=1)


def _upright(points: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return regions (N, 5) of given angles (N,) that just contain points (N, K, 2)."""
    zero = np.zeros_like(angles)
    turn, back = (warp.region_matrix(np.stack([zero, zero, zero + 1, zero + 1, a], axis=1), (1, 1), "area")[..., :2]
                  for a in (-angles, angles))
    box = keypoints_to_boxes(np.einsum("nij,nkj->nki", turn, points)).astype(np.float64)
    centre = np.einsum("nij,nj->ni", back, (box[:, :2] + box[:, 2:]) / 2)
    return np.concatenate([centre, box[:, 2:] - box[:, :2], angles[:, None]], axis=1)


def _turned(offsets: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Turn and scale offsets (N, P, 2) as points (N, K, 2) were, in the sense of least squares (Umeyama, 1991)."""
    old, new = (points.astype(np.float64) - points.mean(axis=1, keepdims=True, dtype=np.float64)
                for points in (before, after))
    spread = (old**2).sum(axis=(1, 2))
    spread[spread == 0] = 1
    cos = ((old * new).sum(axis=(1, 2)) / spread).astype(np.float32)[:, None]
    sin = ((old[..., 0] * new[..., 1] - old[..., 1] * new[..., 0]).sum(axis=1) / spread).astype(np.float32)[:, None]
    x, y = offsets[..., 0], offsets[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)


def _gray(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the mean of red, green and blue, rounded down, at whole places (N, P, 2); 0 outside the image."""
    height, width = image.shape[:2]
    x, y = places[..., 0], places[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = (np.where(inside, axis, 0).astype(np.intp) for axis in (x, y))
    return np.where(inside, image[y, x].sum(axis=2, dtype=np.uint16) // 3, 0)
