# SPDX-License-Identifier: Apache-2.0
"""View: what consumers of a SkeletonArray use, so that nobody counts offsets.

::

    view = pose_ros.view(array_msg, info_msg)
    view["left_wrist"]                  # (N, 2) pixels, one row per subject
    for subject in view:
        subject.id, subject["left_wrist"], subject.score("left_wrist"), subject.points

Works with messages of rclpy and with those that ``rosbags`` reads from a bag; imports neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from pose_ros.core.poses import TrackState
from pose_ros.errors import ConfigError, ShapeError, UnknownNameError


class SubjectView:
    """One subject. Arrays are views of the message where it has them, and NaN where it has not."""

    def __init__(self, message: Any, index: Mapping[str, int]) -> None:
        """Wrap one Skeleton message; ``index`` is keypoint name -> column."""
        self.message, self._index = message, index

    def _array(self, name: str, *shape: int) -> np.ndarray:
        values = np.asarray(getattr(self.message, name), np.float32)
        k = len(self._index)
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
    def local_points(self) -> np.ndarray:
        """(K, 3), metres, origin at the subject's root, axes parallel to the optical frame."""
        return self._array("local_points", 3)

    @property
    def box(self) -> np.ndarray:
        """(4,), xyxy in pixels."""
        return np.asarray(self.message.box)

    @property
    def id(self) -> int:
        """Track id; 0 when untracked."""
        return int(self.message.track_id)

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
        return self.keypoints[_column(self._index, name)]

    def score(self, name: str) -> float:
        """Return the score of a keypoint."""
        return float(self.scores[_column(self._index, name)])

    def point(self, name: str) -> np.ndarray:
        """Return a keypoint in metres, (3,)."""
        return self.points[_column(self._index, name)]


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
        self._index = {name: i for i, name in enumerate(self.names)}
        self._subjects = [SubjectView(m, self._index) for m in message.skeletons]

    def __len__(self) -> int:
        """Return N."""
        return len(self._subjects)

    def __iter__(self) -> Iterator[SubjectView]:
        """Iterate over the subjects."""
        return iter(self._subjects)

    def __getitem__(self, key: str | int) -> Any:
        """Return the pixels of a keypoint of all subjects, (N, 2), or one subject by row."""
        if isinstance(key, str):
            return self.keypoints[:, _column(self._index, key)]
        return self._subjects[key]

    def _columns(self, name: str, *shape: int) -> np.ndarray:
        rows = [getattr(s, name) for s in self._subjects]
        return np.stack(rows) if rows else np.empty((0, len(self.names), *shape), np.float32)

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

    @property
    def ids(self) -> np.ndarray:
        """(N,) track ids, 0 when untracked."""
        return np.array([s.id for s in self._subjects], np.int64)

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


def _column(index: Mapping[str, int], name: str) -> int:
    try:
        return index[name]
    except KeyError:
        raise UnknownNameError("keypoint", name, index) from None
