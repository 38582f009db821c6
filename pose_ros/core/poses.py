# SPDX-License-Identifier: Apache-2.0
"""Poses: all subjects of one skeleton in one image, in columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from pose_ros.core.convert import conversion
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError


class Source(IntEnum):
    """How a keypoint came about; the values of Skeleton.msg."""

    MISSING = 0
    MEASURED = 1
    INFERRED = 2
    HELD = 3


#: Sides of a body; the values of Skeleton.msg, where 0 is none.
LEFT, RIGHT = 1, 2
SIDE_NAMES = {LEFT: "left", RIGHT: "right"}


class TrackState(IntEnum):
    """Life of a track; the values of Skeleton.msg."""

    UNTRACKED = 0
    NEW = 1
    TRACKED = 2
    PREDICTED = 3
    LOST = 4


class _Column(NamedTuple):
    """What a column of :class:`Poses` holds for each subject."""

    shape: tuple[int, ...] = ()
    dtype: Any = np.float32
    fill: Any = 0
    each_keypoint: bool = False
    #: Whether it may be None.
    optional: bool = False


_COLUMNS = {
    "keypoints": _Column((2,), each_keypoint=True),
    "scores": _Column(each_keypoint=True),
    "boxes": _Column((4,), fill=np.nan),
    "subject_scores": _Column(fill=1),
    "sources": _Column(dtype=np.uint8, each_keypoint=True),
    "ids": _Column(dtype=np.int64),
    "parents": _Column(dtype=np.int64),
    "labels": _Column(dtype="U32", fill=""),
    "states": _Column(dtype=np.uint8),
    "ages_ns": _Column(dtype=np.int64),
    "sides": _Column(dtype=np.uint8),
    "side_scores": _Column(),
    "points": _Column((3,), each_keypoint=True, optional=True),
    "covariances": _Column((3, 3), each_keypoint=True, optional=True),
    "local_points": _Column((3,), each_keypoint=True, optional=True),
    "views": _Column(dtype=np.uint8, each_keypoint=True, optional=True),
    "reprojection_errors": _Column(fill=np.nan, each_keypoint=True, optional=True),
    "regions": _Column((5,), optional=True),
    # One for each name in the skeleton's ``measures`` and ``frames``.
    "measures": _Column(optional=True),
    "frames": _Column((7,), optional=True),
}


def _column(name: str, value: np.ndarray | None, shape: tuple[int, ...], dtype: Any, fill: Any) -> np.ndarray:
    if value is None:
        return np.full(shape, fill, dtype) if fill else np.zeros(shape, dtype)
    array: np.ndarray = np.asarray(value, dtype)
    if array.shape != shape:
        raise ShapeError(name, str(shape), array.shape)
    return array


@dataclass(frozen=True, eq=False)
class Poses:
    """N subjects with K keypoints each. Columns that are left out are filled with their neutral value.

    Raises:
        ShapeError: When a column does not have the shape written beside it.
    """

    skeleton: Skeleton
    #: (N, K, 2) float32, pixels; NaN where missing.
    keypoints: np.ndarray
    #: (N, K) float32 in [0, 1]; 0 where missing.
    scores: np.ndarray
    #: (N, 4) float32, xyxy in pixels.
    boxes: np.ndarray = None  # type: ignore[assignment]
    #: (N,) float32 in [0, 1]: is this a subject at all.
    subject_scores: np.ndarray = None  # type: ignore[assignment]
    #: (N, K) uint8, :class:`Source`.
    sources: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, 0 = untracked.
    ids: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, id of the subject that this one is a part of, such as the body of a hand; 0 = none.
    parents: np.ndarray = None  # type: ignore[assignment]
    #: (N,) str of at most 32 characters: what the detector calls the subject, such as ``dog``.
    labels: np.ndarray = None  # type: ignore[assignment]
    #: (N,) uint8, :class:`TrackState`.
    states: np.ndarray = None  # type: ignore[assignment]
    #: (N,) int64, nanoseconds since the track began.
    ages_ns: np.ndarray = None  # type: ignore[assignment]
    #: (N,) uint8: 0 none, :data:`LEFT`, :data:`RIGHT`.
    sides: np.ndarray = None  # type: ignore[assignment]
    #: (N,) float32 in [0, 1].
    side_scores: np.ndarray = None  # type: ignore[assignment]
    #: (N, K, 3) float32, metres in the optical frame; None when unknown for all.
    points: np.ndarray | None = None
    #: (N, K, 3, 3) float32, square metres; None when unknown for all.
    covariances: np.ndarray | None = None
    #: (N, K, 3) float32, metres, origin at the subject's root, axes of the optical frame; None when unknown for all.
    local_points: np.ndarray | None = None
    #: (N, K) uint8, how many cameras agree on each of ``points``; None where there is but one camera.
    views: np.ndarray | None = None
    #: (N, K) float32, pixels: root mean square distance of the projected ``points`` from where those cameras saw them.
    reprojection_errors: np.ndarray | None = None
    #: (N, 5) float32: region in which to look for the subject in the next image (see core); None when not offered.
    regions: np.ndarray | None = None
    #: (N, M) float32, the numbers that ``skeleton.measures`` names; None when unknown for all.
    measures: np.ndarray | None = None
    #: (N, F, 7) float32, the frames that ``skeleton.frames`` names, in the optical frame: x, y, z in metres and the
    #: unit quaternion x, y, z, w; NaN where unknown, None when unknown for all.
    frames: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Fill neutral columns and check every shape."""
        keypoints = np.asarray(self.keypoints, np.float32)
        k = len(self.skeleton)
        if keypoints.ndim != 3 or keypoints.shape[1:] != (k, 2):
            raise ShapeError("keypoints", f"(N, {k}, 2) for skeleton '{self.skeleton.name}'", keypoints.shape)
        self.__dict__["keypoints"] = keypoints
        self._put({name: getattr(self, name) for name in _COLUMNS})

    def _put(self, columns: Mapping[str, Any]) -> None:
        """Check columns and keep them; what is left out is filled."""
        n, k = self.keypoints.shape[:2]
        each = {"measures": (len(self.skeleton.measures),), "frames": (len(self.skeleton.frames),)}
        for name, value in columns.items():
            kind = _COLUMNS[name]
            shape = (n, *((k,) if kind.each_keypoint else each.get(name, ())), *kind.shape)
            if value is None and name == "sources":
                finite = np.isfinite(self.keypoints)
                value = (finite[..., 0] & finite[..., 1]) * np.uint8(Source.MEASURED)
            if value is not None or not kind.optional:
                value = _column(name, value, shape, kind.dtype, kind.fill)
            self.__dict__[name] = value

    @classmethod
    def empty(cls, skeleton: Skeleton) -> Poses:
        """Return zero subjects; K is kept."""
        k = len(skeleton)
        return cls(skeleton, np.empty((0, k, 2), np.float32), np.empty((0, k), np.float32))

    def __len__(self) -> int:
        """Return N."""
        return len(self.keypoints)

    def replace(self, **columns: Any) -> Poses:
        """Return a copy with other columns."""
        if not columns.keys() <= _COLUMNS.keys() or len(columns.get("keypoints", self.keypoints)) != len(self):
            return dataclasses.replace(self, **columns)
        new = self._copy()
        new._put({name: columns[name] for name in _COLUMNS if name in columns})
        return new

    def select(self, rows: np.ndarray) -> Poses:
        """Return the subjects at ``rows`` (indices or a mask), in that order."""
        new = self._copy()
        new.__dict__.update({
            name: column[rows] for name in _COLUMNS if (column := self.__dict__[name]) is not None
        })
        return new

    def _copy(self) -> Poses:
        """Return a copy that shares its columns, which were checked; this runs many times for every image."""
        new = object.__new__(Poses)
        new.__dict__.update(self.__dict__)
        return new

    def boxed(self) -> Poses:
        """Return these poses; the box of a subject that has none is the one around its keypoints."""
        lacking = np.isnan(self.boxes)
        if not lacking.any():
            return self
        return self.replace(boxes=np.where(lacking, keypoints_to_boxes(self.keypoints), self.boxes))

    def keypoint(self, name: str) -> np.ndarray:
        """Return the pixels of one keypoint of every subject, shape (N, 2)."""
        return self.keypoints[:, self.skeleton.index[name]]

    def to(self, target: Skeleton) -> Poses:
        """Return these poses in the keypoints of another skeleton.

        Keypoints that only the target has are made of others where it says how (:mod:`pose_ros.core.convert`): their
        source is ``INFERRED``. The rest is NaN. Boxes, ids and what else is said of whole subjects stay; of measures
        and frames those that the target has, too.

        Raises:
            ConfigError: When the skeletons have no keypoint in common.
        """
        if target == self.skeleton:
            return self
        way = conversion(self.skeleton, target)
        sources = way.pick(self.sources, Source.MISSING)
        whole = (self.sources[:, way.parts] != Source.MISSING).all(axis=2)
        sources[:, way.made] = np.where(whole, Source.INFERRED, Source.MISSING)
        metric: dict[str, np.ndarray | None] = {
            name: way.points(column, power)
            for name, power in (("points", 1), ("covariances", 2), ("local_points", 1))
            if (column := getattr(self, name)) is not None
        }
        if self.views is not None:
            metric["views"] = way.scores(self.views)
        if self.reprojection_errors is not None:
            metric["reprojection_errors"] = way.pick(self.reprojection_errors, np.nan)
        for name in ("measures", "frames"):
            metric[name] = _renamed(getattr(self, name), getattr(self.skeleton, name), getattr(target, name))
        return dataclasses.replace(
            self,
            skeleton=target,
            keypoints=way.points(self.keypoints),
            scores=way.scores(self.scores),
            sources=sources,
            **metric,  # type: ignore[arg-type]
        )


