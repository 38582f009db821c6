# SPDX-License-Identifier: Apache-2.0
"""Labels and results of a whole data set in columns: what everything that counts over images is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from pose_ros.errors import ShapeError

T = TypeVar("T", "GroundTruth", "Predictions")


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """N labelled subjects of any number of images.

    Raises:
        ShapeError: When a column does not have the shape written beside it.
    """

    #: (N,) int64: which image; any numbers, and of equal scores those in the image with the lower number come first.
    image: np.ndarray
    #: (N, 4) float64, xyxy pixels.
    boxes: np.ndarray
    #: (N,) float64, square pixels: what COCO calls ``area``, that of the outline. Left out: of the boxes.
    areas: np.ndarray = None  # type: ignore[assignment]
    #: (N, K, 2) float64 pixels, where keypoints are judged.
    keypoints: np.ndarray | None = None
    #: (N, K): 0 not labelled, more is labelled, and be it 0.04 as of some hands of COCO-WholeBody. Left out: what is
    #: finite.
    visibility: np.ndarray | None = None
    #: (N,) bool: outlines of crowds (COCO's ``iscrowd``), to which any number of results may belong, and none counts.
    crowd: np.ndarray = None  # type: ignore[assignment]
    #: (N,) bool: results that belong to it do not count. Crowds always are, and so is whoever has no labelled keypoint
    #: where keypoints are judged.
    ignore: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64; results are compared with labels of the same category.
    categories: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill what was left out, and check the columns."""
        n = _common(self)
        visibility = self.visibility
        if self.keypoints is not None and visibility is None:
            visibility = np.isfinite(self.keypoints).all(axis=2)
        _set(self, "visibility", visibility, None, (n, _count(self.keypoints)))
        crowd = _set(self, "crowd", np.zeros(n) if self.crowd is None else self.crowd, bool, (n,))
        _set(self, "ignore", crowd if self.ignore is None else crowd | np.asarray(self.ignore, bool), bool, (n,))

    def __len__(self) -> int:
        """Return N."""
        return len(self.image)

    def select(self, rows: np.ndarray) -> GroundTruth:
        """Return the labels at ``rows`` (indices or a mask)."""
        return _select(self, rows)

    def part(self, keypoints: Sequence[int] | np.ndarray | slice) -> GroundTruth:
        """Return the same subjects with some of their keypoints; those that have none of them are ignored.

        This is how COCO-WholeBody judges feet, face and hands: by the area of the whole person.
        """
        assert self.keypoints is not None
        assert self.visibility is not None
        return replace(self, keypoints=self.keypoints[:, keypoints], visibility=self.visibility[:, keypoints])


@dataclass(frozen=True, eq=False)
class Predictions:
    """M results in any number of images.

    Raises:
        ShapeError: When a column does not have the shape written beside it.
    """

    #: (M,) int64, as in :class:`GroundTruth`.
    image: np.ndarray
    #: (M,) float64: results are ranked by it.
    scores: np.ndarray
    #: (M, 4) float64, xyxy pixels. Left out: around the keypoints.
    boxes: np.ndarray = None  # type: ignore[assignment]
    #: (M, K, 2) float64 pixels; NaN where missing.
    keypoints: np.ndarray | None = None
    #: (M,) float64, square pixels. Left out: of the boxes.
    areas: np.ndarray = None  # type: ignore[assignment]
    #: (M,) int64.
    categories: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill what was left out, and check the columns."""
        if self.boxes is None:
            object.__setattr__(self, "boxes", _around(self.keypoints))
        n = _common(self)
        _set(self, "scores", self.scores, np.float64, (n,))

    def __len__(self) -> int:
        """Return M."""
        return len(self.image)

    def select(self, rows: np.ndarray) -> Predictions:
        """Return the results at ``rows`` (indices or a mask)."""
        return _select(self, rows)

    def part(self, keypoints: Sequence[int] | np.ndarray | slice, scores: np.ndarray | None = None) -> Predictions:
        """Return the same results with some of their keypoints, ranked by (M,) scores of that part where there are any.

        Results of which the part is missing altogether are left out, as xtcocotools does.
        """
        assert self.keypoints is not None
        points = self.keypoints[:, keypoints]
        part = replace(self, keypoints=points, scores=self.scores if scores is None else scores)
        return part.select(np.isfinite(points).all(axis=2).any(axis=1))


def concatenate(parts: Sequence[T]) -> T:
    """Return the rows of all parts, in that order; there is at least one, and all have the same columns."""
    first = parts[0]
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(first) if getattr(first, f.name) is not None
    }
    return replace(first, **columns)


def _common(columns: GroundTruth | Predictions) -> int:
    """Set the columns that labels and results have alike, and return how many rows there are."""
    n = len(np.asarray(columns.image))
    _set(columns, "image", columns.image, np.int64, (n,))
    boxes = _set(columns, "boxes", columns.boxes, np.float64, (n, 4))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) if columns.areas is None else columns.areas
    _set(columns, "areas", areas, np.float64, (n,))
    _set(columns, "keypoints", columns.keypoints, np.float64, (n, _count(columns.keypoints), 2))
    _set(columns, "categories", np.zeros(n) if columns.categories is None else columns.categories, np.int64, (n,))
    return n


def _around(keypoints: np.ndarray | None) -> np.ndarray:
    """Return the boxes that just contain the keypoints, (M, K, 2) -> (M, 4); all 0 where there is none."""
    points = np.empty((0, 0, 2)) if keypoints is None else np.asarray(keypoints, np.float64)
    there = np.asarray(np.isfinite(points).all(axis=2, keepdims=True))
    low = np.where(there, points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(there, points, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(there.any(axis=1), np.concatenate([low, high], axis=1), 0.0)


def _count(keypoints: np.ndarray | None) -> int:
    return np.shape(keypoints)[1] if np.ndim(keypoints) > 1 else 0  # type: ignore[arg-type]


def _set(columns: GroundTruth | Predictions, name: str, value: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = None if value is None else np.asarray(value, dtype)
    if array is not None and array.shape != shape:
        raise ShapeError(name, str(shape), array.shape)
    object.__setattr__(columns, name, array)
    return array  # type: ignore[return-value]


def _select(columns: T, rows: np.ndarray) -> T:
    kept: dict[str, Any] = {f.name: getattr(columns, f.name) for f in fields(columns)}
    return replace(columns, **{name: value[rows] for name, value in kept.items() if value is not None})
