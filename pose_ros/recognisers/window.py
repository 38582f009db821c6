# SPDX-License-Identifier: Apache-2.0
"""Window: the last seconds of all subjects, out of which clips are cut. Time comes from stamps."""

from __future__ import annotations

import dataclasses

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.recognisers.base import Clip
from pose_ros.tracking.past import Past

#: Rotation (3, 3) and translation (3,) from the frame of an image to one that does not move and whose z points up.
Place = tuple[np.ndarray, np.ndarray]
#: Upwards in the image of a level camera.
_LEVEL = np.array([0.0, -1.0, 0.0])
#: What is kept of each keypoint, in this order -> how many numbers that is; the measures stand behind.
_COLUMNS = {"keypoints": 2, "scores": 1, "points": 3, "local_points": 3}


class Window:
    """Keeps what was seen of subjects, in the keypoints of one skeleton and in a frame that does not move."""

    def __init__(self, takes: Skeleton, keep_s: float, max_gap_s: float = 0.5) -> None:
        """Start with nobody.

        Args:
            takes: Skeleton of the clips.
            keep_s: Length of the longest clip, seconds.
            max_gap_s: What was not seen for longer is missing in between.
        """
        self.takes, self._keep_ns, self._gap_ns = takes, round((keep_s + max_gap_s) * 1e9), round(max_gap_s * 1e9)
        self._skeleton, self._origin = takes, np.zeros(3)
        self._place: Place | None = None
        self._poses, self._size_wh = Poses.empty(takes), (0, 0)
        self._past = Past((self._width,), self._keep_ns)

    @property
    def _width(self) -> int:
        """How many numbers are kept of a subject."""
        return len(self.takes) * sum(_COLUMNS.values()) + len(self._skeleton.measures)

    def reset(self) -> None:
        """Forget everybody."""
        self._past.reset()

    def forget(self, ids: np.ndarray) -> None:
        """Forget subjects that have ended; they are in no image any more."""
        self._past.forget(ids)

    def put(self, poses: Poses, stamp_ns: int, size_wh: tuple[int, int], place: Place | None = None) -> None:
        """Keep an image.

        Args:
            poses: Of any skeleton that converts; those without an id are left out, as they have no past.
            stamp_ns: When; earlier than the last image: everything before is forgotten; the same: it is replaced.
            size_wh: Of the image, pixels.
            place: Where the camera stood; None: it is taken to be level and not to move.

        Raises:
            ConfigError: The skeletons have no keypoint in common.
        """
        # What is measured of a subject stays true in other keypoints.
        measured = dataclasses.replace(self.takes, measures=poses.skeleton.measures, units=poses.skeleton.units)
        seen = poses.select(poses.ids > 0)
        self._poses, self._size_wh = seen.to(self.takes).replace(measures=None), size_wh
        if measured != self._skeleton or (place is None) != (self._place is None):
            self._skeleton = measured
            self._past = Past((self._width,), self._keep_ns)
        if not len(self._past) or stamp_ns < self._past.stamps_ns[-1]:
            # Maps are large, and numbers of 32 bits are short: places are kept from where the camera stood first.
            self._origin = np.zeros(3) if place is None else place[1]
        self._place = place
        self._past.put(seen.ids, self._values(seen.measures), stamp_ns)

    def _values(self, measures: np.ndarray | None) -> np.ndarray:
        """Return what is kept of the newest image, (N, width)."""
        poses, n = self._poses, len(self._poses)
        columns = {name: getattr(poses, name) for name in _COLUMNS}
        for name in ("points", "local_points"):
            if columns[name] is None:
                columns[name] = np.full((*poses.scores.shape, 3), np.nan)
        known = np.isfinite(columns["keypoints"]).all(axis=2) | np.isfinite(columns["points"]).all(axis=2)
        columns["scores"] = np.where(known, poses.scores, np.nan)
        if self._place is not None:
            rotation, translation = self._place
            columns["points"] = columns["points"] @ rotation.T + (translation - self._origin)
            columns["local_points"] = columns["local_points"] @ rotation.T
        if measures is None:
            measures = np.full((n, len(self._skeleton.measures)), np.nan)
        flat = [columns[name].reshape(n, len(self.takes) * size) for name, size in _COLUMNS.items()]
        return np.concatenate([*flat, measures], axis=1)

    def clip(self, steps: int, step_s: float) -> Clip:
        """Return the past of the subjects of the newest image, at even steps of time that end with it.

        Args:
            steps: How many, T.
            step_s: Time between two of them, seconds.
        """
        times = self._past.stamps_ns[-1] - round(step_s * 1e9) * np.arange(steps)[::-1]
        stamps, past = self._past.of(self._poses.ids, times[0] - self._gap_ns)
        found, at = [], 0
        shapes = [(len(self.takes), size) for size in _COLUMNS.values()]
        for count, size in (*shapes, (len(self._skeleton.measures), 1)):
            part = past[..., at : at + count * size].reshape(*past.shape[:2], count, size)
            found.append(resampled(part, stamps, times, self._gap_ns))
            at += count * size
        keypoints, scores, points, local, measures = found
        up = _LEVEL
        if self._place is not None:
            rotation, translation = self._place
            points = np.asarray((points + (self._origin - translation)) @ rotation, np.float32)
            local, up = np.asarray(local @ rotation, np.float32), rotation[2]
        poses = self._poses
        return Clip(
            skeleton=self._skeleton, ids=poses.ids, stamps_ns=times, keypoints=keypoints,
            scores=np.nan_to_num(scores[..., 0]), points=points, local_points=local, measures=measures[..., 0],
            sides=poses.sides, parents=poses.parents, size_wh=self._size_wh, up=up, up_known=self._place is not None,
        )  # fmt: skip


def resampled(past: np.ndarray, stamps_ns: np.ndarray, times_ns: np.ndarray, max_gap_ns: int) -> np.ndarray:
    """Return numbers between images by linear interpolation.

    Args:
        past: (images, N, C, D), at least one image; where the first of the D is NaN, all are missing.
        stamps_ns: (images,) int64, rising.
        times_ns: (T,) int64; none is later than the last image.
        max_gap_ns: Between sights that are farther apart, before the first and after the last one nothing is made up.

    Returns:
        (N, T, C, D) float32; NaN where missing.
    """
    seen = np.isfinite(past[..., 0])
    if not seen.any():
        return np.full((past.shape[1], len(times_ns), *past.shape[2:]), np.nan, np.float32)
    count = len(stamps_ns)
    images = np.arange(count)[:, None, None]
    # The image at or before which, and at or after which, each number was seen.
    last = np.maximum.accumulate(np.where(seen, images, -1), axis=0)
    following = np.minimum.accumulate(np.where(seen, images, count)[::-1], axis=0)[::-1]
    index = np.searchsorted(stamps_ns, times_ns, side="right") - 1
    exact = (index >= 0) & (stamps_ns[index] == times_ns)
    left, right = last[index], following[np.minimum(np.where(exact, index, index + 1), count - 1)]
    known = (index >= 0)[:, None, None] & (left >= 0) & (right < count)
    left, right = np.where(known, left, 0), np.where(known, right, 0)
    span = stamps_ns[right] - stamps_ns[left]
    known &= span <= max_gap_ns
    part = ((times_ns[:, None, None] - stamps_ns[left]) / np.maximum(span, 1))[..., None]
    n, c = np.ogrid[: past.shape[1], : past.shape[2]]
    found = np.where(known[..., None], past[left, n, c] * (1 - part) + past[right, n, c] * part, np.nan)
    return np.asarray(found.swapaxes(0, 1), np.float32)
