# SPDX-License-Identifier: Apache-2.0
"""Boxes and regions: where subjects are, or where to look for them.

A box is ``x_min, y_min, x_max, y_max``. A region is a rotated box: ``cx, cy, width, height, angle``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Detections:
    """N subjects found in one image, best first.

    Raises:
        ShapeError: When a column does not have the shape written beside it.
    """

    #: (N, 4) float32, xyxy in pixels; what a person would draw around the subject.
    boxes: np.ndarray
    #: (N,) float32 in [0, 1].
    scores: np.ndarray
    #: (N,) int64, the detector's classes.
    classes: np.ndarray = None  # type: ignore[assignment]
    #: (N, 5) float32: where an estimator should look; the upright box itself when left out.
    regions: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill and check the columns."""
        boxes = np.asarray(self.boxes, np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ShapeError("boxes", "(N, 4)", boxes.shape)
        n = len(boxes)
        scores = np.asarray(self.scores, np.float32)
        classes = np.zeros(n, np.int64) if self.classes is None else np.asarray(self.classes, np.int64)
        regions = boxes_to_regions(boxes) if self.regions is None else np.asarray(self.regions, np.float32)
        for name, column, shape in (
            ("scores", scores, (n,)),
            ("classes", classes, (n,)),
            ("regions", regions, (n, 5)),
        ):
            if column.shape != shape:
                raise ShapeError(name, str(shape), column.shape)
        for name, column in (("boxes", boxes), ("scores", scores), ("classes", classes), ("regions", regions)):
            object.__setattr__(self, name, column)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def __len__(self) -> int:
        """Return N."""
        return len(self.boxes)

    def select(self, rows: np.ndarray) -> Detections:
        """Return the detections at ``rows`` (indices or a mask), in that order."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows], self.regions[rows])


def check_regions(regions: np.ndarray, name: str = "regions") -> np.ndarray:
    """Return ``regions`` as float32 (N, 5).

    Raises:
        ShapeError: When they have another shape.
    """
    regions = np.asarray(regions, np.float32)
    if regions.ndim != 2 or regions.shape[1] != 5:
        raise ShapeError(name, "(N, 5)", regions.shape)
    return regions


def check_sides(sides: np.ndarray | None, count: int) -> np.ndarray:
    """Return ``sides`` as uint8 (N,), 0 where nothing is known.

    Raises:
        ShapeError: When they are not as many as the subjects.
    """
    if sides is None:
        return np.zeros(count, np.uint8)
    sides = np.asarray(sides, np.uint8)
    if sides.shape != (count,):
        raise ShapeError("sides", f"({count},)", sides.shape)
    return sides


def boxes_to_regions(boxes: np.ndarray) -> np.ndarray:
    """Return upright regions of boxes, (N, 4) -> (N, 5)."""
    boxes = np.asarray(boxes, np.float32)
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size, np.zeros((len(boxes), 1), np.float32)], axis=1)


def regions_to_boxes(regions: np.ndarray) -> np.ndarray:
    """Return the upright boxes that just contain rotated regions, (N, 5) -> (N, 4)."""
    regions = np.asarray(regions, np.float32)
    cos, sin = np.abs(np.cos(regions[:, 4:])), np.abs(np.sin(regions[:, 4:]))
    w, h = regions[:, 2:3], regions[:, 3:4]
    half = np.concatenate([w * cos + h * sin, w * sin + h * cos], axis=1) / 2
    return np.concatenate([regions[:, :2] - half, regions[:, :2] + half], axis=1)


def keypoints_to_boxes(keypoints: np.ndarray) -> np.ndarray:
    """Return the boxes that just contain the finite keypoints, (N, K, 2) -> (N, 4); NaN where there is none."""
    keypoints = np.asarray(keypoints, np.float32)
    finite = np.isfinite(keypoints)
    if keypoints.size and finite.all():
        # One coordinate after the other: NumPy is slow where the innermost axis is 2.
        x, y = keypoints[..., 0], keypoints[..., 1]
        return np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)
    finite = finite.all(axis=2, keepdims=True)
    low = np.where(finite, keypoints, np.inf).min(axis=1, initial=np.inf)
    high = np.where(finite, keypoints, -np.inf).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, np.nan).astype(np.float32)


def squares(regions: np.ndarray) -> np.ndarray:
    """Return upright squares (N, 4) of the regions' longer sides: narrow boxes and round regions become comparable."""
    half = regions[:, 2:4].max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([regions[:, :2] - half, regions[:, :2] + half], axis=1)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair, (N, 4) and (M, 4) -> (N, M) in [0, 1]."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    size = np.maximum(np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2]), 0)
    overlap = size[..., 0] * size[..., 1]
    area_a, area_b = _areas(a), _areas(b)
    union = area_a[:, None] + area_b[None] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def _areas(boxes: np.ndarray) -> np.ndarray:
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return size[:, 0] * size[:, 1]


def nms(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Return the indices that greedy non-maximum suppression keeps, best first.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        max_iou: A box that overlaps a better one by more than this goes.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        order = rest[iou(boxes[best : best + 1], boxes[rest])[0] <= max_iou]
    return np.array(keep, np.int64)


def soft_nms(boxes: np.ndarray, scores: np.ndarray, sigma: float = 0.5) -> np.ndarray:
    """Return the scores, each lowered by every better box that it overlaps (Bodla et al., ICCV 2017, Gaussian).

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        sigma: A box that overlaps a better one by ``iou`` keeps ``exp(-iou^2 / sigma)`` of its score.
    """
    scores = np.array(scores, np.float64)
    overlap = iou(boxes, boxes)
    left = np.ones(len(scores), bool)
    for _ in range(len(scores)):
        best = int(np.argmax(np.where(left, scores, -np.inf)))
        left[best] = False
        scores[left] *= np.exp(-(overlap[best, left] ** 2) / sigma)
    return scores.astype(np.float32)