def _renamed(column: np.ndarray | None, names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray | None:
    """Return a column (N, names, ...) for other names, NaN where it has none of that name; None where it has none."""
    common = [name for name in wanted if name in names]
    if column is None or not common or names == wanted:
        return column if names == wanted else None
    out = np.full((len(column), len(wanted), *column.shape[2:]), np.nan, column.dtype)
    out[:, [wanted.index(name) for name in common]] = column[:, [names.index(name) for name in common]]
    return out


def concatenate(parts: list[Poses]) -> Poses:
    """Join poses of one skeleton; a column that a part lacks stays absent only if all lack it.

    Raises:
        ConfigError: When the skeletons differ, or there is nothing to join.
    """
    if not parts:
        raise ConfigError("poses", "expected at least one Poses to join, got none")
    first = parts[0]
    if any(p.skeleton != first.skeleton for p in parts):
        raise ConfigError("poses", f"expected one skeleton, got {sorted({p.skeleton.name for p in parts})}")
    joined = first._copy()
    for name, kind in _COLUMNS.items():
        columns = [p.__dict__[name] for p in parts]
        like = next((c for c in columns if c is not None), None)
        if like is None:
            continue
        unknown = np.nan if np.issubdtype(kind.dtype, np.floating) else kind.fill
        columns = [
            np.full((len(p), *like.shape[1:]), unknown, kind.dtype) if c is None else c
            for p, c in zip(parts, columns, strict=True)
        ]
        joined.__dict__[name] = np.concatenate(columns)
    return joined
