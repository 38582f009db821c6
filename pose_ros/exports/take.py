# SPDX-License-Identifier: Apache-2.0
"""Take: everybody who was seen in one recording, each as columns over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

#: Axis of a frame that points upwards -> rotation to a world with z up: an optical frame has y down (REP-103).
TO_Z_UP = {
    "z": np.eye(3),
    "-y": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
}
#: A world with z up, to one with y up, as computer graphics and OpenSim have it.
TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
#: What is lost for longer than this is not filled in between, seconds.
LONGEST_GAP_S = 0.25
#: Digits of a frame rate that stamps tell, Hz.
_RATE_DIGITS = 2


@dataclass(frozen=True, eq=False)
class Subject:
    """One subject over T moments; NaN where and when it was not seen."""

    id: int
    #: Such as ``dog``; empty where no detector said anything.
    label: str
    #: (T, K, 2) pixels.
    keypoints: np.ndarray
    #: (T, K) in [0, 1].
    scores: np.ndarray
    #: (T, K) :class:`pose_ros.core.poses.Source`.
    sources: np.ndarray
    #: (T, K, 3) metres.
    points: np.ndarray
    #: (T, M), what the skeleton's ``measures`` name.
    measures: np.ndarray

    @property
    def name(self) -> str:
        """What files call it, such as ``dog_3``, or ``subject_3``."""
        return f"{self.label or 'subject'}_{self.id}"


@dataclass(frozen=True, eq=False)
class Take:
    """All subjects of a recording."""

    skeleton: Skeleton
    #: (T,) int64 nanoseconds, ascending.
    stamps_ns: np.ndarray
    subjects: tuple[Subject, ...]
    #: What ``points`` are: ``camera``, in the frame of the images or of the room, or ``root``: around each subject's
    #: root; empty where nothing is known in metres.
    space: str = ""

    @property
    def seconds(self) -> np.ndarray:
        """(T,) since the first moment."""
        return (self.stamps_ns - self.stamps_ns[:1]) * 1e-9

    @property
    def rate(self) -> float:
        """Moments per second by the stamps, dropped images not counted; 0 for fewer than two."""
        steps = np.diff(self.stamps_ns)
        if not len(steps):
            return 0.0
        whole = np.maximum(np.rint(steps / np.median(steps)), 1).sum()
        return round(1e9 * float(whole / steps.sum()), _RATE_DIGITS)

    def metric(self) -> Take:
        """Return the take if it has metres.

        Raises:
            ConfigError: It has none.
        """
        if not self.space:
            raise ConfigError("points", "expected metres, got pixels alone: calibrate the camera (camera_info), use "
                                        "depth or several cameras, or take a model with 3D such as blazepose-full; "
                                        "csv and parquet hold pixels too")
        return self

    def even(self, rate: float = 0.0, gap_s: float = LONGEST_GAP_S) -> Take:
        """Return the take at moments of equal distance, interpolated; formats of motion capture know no others.

        Args:
            rate: Moments per second; 0 for the take's own.
            gap_s: What is missing for longer than this stays missing.
        """
        rate = rate or self.rate
        if not rate:
            return self
        seconds = self.seconds
        moments = np.arange(int(np.floor(seconds[-1] * rate + 1e-6)) + 1) / rate
        near = np.searchsorted((seconds[1:] + seconds[:-1]) / 2, moments)

        def each(subject: Subject) -> Subject:
            keypoints, points, measures = (
                _interpolated(seconds, column, moments, gap_s)
                for column in (subject.keypoints, subject.points, subject.measures)
            )
            return dataclasses.replace(subject, keypoints=keypoints, points=points, measures=measures,
                                       scores=subject.scores[near], sources=subject.sources[near])

        stamps = self.stamps_ns[0] + np.round(moments * 1e9).astype(np.int64)
        return dataclasses.replace(self, stamps_ns=stamps, subjects=tuple(map(each, self.subjects)))

    def turned(self, rotation: np.ndarray) -> Take:
        """Return the take with all points turned by a rotation (3, 3)."""
        return dataclasses.replace(self, subjects=tuple(
            dataclasses.replace(s, points=s.points @ rotation.T) for s in self.subjects
        ))


def collect(moments: Iterable[tuple[int, Poses]], *, predicted: bool = False, least: int = 2) -> Take:
    """Return the take of poses over time.

    Args:
        moments: Stamp in nanoseconds and what was seen then, in the order of time.
        predicted: Whether where somebody should be counts as seen.
        least: Who was seen in fewer moments is left out.

    Raises:
        ConfigError: Nobody was seen, subjects have no ids, or the skeleton changes.
    """
    everything = [(stamp, poses) for stamp, poses in moments]
    stamps = np.array([stamp for stamp, _ in everything], np.int64)
    if (np.diff(stamps) <= 0).any():
        raise ConfigError("stamps", "expected ascending stamps; got one that is not later than the one before: export "
                                    "one pass of a recording")
    skeletons = {poses.skeleton for _, poses in everything if len(poses)}
    if len(skeletons) != 1:
        names = ", ".join(sorted(s.name for s in skeletons))
        raise ConfigError("poses", f"expected one kind of skeleton, got {names}" if names else
                                   "expected at least one subject, got none in all of the recording")
    skeleton = skeletons.pop()
    space = next((word for word, column in (("camera", "points"), ("root", "local_points"))
                  if any(getattr(p, column) is not None for _, p in everything)), "")
    column = {"camera": "points", "root": "local_points"}.get(space)
    rows: dict[int, list[tuple[int, int]]] = {}
    for moment, (_, poses) in enumerate(everything):
        seen = np.ones(len(poses), bool) if predicted else poses.states < TrackState.PREDICTED
        for row in np.flatnonzero(seen):
            rows.setdefault(int(poses.ids[row]), []).append((moment, int(row)))
    if rows.keys() == {0}:
        raise ConfigError("ids", "expected subjects with ids, got none: switch the tracker on (track: true)")

    def subject(number: int, places: list[tuple[int, int]]) -> Subject:
        labels = [str(everything[m][1].labels[r]) for m, r in places]
        return Subject(number, max(set(labels), key=labels.count), **{
            name: _column(everything, places, attribute, shape, fill)
            for name, attribute, shape, fill in (
                ("keypoints", "keypoints", (len(skeleton), 2), np.nan), ("scores", "scores", (len(skeleton),), 0.0),
                ("sources", "sources", (len(skeleton),), 0.0), ("points", column, (len(skeleton), 3), np.nan),
                ("measures", "measures", (len(skeleton.measures),), np.nan),
            )
        })

    subjects = tuple(subject(number, rows[number]) for number in sorted(rows) if number and len(rows[number]) >= least)
    return Take(skeleton, stamps, subjects, space)


def held(values: np.ndarray) -> np.ndarray:
    """Return values (T, C, D) without gaps, for formats that cannot say so: what is not known stays as it was last.

    Before it is known for the first time, it is as it will be then. A column that is never known stays NaN.
    """
    known = np.isfinite(values).all(axis=2)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1))
    return np.take_along_axis(values, np.where(last < 0, known.argmax(axis=0), last)[:, :, None], axis=0)


def _column(
    everything: list[tuple[int, Poses]], places: list[tuple[int, int]], name: str | None, shape: tuple[int, ...],
    fill: float,
) -> np.ndarray:
    """Return one column of a subject over all moments, (T, ...)."""
    out = np.full((len(everything), *shape), fill)
    for moment, row in places if name else ():
        values = getattr(everything[moment][1], name or "")
        if values is not None:
            out[moment] = values[row]
    return out


def _interpolated(times: np.ndarray, values: np.ndarray, moments: np.ndarray, gap_s: float) -> np.ndarray:
    """Return values (T, ...) at other moments, linearly between those that are known; NaN where gaps are longer."""
    flat = values.reshape(len(times), -1)
    out = np.full((len(moments), flat.shape[1]), np.nan)
    for column in range(flat.shape[1]):
        known = np.isfinite(flat[:, column])
        if not known.any():
            continue
        at, value = times[known], flat[known, column]
        after = np.searchsorted(at, moments - 1e-9).clip(0, len(at) - 1)
        before = np.searchsorted(at, moments + 1e-9, side="right").clip(1, len(at)) - 1
        near = (at[after] - at[before] <= gap_s) & (moments >= at[0] - 1e-9) & (moments <= at[-1] + 1e-9)
        out[near, column] = np.interp(moments[near], at, value)
    return out.reshape(len(moments), *values.shape[1:])
