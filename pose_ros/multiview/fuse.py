# SPDX-License-Identifier: Apache-2.0
"""Fuse: the subjects that several cameras see, in the world, over time. Time comes from stamps.

Each call finds who is who, moves what cameras saw at other moments to the moment asked for, triangulates, and follows
keypoints that but one camera sees along its rays. What it remembers of subjects helps to find them again; lasting ids
are the tracker's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.multiview.alone import along_rays
from pose_ros.multiview.associate import AssociateOptions, associate
from pose_ros.multiview.clocks import Clocks, Late
from pose_ros.multiview.deviations import leave_one_out
from pose_ros.multiview.health import CameraHealth, Judge
from pose_ros.multiview.memory import VELOCITY_S, Known
from pose_ros.multiview.one_view import by_limbs
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.triangulate import TriangulateOptions, Triangulation, triangulate

#: However small a subject is, no keypoint is seen better than this, pixels.
_FINEST = 1.0
#: Somebody is new if more than this part of the keypoints that two cameras saw fit together.
_ENOUGH = 0.4
#: Who was measured less often may have been a mistake, and is not followed by one camera.
_OFTEN = 3
#: Who is nearer to another one than this part of its own size (root mean square from the middle) is the same one.
_INSIDE = 0.5
#: By about so many keypoints of each subject cameras are judged.
_JUDGED = 17


@dataclass(frozen=True)
class FuserOptions:
    """Options of :class:`Fuser`."""

    noise: float = option(
        0.007, "Standard deviation of where a keypoint with score 1 is seen, as a part of the subject's size in the "
        "image (square root of width times height).", low=0.0005, high=0.2, live=True,
    )
    max_offset: float = option(
        0.1, "A view from another time than this is not used: where everybody was is not known well enough.", unit="s",
        low=0.0, high=1.0, live=True,
    )
    max_lost: float = option(
        2.0, "Who is seen by one camera only is followed along its rays for so long; then, or when nobody sees it for "
        "so long, it is forgotten.", unit="s", low=0.0, high=60.0, live=True,
    )
    speed: float = option(
        0.5, "How much faster or slower than it should a keypoint moves (standard deviation) while one camera sees it "
        "alone.", unit="m/s", low=0.01, high=20.0, live=True,
    )
    leave_out: bool = option(
        True, "A camera that disagrees with all others is left out until it agrees; else it is only named.", live=True
    )
    max_misfit: float = option(
        1.75, "A camera disagrees if its keypoints are so many times further from where the others put them, in "
        "standard deviations, than those of the others are among themselves.", low=1.2, high=100.0, live=True,
    )


class _Sights(NamedTuple):
    """What V cameras saw of P subjects; NaN and zero where they did not."""

    #: (V, P) row in each camera's poses, or -1.
    rows: np.ndarray
    #: (V, P, K, 2) pixels at the common moment, (V, P, K), and (V, P, 1) pixels.
    keypoints: np.ndarray
    scores: np.ndarray
    sigmas: np.ndarray
    #: (V, P)
    sides: np.ndarray
    parents: np.ndarray


class Fuser:
    """Turn what cameras see into subjects in the world."""

    def __init__(
        self,
        options: FuserOptions | None = None,
        association: AssociateOptions | None = None,
        triangulation: TriangulateOptions | None = None,
    ) -> None:
        """Start with nobody. The ``noise`` of ``triangulation`` is not used: subjects have their own."""
        self.options = options or FuserOptions()
        self.association = association or AssociateOptions()
        self.triangulation = triangulation or TriangulateOptions()
        #: Camera -> (P,) int64: the row of each subject of the last result in what that camera saw; -1 where not seen.
        self.members: Mapping[str, np.ndarray] = {}
        self._judge, self._clocks = Judge(), Clocks()
        self._known: Known | None = None
        self._rigs: dict[tuple[str, ...], Rig] = {}
        self._rig: Rig | None = None

    @property
    def health(self) -> Mapping[str, CameraHealth]:
        """How well each camera agrees with the others."""
        return self._judge.health

    @property
    def late(self) -> Mapping[str, Late]:
        """Whose stamps are how late beside the others', where enough moved to tell."""
        return self._clocks.late()

    def reset(self) -> None:
        """Forget everybody, and what was thought of the cameras."""
        self._known, self.members = None, {}
        self._judge, self._clocks = Judge(), Clocks()

    def __call__(self, rig: Rig, views: Mapping[str, tuple[int, Poses]], stamp_ns: int) -> Poses:
        """Fuse what cameras saw.

        Args:
            rig: All cameras.
            views: Camera -> when, nanoseconds, and what it saw, in pixels as they came; cameras that sent nothing may
                be left out. ``parents`` that are not 0 name the same subject in all of them (:func:`with_parents`).
            stamp_ns: The moment to say where everybody is; before that of the last call: everything starts over.

        Returns:
            Subjects in the frame of the rig: ``points``, ``covariances``, ``views``, ``reprojection_errors``,
            ``sources`` and ``scores`` of keypoints; no pixels and no ids.

        Raises:
            UnknownNameError: A view is of a camera that is not in the rig.
            ConfigError: There is no view at all, or they have different skeletons.
        """
        cameras = {camera.name: camera for camera in rig}
        for name in views:
            if name not in cameras:
                raise UnknownNameError("camera", name, cameras)
        if len({poses.skeleton.name for _, poses in views.values()}) != 1:
            raise ConfigError("views", "expected views of one skeleton, and one view at least")
        if rig is not self._rig:
            self._rig, self._rigs = rig, {}
        if self._known is not None and stamp_ns < self._known.stamp_ns:
            self.reset()
        limit = self.options.max_offset * 1e9
        used = [name for name in cameras if name in views and abs(views[name][0] - stamp_ns) <= limit]
        trusted = self._judge.trusted(used)
        skeleton = next(iter(views.values()))[1].skeleton
        known = self._known or Known.nobody(stamp_ns, 0, skeleton)
        known = known.select(stamp_ns - known.measured_ns.max(axis=1, initial=0) <= self.options.max_lost * 1e9)
        if not trusted:
            self.members = {}
            return world_poses(skeleton, np.empty((0, len(skeleton), 3)))
        sights, known = self._who(trusted, views, known, stamp_ns)
        noisy = sights._replace(sigmas=sights.sigmas * self._judge.noise)
        found = triangulate(self._of(trusted), sights.keypoints, sights.scores, self.triangulation, noisy.sigmas)
        poses, known = self._located(trusted, skeleton, noisy, found, known, stamp_ns)

        # Of somebody new, enough must fit together, and nobody may be there already: two cameras that exchange left and
        # right see a second person in the same place.
        new = known.times <= 1
        tried = ((sights.scores > 0).sum(axis=0) >= 2).sum(axis=1)
        there = ~new | ((found.views > 0).sum(axis=1) > _ENOUGH * tried)
        there &= ~(new & _crowded(np.asarray(poses.points)))
        self._known = known.select(there)
        self._watch(used, trusted, views, sights, found, poses, known, stamp_ns)
        seen = there & (poses.sources > 0).any(axis=1)
        self.members = {name: sights.rows[v, seen] for v, name in enumerate(trusted)}
        return _described(poses.select(seen), self.members, views)

    def _of(self, names: Sequence[str]) -> Rig:
        """Return some of the cameras: the same object for the same names, as more is remembered of it elsewhere."""
        key = tuple(names)
        if key not in self._rigs:
            cameras = {camera.name: camera for camera in self._rig or ()}
            self._rigs[key] = Rig([cameras[name] for name in names])
        return self._rigs[key]

    def _who(
        self, names: Sequence[str], views: Mapping[str, tuple[int, Poses]], known: Known, stamp_ns: int
    ) -> tuple[_Sights, Known]:
        """Return what the cameras saw of each subject, moved to the common moment; and all subjects, old and new."""
        rig, skeleton = self._of(names), views[names[0]][1].skeleton
        previous = world_poses(skeleton, known.at(stamp_ns), sides=known.sides, parents=known.parents)
        groups = associate(rig, [views[name][1] for name in names], previous, self.association)
        known = known.joined(Known.nobody(known.stamp_ns, len(groups) - len(previous), skeleton))
        shape = (len(names), len(groups), len(skeleton))
        sights = _Sights(
            groups.T, np.full((*shape, 2), np.nan), np.zeros(shape), np.ones((*shape[:2], 1)),
            np.zeros(shape[:2], np.uint8), np.zeros(shape[:2], np.int64),
        )  # fmt: skip
        for v, camera in enumerate(rig):
            here = np.flatnonzero(groups[:, v] >= 0)
            seen_ns, poses = views[camera.name]
            poses = poses.select(groups[here, v])
            sights.keypoints[v, here] = _moved(camera, poses, known.select(here), seen_ns, stamp_ns)
            sights.scores[v, here] = poses.scores
            sights.sigmas[v, here, 0] = self._noise(poses)
            sights.sides[v, here], sights.parents[v, here] = poses.sides, poses.parents
        known.sides = np.maximum(known.sides, sights.sides.max(axis=0, initial=0))
        known.parents = np.maximum(known.parents, sights.parents.max(axis=0, initial=0))
        return sights, known

    def _noise(self, poses: Poses) -> np.ndarray:
        """Return the standard deviation of keypoints with score 1, (N,) pixels."""
        with np.errstate(all="ignore"):
            extent = np.fmax.reduce(poses.keypoints, axis=1) - np.fmin.reduce(poses.keypoints, axis=1)
            size = np.sqrt(np.nan_to_num(extent.prod(axis=1)))
        return np.asarray(np.hypot(self.options.noise * size, _FINEST), np.float64)

    def _located(
        self, names: Sequence[str], skeleton: Skeleton, sights: _Sights, found: Triangulation, known: Known,
        stamp_ns: int,
    ) -> tuple[Poses, Known]:  # fmt: skip
        """Return all subjects in the world, and what to remember of them."""
        measured, errors = found.views > 0, found.errors.copy()
        points, covariances, used = found.points.copy(), found.covariances.copy(), found.used.copy()
        age = (stamp_ns - known.measured_ns) * 1e-9
        alone = ~measured & (sights.scores > 0).any(axis=0) & (known.measured_ns > 0) & (age <= self.options.max_lost)
        alone &= known.times[:, None] >= _OFTEN
        if alone.any():
            rig, keypoints, scores = self._of(names), sights.keypoints[:, alone], sights.scores[:, alone]
            sigmas = np.broadcast_to(sights.sigmas, sights.scores.shape)[:, alone]
            spread = np.square(self.options.speed * age[alone])[:, None, None] * np.eye(3)
            # The velocity is made of points with the same noise.
            older = np.square(1 + age[alone] / VELOCITY_S)[:, None, None]
            points[alone], covariances[alone], fit = along_rays(
                rig, keypoints, scores, sigmas, known.at(stamp_ns)[alone], known.covariances[alone] * older + spread,
                self.triangulation,
            )  # fmt: skip
            # Where cameras contradict one another, those are right that see it where it should be.
            told = triangulate(
                rig, keypoints[:, None], np.where(fit, scores, 0)[:, None], self.triangulation, sigmas[:, None]
            )
            which = np.flatnonzero(told.views[0] > 0)
            place = tuple(index[which] for index in np.nonzero(alone))
            points[place], covariances[place] = told.points[0, which], told.covariances[0, which]
            errors[place], measured[place] = told.errors[0, which], True
            fit[:, which] = told.used[:, 0, which]
            used[:, alone] = fit
            points, covariances = by_limbs(
                skeleton, points, covariances, alone & ~measured, age, self.options.speed, known.distances(),
                known.variances,
            )  # fmt: skip
        views = used.sum(axis=0)
        scores = np.where(used, sights.scores, 0).sum(axis=0) / np.fmax(views, 1)
        poses = world_poses(
            skeleton, points, scores=scores, covariances=covariances, views=views, reprojection_errors=errors,
            sources=np.where(measured, Source.MEASURED, np.where(views > 0, Source.INFERRED, Source.MISSING)),
            sides=known.sides, parents=known.parents,
        )  # fmt: skip
        return poses, known.moved_on(stamp_ns, points, covariances, measured, skeleton)

    def _watch(
        self, used: Sequence[str], trusted: Sequence[str], views: Mapping[str, tuple[int, Poses]], sights: _Sights,
        found: Triangulation, poses: Poses, known: Known, stamp_ns: int,
    ) -> None:  # fmt: skip
        """Compare each camera with what those that are trusted agree on without it."""
        part = slice(None, None, -(-poses.scores.shape[1] // _JUDGED))
        shape = (len(used), *poses.scores[:, part].shape)
        pixels, scores, sigmas = np.full((*shape, 2), np.nan), np.zeros(shape), np.ones(shape)
        agreed, rows = np.zeros(shape, bool), np.full(shape[:2], -1)
        for i, name in enumerate(used):
            if name in trusted:
                v = trusted.index(name)
                rows[i], agreed[i] = sights.rows[v], found.used[v, :, part]
                pixels[i], scores[i] = sights.keypoints[v, :, part], sights.scores[v, :, part]
                sigmas[i] = sights.sigmas[v]
                continue
            seen_ns, mine = views[name]
            rows[i] = associate(self._of([name]), [mine], poses, self.association)[: len(poses), 0]
            here = np.flatnonzero(rows[i] >= 0)
            mine = mine.select(rows[i, here])
            pixels[i, here] = _moved(self._of([name]).cameras[0], mine, known.select(here), seen_ns, stamp_ns)[:, part]
            scores[i, here], sigmas[i, here] = mine.scores[:, part], self._noise(mine)[:, None]
        # Where too few agree, all speak against all.
        all_ = np.array([name in trusted for name in used])[:, None, None] & (scores > 0)
        agreed = np.where(agreed.sum(axis=0) >= 2, agreed, all_)
        flat = (len(used), -1)
        deviations = leave_one_out(
            self._of(used), pixels.reshape(*flat, 2), scores.reshape(flat), sigmas.reshape(flat), agreed.reshape(flat),
            self.triangulation.min_score,
        )  # fmt: skip
        for i, name in enumerate(used):
            # Subjects that it should see, and others that it sees where nobody is.
            camera = self._of([name]).cameras[0]
            there = camera.project(found.points[:, part])
            inside = ((there >= 0) & (there < camera.camera.size_wh)).all(axis=2).sum(axis=1)
            missed = np.sort(inside[(rows[i] < 0) & (inside > 0)])[::-1]
            elsewhere = int(missed[: len(views[name][1]) - (rows[i] >= 0).sum()].sum())
            where = known.points[:, part], known.velocities[:, part]
            self._clocks.count(camera, views[name][0], pixels[i], sigmas[i], *where)
            own, others, off = (column[i][np.isfinite(column[i])] for column in deviations)
            self._judge.count(name, views[name][0], own, others, off, elsewhere)
        limit = self.triangulation.limit**2 / 2
        self._judge.decide(self.options.max_misfit, limit, self.options.leave_out)


def world_poses(skeleton: Skeleton, points: np.ndarray, **columns: Any) -> Poses:
    """Return subjects that are in no image, from points (N, K, 3) metres in the world and other columns."""
    n, k = points.shape[:2]
    columns.setdefault("scores", np.isfinite(points).all(axis=2))
    return Poses(skeleton, np.full((n, k, 2), np.nan), points=points, **columns)


def with_parents(
    parts: Mapping[str, tuple[int, Poses]], bodies: Mapping[str, tuple[int, Poses]], members: Mapping[str, np.ndarray],
    ids: np.ndarray,
) -> dict[str, tuple[int, Poses]]:  # fmt: skip
    """Let hands and faces say in all cameras alike whose they are.

    Args:
        parts: Camera -> when, and the parts, with ``parents`` that are ids of this camera's ``bodies``.
        bodies: Camera -> when, and the bodies, from which ...
        members: ... :attr:`Fuser.members` and ...
        ids: ... (P,) the ids of the fused bodies came, none 0.

    Returns:
        The parts with those ids as ``parents``, 0 where the body is none of the fused ones; without those of cameras
        that are left out.
    """
    told = {}
    for name, (stamp_ns, poses) in parts.items():
        # Who is not believed about bodies is not about hands; where nobody is, nobody is seen.
        if members and name not in members:
            continue
        rows = members.get(name, np.full(len(ids), -1))
        own = bodies[name][1].ids[rows[rows >= 0]] if name in bodies else np.zeros(0, np.int64)
        world = dict(zip(own.tolist(), np.asarray(ids)[rows >= 0].tolist(), strict=True)) | {0: 0}
        told[name] = (stamp_ns, poses.replace(parents=[world.get(parent, 0) for parent in poses.parents.tolist()]))
    return told


def _crowded(points: np.ndarray) -> np.ndarray:
    """Return (N,) whether the middle of another subject before it, of points (N, K, 3), is inside of a subject."""
    known = np.isfinite(points).all(axis=2)
    with np.errstate(invalid="ignore"):
        middle = np.where(known[..., None], points, 0).sum(axis=1) / known.sum(axis=1)[:, None]
        size = np.sqrt(np.nansum(np.square(points - middle[:, None]).sum(axis=2), axis=1) / known.sum(axis=1))
        near = np.linalg.norm(middle[:, None] - middle, axis=2) < _INSIDE * size[:, None]
    return np.asarray((near & np.tri(len(points), k=-1, dtype=bool)).any(axis=1))


def _moved(camera: PosedCamera, poses: Poses, known: Known, seen_ns: int, stamp_ns: int) -> np.ndarray:
    """Return the pixels (N, K, 2) that a camera should see at another moment than it did."""
    pixels = poses.keypoints.astype(np.float64)
    if seen_ns == stamp_ns or not len(poses):
        return pixels
    shift = camera.project(known.at(stamp_ns)) - camera.project(known.at(seen_ns))
    return np.asarray(pixels + np.nan_to_num(shift))


def _described(poses: Poses, members: Mapping[str, np.ndarray], views: Mapping[str, tuple[int, Poses]]) -> Poses:
    """Return the subjects as most cameras call them, as sure as the surest of them."""
    labels: list[Counter[str]] = [Counter() for _ in range(len(poses))]
    sure = np.zeros(len(poses))
    for name, rows in members.items():
        seen = views[name][1]
        for i in np.flatnonzero(rows >= 0).tolist():
            labels[i][str(seen.labels[rows[i]])] += 1
            sure[i] = max(sure[i], seen.subject_scores[rows[i]])
    return poses.replace(labels=[c.most_common(1)[0][0] if c else "" for c in labels], subject_scores=sure)
