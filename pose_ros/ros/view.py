# SPDX-License-Identifier: Apache-2.0
"""View: what consumers of a SkeletonArray use, so that nobody counts offsets.

::

    view = pose_ros.view(array_msg, info_msg)
    view["left_wrist"]                  # (N, 2) pixels, one row per subject
    for subject in view:
        subject.id, subject["left_wrist"], subject.score("left_wrist"), subject.points

    hands = pose_ros.view(hands_msg, hands_info)
    hands.of(subject.id)                # this person's hands
    faces.measure("mouth_opening")      # (N,) numbers that the info names
    faces.frame("gaze")                 # (N, 7) x, y, z, and the quaternion x, y, z, w

Works with messages of rclpy and with those that ``rosbags`` reads from a bag; imports neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pose_ros.core.poses import SIDE_NAMES, TrackState
from pose_ros.errors import ConfigError, ShapeError, UnknownNameError


class _Names(NamedTuple):
    """Name -> column."""

    keypoints: Mapping[str, int]
    measures: Mapping[str, int]
    frames: Mapping[str, int]


class SubjectView:
    """One subject. Arrays are views of the message where it has them, and NaN where it has not."""

    def __init__(self, message: Any, names: _Names) -> None:
        """Wrap one Skeleton message."""
        self.message, self._names = message, names

    def _array(self, name: str, *shape: int, names: Mapping[str, int] | None = None) -> np.ndarray:
        """Return (K, *shape), or one row for each of other ``names``."""
        values = np.asarray(getattr(self.message, name), np.float32)
        k = len(self._names.keypoints if names is None else names)
        if not len(values):
            return np.full((k, *shape), np.nan, np.float32)
        if values.size != k * int(np.prod(shape)):
            raise ShapeError(name, f"{k * int(np.prod(shape))} numbers", values.size)
        return values.reshape(k, *shape)

    @property
    def keypoints(self) -> np.ndarray:
        """(K, 2), pixels."""
        return self._array("keypoints", 2)

    @property
    def scores(self) -> np.ndarray:
        """(K,) in [0, 1]."""
        return self._array("scores")

    @property
    def points(self) -> np.ndarray:
        """(K, 3), metres in the frame of the array's header."""
        return self._array("points", 3)

    @property
    def covariances(self) -> np.ndarray:
        """(K, 3, 3), square metres."""
        return self._array("covariances", 3, 3)

    @property
    def views(self) -> np.ndarray:
        """(K,), how many cameras agree on each of the points; empty with one camera."""
        return self._array("views")

    @property
    def reprojection_errors(self) -> np.ndarray:
        """(K,), pixels; empty with one camera."""
        return self._array("reprojection_errors")

    @property
    def local_points(self) -> np.ndarray:
        """(K, 3), metres, origin at the subject's root, axes parallel to the optical frame."""
        return self._array("local_points", 3)

    @property
    def measures(self) -> np.ndarray:
        """(M,), what the info's ``measure_names`` name."""
        return self._array("measures", names=self._names.measures)

    @property
    def frames(self) -> np.ndarray:
        """(F, 7): x, y, z in metres and the quaternion x, y, z, w, in the frame of the array's header."""
        return self._array("frames", 7, names=self._names.frames)

    @property
    def box(self) -> np.ndarray:
        """(4,), xyxy in pixels."""
        return np.asarray(self.message.box)

    @property
    def id(self) -> int:
        """Track id; 0 when untracked."""
        return int(self.message.track_id)

    @property
    def parent_id(self) -> int:
        """Track id of the whole that this is a part of, such as the body of a hand; 0 when there is none."""
        return int(self.message.parent_id)

    @property
    def label(self) -> str:
        """What the detector calls it, such as ``dog``; empty where none did."""
        return str(self.message.label)

    @property
    def side(self) -> str:
        """``left``, ``right``, or empty."""
        return SIDE_NAMES.get(int(self.message.side), "")

    @property
    def state(self) -> TrackState:
        """Life of the track at this stamp."""
        return TrackState(self.message.track_state)

    @property
    def age_s(self) -> float:
        """Seconds since this id was first seen."""
        return float(self.message.age.sec + self.message.age.nanosec * 1e-9)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the pixel of a keypoint, (2,)."""
        return self.keypoints[_column(self._names.keypoints, name)]

    def score(self, name: str) -> float:
        """Return the score of a keypoint."""
        return float(self.scores[_column(self._names.keypoints, name)])

    def point(self, name: str) -> np.ndarray:
        """Return a keypoint in metres, (3,)."""
        return self.points[_column(self._names.keypoints, name)]

    def measure(self, name: str) -> float:
        """Return a measure."""
        return float(self.measures[_column(self._names.measures, name, "measure")])

    def frame(self, name: str) -> np.ndarray:
        """Return a frame, (7,): x, y, z in metres and the quaternion x, y, z, w."""
        return self.frames[_column(self._names.frames, name, "frame")]


class SkeletonView:
    """All subjects of one message, by name and by row."""

    def __init__(self, message: Any, info: Any) -> None:
        """Join an array with its explanation.

        Args:
            message: A SkeletonArray.
            info: The SkeletonInfo of its schema.

        Raises:
            ConfigError: They belong to different schemas.
        """
        if message.schema != info.name:
            raise ConfigError("schema", f"the array has '{message.schema}', the info explains '{info.name}'; "
                                        "take the latest message of the latched skeleton_info topic")
        self.message = message
        self.names = tuple(info.keypoint_names)
        self._names = _Names(*map(_index, (self.names, info.measure_names, info.frame_names)))
        self._subjects = [SubjectView(m, self._names) for m in message.skeletons]

    def __len__(self) -> int:
        """Return N."""
        return len(self._subjects)

    def __iter__(self) -> Iterator[SubjectView]:
        """Iterate over the subjects."""
        return iter(self._subjects)

    def __getitem__(self, key: str | int) -> Any:
        """Return the pixels of a keypoint of all subjects, (N, 2), or one subject by row."""
        if isinstance(key, str):
            return self.keypoints[:, _column(self._names.keypoints, key)]
        return self._subjects[key]

    def _columns(self, name: str, *shape: int, names: Mapping[str, int] | None = None) -> np.ndarray:
        rows = [getattr(s, name) for s in self._subjects]
        k = len(self._names.keypoints if names is None else names)
        return np.stack(rows) if rows else np.empty((0, k, *shape), np.float32)

    @cached_property
    def keypoints(self) -> np.ndarray:
        """(N, K, 2), pixels."""
        return self._columns("keypoints", 2)

    @cached_property
    def scores(self) -> np.ndarray:
        """(N, K) in [0, 1]."""
        return self._columns("scores")

    @cached_property
    def points(self) -> np.ndarray:
        """(N, K, 3), metres in ``frame_id``."""
        return self._columns("points", 3)

    @cached_property
    def local_points(self) -> np.ndarray:
        """(N, K, 3), metres, origin at each subject's root, axes parallel to the optical frame."""
        return self._columns("local_points", 3)

    @cached_property
    def measures(self) -> np.ndarray:
        """(N, M), what the info's ``measure_names`` name."""
        return self._columns("measures", names=self._names.measures)

    @cached_property
    def frames(self) -> np.ndarray:
        """(N, F, 7): x, y, z in metres and the quaternion x, y, z, w, in ``frame_id``."""
        return self._columns("frames", 7, names=self._names.frames)

    def measure(self, name: str) -> np.ndarray:
        """Return a measure of all subjects, (N,)."""
        return self.measures[:, _column(self._names.measures, name, "measure")]

    def frame(self, name: str) -> np.ndarray:
        """Return a frame of all subjects, (N, 7): x, y, z in metres and the quaternion x, y, z, w."""
        return self.frames[:, _column(self._names.frames, name, "frame")]

    @property
    def ids(self) -> np.ndarray:
        """(N,) track ids, 0 when untracked."""
        return np.array([s.id for s in self._subjects], np.int64)

    @property
    def parent_ids(self) -> np.ndarray:
        """(N,) track ids of the wholes that the subjects are parts of, 0 when there is none."""
        return np.array([s.parent_id for s in self._subjects], np.int64)

    @property
    def labels(self) -> list[str]:
        """What the detector calls each subject, such as ``dog``."""
        return [s.label for s in self._subjects]

    def of(self, parent_id: int) -> list[SubjectView]:
        """Return the parts of one whole, such as the hands of a body."""
        return [s for s in self._subjects if parent_id and s.parent_id == parent_id]

    def by_id(self, track_id: int) -> SubjectView | None:
        """Return the subject with a track id, or None."""
        return next((s for s in self._subjects if s.id == track_id), None)

    @property
    def stamp_ns(self) -> int:
        """Capture time, nanoseconds."""
        stamp = self.message.header.stamp
        return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)

    @property
    def frame_id(self) -> str:
        """Frame of ``points``."""
        return str(self.message.header.frame_id)


def view(array_msg: Any, info: Any) -> SkeletonView:
    """Return named NumPy access to a SkeletonArray; see :class:`SkeletonView`."""
    return SkeletonView(array_msg, info)


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _column(index: Mapping[str, int], name: str, kind: str = "keypoint") -> int:
    try:
        return index[name]
    except KeyError:
        raise UnknownNameError(kind, name, index) from None
