# SPDX-License-Identifier: Apache-2.0
"""Conversion: what one skeleton knows of another one's keypoints.

Keypoints of two skeletons are the same when they name the same joint (:attr:`Skeleton.joints`). What only the target
has, it may say how to make (:attr:`Skeleton.made`): a mean of other joints, such as a neck between the shoulders. So
each skeleton says what it is once, and every pair of them converts. What neither way gives stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

Ways = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Conversion:
    """How to get the K keypoints of a target from those of a source."""

    #: (K,) int64, the keypoint of the source that is the same, or -1.
    index: np.ndarray
    #: (M,) int64, keypoints of the target that are means of others.
    made: np.ndarray
    #: (M, P) int64, the keypoints of the source whose mean they are; filled up with the first one.
    parts: np.ndarray
    #: (M, P) float32, adding up to 1; 0 where filled up.
    weights: np.ndarray

    @cached_property
    def absent(self) -> np.ndarray:
        """Keypoints of the target that the source does not have, made or not, shape (K,), bool."""
        return self.index < 0

    def pick(self, column: np.ndarray, missing: float) -> np.ndarray:
        """Return a column (N, K of the source, ...) for the target; ``missing`` where the source lacks the keypoint."""
        picked = column[:, self.index]
        picked[:, self.absent] = missing
        return picked

    def points(self, column: np.ndarray, power: int = 1) -> np.ndarray:
        """Return coordinates (N, K, ...) in the target's keypoints; NaN where unknown.

        Args:
            column: Coordinates in the source's keypoints.
            power: Of the weights: 2 for the covariances of independent points.
        """
        out = self.pick(column, np.nan)
        if len(self.made):
            weights = (self.weights**power).reshape(*self.weights.shape, *(1,) * (column.ndim - 2))
            out[:, self.made] = (column[:, self.parts] * weights).sum(axis=2)
        return out

    def scores(self, column: np.ndarray) -> np.ndarray:
        """Return scores (N, K): what is made is as sure as the least sure of its parts."""
        out = self.pick(column, 0)
        if len(self.made):
            out[:, self.made] = column[:, self.parts].min(axis=2)
        return out


def converts(source: Skeleton, target: Skeleton) -> bool:
    """Whether anything is known of the target's keypoints."""
    way = _way(source.joints, target.joints, tuple(target.made.items()))
    return bool(len(way.made)) or not way.absent.all()


def conversion(source: Skeleton, target: Skeleton) -> Conversion:
    """Return the conversion between two skeletons; kept for the next call.

    Raises:
        ConfigError: When they have nothing in common.
    """
    if not converts(source, target):
        raise ConfigError("skeleton", f"'{source.name}' and '{target.name}' have no keypoint in common")
    return _way(source.joints, target.joints, tuple(target.made.items()))


@lru_cache(maxsize=256)
def _way(source: tuple[str, ...], target: tuple[str, ...], made: tuple[tuple[str, Ways], ...]) -> Conversion:
    known = {joint: i for i, joint in enumerate(source)}
    index = np.array([known.get(joint, -1) for joint in target])
    recipes = {i: _recipe(joint, known, dict(made), ()) for i, joint in enumerate(target) if index[i] < 0}
    recipes = {i: recipe for i, recipe in recipes.items() if recipe}
    widest = max(map(len, recipes.values()), default=1)
    parts = [[*recipe, *[next(iter(recipe))] * (widest - len(recipe))] for recipe in recipes.values()]
    weights = [[*recipe.values(), *[0.0] * (widest - len(recipe))] for recipe in recipes.values()]
    return Conversion(
        index,
        np.array(list(recipes), np.int64),
        np.array(parts, np.int64).reshape(-1, widest),
        np.array(weights, np.float32).reshape(-1, widest),
    )


def _recipe(joint: str, known: Mapping[str, int], made: Mapping[str, Ways], trail: tuple[str, ...]) -> dict[int, float]:
    """Return keypoints of the source and their weights, of the first way to make a joint that has all its parts."""
    if joint in known:
        return {known[joint]: 1.0}
    for way in made.get(joint, ()) if joint not in trail else ():
        recipes = [_recipe(part, known, made, (*trail, joint)) for part in way]
        if all(recipes):
            weights: dict[int, float] = {}
            for recipe in recipes:
                for i, weight in recipe.items():
                    weights[i] = weights.get(i, 0.0) + weight / len(recipes)
            return weights
    return {}
