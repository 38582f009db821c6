# SPDX-License-Identifier: Apache-2.0
"""Points in metres over time: without tremble, through short gaps, and at other times than those of the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import Poses, Source, TrackState
from pose_ros.tracking.kalman import Motion
from pose_ros.tracking.smooth import OneEuro

#: Long before any stamp, nanoseconds.
_NEVER = np.iinfo(np.int64).min // 2
#: A keypoint that was not seen for longer than this begins anew, seconds, unless it is predicted for even longer.
_MEMORY_S = 1.0
#: Nothing is measured better than this, metres along each axis: so that a covariance of zeros does no harm.
_LEAST_M = 1e-4
#: What is inferred, such as the depth of a keypoint that one camera sees, is wrong in the same way for about so long,
#: seconds: as long as the motion goes on that it was inferred from.
_LASTING_S = 0.2
#: What the One-Euro filter makes of a velocity is about this old, seconds (its cutoff is 1 Hz).
_SPEED_AGE_S = 0.16
#: A product with it is finite where all three numbers are, and takes a tenth of the time of asking each.
_SUM = np.ones(3)


@dataclass(frozen=True)
class FilterOptions:
    """Options of :class:`PointFilter`."""

    kind: str = option(
        "kalman", "How points in metres are filtered: a Kalman filter at constant velocity, which also fills gaps and "
        "says how sure it is; the One-Euro filter; or not at all.", choices=("none", "one_euro", "kalman"), live=True,
    )
    acceleration: float = option(
        2.0, "How much the velocity of a keypoint changes in a second, standard deviation: higher lags less, lower is "
        "smoother.", unit="m/s", low=0.01, high=100.0, live=True,
    )
    noise: float = option(
        0.03, "Standard deviation of points that come without a covariance.", unit="m", low=1e-4, high=10.0, live=True
    )
    lasting: float = option(
        0.13, "Errors of measured points become others in about this time, as those of networks do: covariances are "
        "larger for it, points are the same; 0: errors are new in every image.", unit="s", low=0.0, high=10.0,
        live=True,
    )
    gate: float = option(
        4.0, "A point that is more standard deviations than this from where it should be is an outlier (4: one of 900 "
        "good ones).", low=1.0, high=100.0, live=True,
    )
    max_outlier: float = option(
        0.2, "Outliers that go on for this long are right, and the filter starts over.", unit="s", low=0.0, high=10.0,
        live=True,
    )
    max_gap: float = option(
        0.3, "A keypoint that is missing is predicted for this long; its covariance grows.", unit="s", low=0.0,
        high=10.0, live=True,
    )
    min_cutoff: float = option(
        1.0, "One-Euro: cutoff of a point at rest; lower is smoother.", unit="Hz", low=0.001, high=100.0, live=True
    )
    beta: float = option(
        15.0, "One-Euro: rise of the cutoff with speed; higher lags less.", unit="Hz per m/s", low=0.0, high=1000.0,
        live=True,
    )
    fit_bones: bool = option(
        True, "Points of depth images and of several cameras are moved to where bones have the length that they had so "
        "far.", live=True,
    )
    filtering_frame: str = option(
        "", "TF frame that does not move, such as odom, in which a camera that moves filters; empty: the camera's own."
    )
    predict_to_now: bool = option(
        False, "Publish points where they should be now, not where they were when the image was taken.", live=True
    )


@dataclass(eq=False)
class _Memory:
    """What is known of M subjects at one time; there is at least one row, which is nobody's where M is 0."""

    stamp_ns: int
    #: (M,) their ids.
    ids: np.ndarray
    motion: Motion
    #: (M, K) when each keypoint was seen last, and since when it is an outlier; nanoseconds.
    seen_ns: np.ndarray
    off_ns: np.ndarray

    @classmethod
    def empty(cls, keypoints: int, stamp_ns: int) -> _Memory:
        """Return nobody's row."""
        shape = (1, keypoints)
        return cls(
            stamp_ns, np.empty(0, np.int64), Motion.begin(np.zeros((*shape, 3)), np.ones((*shape, 3, 3)) * np.eye(3)),
            np.full(shape, _NEVER), np.full(shape, _NEVER),
        )  # fmt: skip

    def rows(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where each of some ids is, (N,), and whether it is known, (N,) bool."""
        same = (self.ids == ids[:, None]) & (ids > 0)[:, None]
        return same.argmax(axis=1) if len(self.ids) else np.zeros(len(ids), np.int64), same.any(axis=1)


class PointFilter:
    """Filter the points of tracked subjects, in the camera's frame or in a fixed one."""

    def __init__(self, options: FilterOptions | None = None) -> None:
        """Start with nobody."""
        self.options = options or FilterOptions()
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._memory: _Memory | None = None
        self._one_euro = OneEuro(self.options.min_cutoff, self.options.beta)
        self._mode: tuple[object, ...] = ()

    def __call__(
        self, poses: Poses, stamp_ns: int, rotation: np.ndarray | None = None, translation: np.ndarray | None = None
    ) -> Poses:
        """Return the poses with filtered points.

        The Kalman filter gives their covariances anew, rejects outliers, and predicts what is missing, whose source is
        then ``HELD``; points that come with that source count as missing. The One-Euro filter leaves covariances and
        gaps as they are. Subjects without an id pass unchanged. A stamp before the last one starts over.

        Args:
            poses: Subjects, each with an id of its own.
            stamp_ns: When they were seen.
            rotation: (3, 3) and ``translation`` (3,) metres, p_fixed = rotation p + translation, at ``stamp_ns``: a
                camera that moves is filtered in a frame that does not; points are returned in the camera's.
            translation: See ``rotation``.
        """
        options = self.options
        mode = (options.kind, poses.skeleton, rotation is None)
        if mode != self._mode:
            self.reset()
            self._mode = mode
        if options.kind == "none":
            return poses
        view = _View(rotation, translation)
        if options.kind == "one_euro":
            if poses.points is None:
                return poses
            self._one_euro.min_cutoff, self._one_euro.beta = options.min_cutoff, options.beta
            points = self._one_euro(poses.ids, view.fixed(poses.points), np.ones(len(poses)), stamp_ns)
            return poses.replace(points=view.own(points))
        return self._kalman(poses, stamp_ns, view)

    def predicted(
        self, poses: Poses, stamp_ns: int, rotation: np.ndarray | None = None, translation: np.ndarray | None = None
    ) -> Poses:
        """Return the last result where its points should be at a later time, such as now, and how sure that is.

        Pixels stay those of the image.

        Args:
            poses: What this filter returned last.
            stamp_ns: For when; points at an earlier time than that of ``poses`` stay.
            rotation: (3, 3) and ``translation`` (3,): from the frame of ``poses`` to the fixed frame; those that
                ``poses`` were filtered with, if points shall stay in the frame of that moment's camera.
            translation: See ``rotation``.
        """
        view = _View(rotation, translation)
        noise = self.options.acceleration**2
        if poses.points is None:
            return poses
        if self.options.kind == "kalman" and (memory := self._memory) is not None:
            seconds = (stamp_ns - memory.stamp_ns) * 1e-9
            if seconds <= 0:
                return poses
            rows, there = memory.rows(poses.ids)
            known = there[:, None] & np.isfinite(poses.points).all(axis=2)
            motion = memory.motion.select(rows).later(seconds, noise, self.options.lasting)
            return _with_motion(poses, view.motion(motion), known)
        if self.options.kind != "one_euro" or (known := self._one_euro.speeds(poses.ids)) is None:
            return poses
        speed, since_ns = known
        seconds = (stamp_ns - since_ns) * 1e-9
        if seconds <= 0:
            return poses
        points = view.own(view.fixed(poses.points) + seconds * np.nan_to_num(speed))
        if poses.covariances is None:
            return poses.replace(points=points)
        grown = noise * (seconds**3 / 3 + _SPEED_AGE_S * seconds**2)
        return poses.replace(points=points, covariances=poses.covariances + grown * np.eye(3))

    def _kalman(self, poses: Poses, stamp_ns: int, view: _View) -> Poses:
        options, k = self.options, len(poses.skeleton)
        old = self._memory
        if old is None or stamp_ns < old.stamp_ns or not len(old.ids):
            old = _Memory.empty(k, stamp_ns)
        keep_ns = stamp_ns - round(max(options.max_gap, _MEMORY_S) * 1e9)
        # Those that are there in their order, then others that may come back soon.
        (rows, there), n, m = old.rows(poses.ids), len(poses), len(old.ids)
        gone = np.flatnonzero(~(old.ids[:, None] == poses.ids).any(axis=1) & (old.seen_ns[:m] > keep_ns).any(axis=1))
        rows = np.concatenate([rows, gone])
        seconds = (stamp_ns - old.stamp_ns) * 1e-9
        motion = old.motion.select(rows).later(seconds, options.acceleration**2, options.lasting)
        seen_ns, off_ns = old.seen_ns[rows], old.off_ns[rows]
        seen_ns[:n][~there] = off_ns[:n][~there] = _NEVER

        points, covariances, measured = self._measured(poses, view)
        here = motion.select(np.arange(n)) if len(gone) else motion
        age = (stamp_ns - seen_ns[:n]) * 1e-9
        guessed = poses.sources == Source.INFERRED
        if guessed.any():
            covariances = covariances * np.where(guessed, _as_white(age), 1)[..., None, None]
        after, distance = here.seen(points, covariances, options.gate, ~guessed if options.lasting else None)
        alive = seen_ns[:n] > keep_ns
        off = measured & alive & (distance > options.gate**2)
        since_ns = np.where(off, np.where(off_ns[:n] == _NEVER, stamp_ns, off_ns[:n]), _NEVER)
        believed = off & (stamp_ns - since_ns >= options.max_outlier * 1e9)
        good, begins = measured & (~off | believed), measured & (~alive | believed)
        here = here.where(measured, after)
        if begins.any():
            here = here.where(begins, Motion.begin(points, covariances))
        seen_ns[:n], off_ns[:n] = np.where(good, stamp_ns, seen_ns[:n]), np.where(good, _NEVER, since_ns)
        ids = np.concatenate([poses.ids, old.ids[gone]])
        all_of_them = here.followed(motion.select(np.arange(n, len(rows)))) if len(gone) else here
        self._memory = _Memory(stamp_ns, ids, all_of_them, seen_ns, off_ns)

        tracked = (poses.ids > 0)[:, None]
        fresh = stamp_ns - seen_ns[:n] <= options.max_gap * 1e9
        known = tracked & fresh & (poses.states != TrackState.LOST)[:, None]
        if poses.points is None and not known.any():
            return poses
        poses = poses.replace(sources=np.where(known & ~good, Source.HELD, poses.sources))
        return _with_motion(poses, view.motion(here), known, tracked & ~known)

    def _measured(self, poses: Poses, view: _View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points (N, K, 3) and covariances (N, K, 3, 3) in the fixed frame, and which of them (N, K) hold."""
        n, k = poses.scores.shape
        plain = self.options.noise**2 * np.eye(3)
        if poses.points is None:
            return np.zeros((n, k, 3)), np.broadcast_to(plain, (n, k, 3, 3)), np.zeros((n, k), bool)
        points = view.fixed(poses.points)
        measured = np.isfinite(points @ _SUM) & (poses.sources != Source.HELD) & (poses.ids > 0)[:, None]
        covariances = np.broadcast_to(plain, (n, k, 3, 3))
        if poses.covariances is not None:
            given = view.fixed_covariances(poses.covariances) + _LEAST_M**2 * np.eye(3)
            whole = measured & np.isfinite(given.sum(axis=3) @ _SUM)
            covariances = given if whole.all() else np.where(whole[..., None, None], given, plain)
        return points if measured.all() else np.where(measured[..., None], points, 0), covariances, measured


def _as_white(seconds: np.ndarray) -> np.ndarray:
    """Return how many times the variance of errors that last counts in a filter that takes them as new every time.

    Errors whose correlation fades as exp(-t / T) leave the mean of many measurements as uncertain as independent ones
    of coth(seconds / 2 T) times their variance (integrated autocorrelation; Bar-Shalom, Li and Kirubarajan 2001,
    section 8.3, is the exact way, with as many more states).

    Args:
        seconds: From one measurement to the next.
    """
    return np.asarray(1 / np.tanh(np.maximum(seconds, 1e-6) / (2 * _LASTING_S)))


class _View:
    """How the camera sees the frame in which points are filtered."""

    def __init__(self, rotation: np.ndarray | None, translation: np.ndarray | None) -> None:
        self._turn = None if rotation is None else np.asarray(rotation, np.float64)
        self._shift = np.zeros(3) if translation is None else np.asarray(translation, np.float64)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, np.float64)
        return points if self._turn is None else points @ self._turn.T + self._shift

    def fixed_covariances(self, covariances: np.ndarray) -> np.ndarray:
        covariances = np.asarray(covariances, np.float64)
        return covariances if self._turn is None else self._turn @ covariances @ self._turn.T

    def own(self, points: np.ndarray) -> np.ndarray:
        return points if self._turn is None else (points - self._shift) @ self._turn

    def motion(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """Return points and their covariances in the camera's frame."""
        spread = motion.spread
        if self._turn is not None:
            spread = self._turn.T @ spread @ self._turn
        return self.own(motion.position), spread


def _with_motion(
    poses: Poses, motion: tuple[np.ndarray, np.ndarray], known: np.ndarray, unknown: np.ndarray | None = None
) -> Poses:
    """Return the poses with new points and covariances where they are known, and none where they are not."""
    columns: dict[str, np.ndarray] = {}
    for name, new, old in zip(("points", "covariances"), motion, (poses.points, poses.covariances), strict=True):
        column = np.array(new, np.float32, order="C")
        if not known.all():
            column[~known] = np.nan if old is None else old[~known]
            if unknown is not None:
                column[unknown] = np.nan
        columns[name] = column
    return poses.replace(**columns)
