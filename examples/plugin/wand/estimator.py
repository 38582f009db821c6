# SPDX-License-Identifier: Apache-2.0
"""Wand: one place in the image for each of a few colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.warp import apply, crop, letterbox_matrix
from pose_ros.errors import ShapeError
from pose_ros.estimators.base import ImageEstimator


@dataclass(frozen=True)
class WandOptions:
    """Become parameters ``estimator.min_score``, ``estimator.min_area`` of the nodes."""

    min_score: float = option(0.5, "A ball of a less pure colour is missing.", low=0.0, high=1.0, live=True)
    min_area: int = option(6, "Pixels of the network's input that a ball has at least.", unit="px", low=1, high=10000)


class Wand(ImageEstimator):
    """At most one wand in an image; each ball is the middle of what has its colour."""

    Options = WandOptions
    options: WandOptions

    def estimate(self, image: np.ndarray) -> Poses:
        """Estimate all poses in an image, best first; see :class:`ImageEstimator`."""
        size_wh = self.card.input_wh
        matrix = letterbox_matrix((image.shape[1], image.shape[0]), size_wh, centre=True)
        batch = self.card.preprocess(crop(image, matrix, size_wh)[None])
        (maps,) = self.session.run(batch)["purity"]
        if len(maps) != len(self.skeleton):
            raise ShapeError("purity", f"(1, {len(self.skeleton)}, H, W)", (1, *maps.shape))

        weights = np.where(maps >= self.options.min_score, maps, 0).reshape(len(maps), -1)
        area, total = (weights > 0).sum(axis=1), weights.sum(axis=1)
        seen = area >= self.options.min_area
        y, x = np.divmod(np.arange(weights.shape[1]), size_wh[0])
        points = weights @ np.stack([x, y], axis=1) / np.maximum(total, 1e-6)[:, None]
        points = np.where(seen[:, None], apply(matrix, points), np.nan)
        scores = np.where(seen, total / np.maximum(area, 1), 0)
        if not seen.any():
            return Poses.empty(self.skeleton)
        return Poses(self.skeleton, points[None], scores[None])
