# SPDX-License-Identifier: Apache-2.0
"""Fuse: the subjects that several cameras see, in the world, over time. Time comes from stamps.

Each call finds who is who, moves what cameras saw at other moments to the moment asked for, triangulates, and follows
keypoints that but one camera sees along its rays. What it remembers of subjects helps to find them again; lasting ids
are the tracker's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.multiview.associate import AssociateOptions
from pose_ros.multiview.clocks import Late
from pose_ros.multiview.fuser_options import FuserOptions, Rules
from pose_ros.multiview.gather import Moment, gathered, world_poses
from pose_ros.multiview.health import CameraHealth
from pose_ros.multiview.locate import located
from pose_ros.multiview.memory import Known
from pose_ros.multiview.rig import Rig
from pose_ros.multiview.triangulate import TriangulateOptions, triangulate
from pose_ros.multiview.watch import Watch

__all__ = ["Fuser", "FuserOptions"]

#: Somebody is new if more than this part of the keypoints that two cameras saw fit together.
_ENOUGH = 0.4
#: Who is nearer to another one than this part of its own size (root mean square from the middle) is the same one.
_INSIDE = 0.5


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
        self._watch = Watch()
        self._known: Known | None = None

    @property
    def health(self) -> Mapping[str, CameraHealth]:
        """How well each camera agrees with the others."""
        return self._watch.judge.health

    @property
    def late(self) -> Mapping[str, Late]:
        """Whose stamps are how late beside the others', where enough moved to tell."""
        return self._watch.clocks.late()

    def reset(self) -> None:
        """Forget everybody, and what was thought of the cameras."""
        self._known, self.members, self._watch = None, {}, Watch()

    def __call__(self, rig: Rig, views: Mapping[str, tuple[int, Poses]], stamp_ns: int) -> Poses:
        """Fuse what cameras saw.

        Args:
            rig: All cameras.
            views: Camera -> when, nanoseconds, and what it saw, in pixels as they came; cameras that sent nothing may
                be left out. ``parents`` that are not 0 name the same subject in all of them
                (:func:`pose_ros.multiview.parents.with_parents`).
            stamp_ns: The moment to say where everybody is; before that of the last call: everything starts over.

        Returns:
            Subjects in the frame of the rig: ``points``, ``covariances``, ``views``, ``reprojection_errors``,
            ``sources`` and ``scores`` of keypoints; no pixels and no ids.

        Raises:
            UnknownNameError: A view is of a camera that is not in the rig.
            ConfigError: There is no view at all, or they have different skeletons.
        """
        names = [camera.name for camera in rig]
        for name in views:
            if name not in names:
                raise UnknownNameError("camera", name, names)
        if len({poses.skeleton.name for _, poses in views.values()}) != 1:
            raise ConfigError("views", "expected views of one skeleton, and one view at least")
        if self._known is not None and stamp_ns < self._known.stamp_ns:
            self.reset()
        moment, rules = Moment(rig, views, stamp_ns), Rules(self.options, self.association, self.triangulation)
        limit = self.options.max_offset * 1e9
        used = [name for name in names if name in views and abs(views[name][0] - stamp_ns) <= limit]
        trusted = self._watch.judge.trusted(used)
        known = self._known or Known.nobody(stamp_ns, 0, moment.skeleton)
        known = known.select(stamp_ns - known.measured_ns.max(axis=1, initial=0) <= self.options.max_lost * 1e9)
        if not trusted:
            self.members = {}
            return world_poses(moment.skeleton, np.empty((0, len(moment.skeleton), 3)))
        sights, known = gathered(moment, trusted, known, rules)
        noisy = sights._replace(sigmas=sights.sigmas * self._watch.judge.noise)
        found = triangulate(rig.of(trusted), sights.keypoints, sights.scores, self.triangulation, noisy.sigmas)
        poses, known = located(moment, noisy, found, known, rules)

        # Of somebody new, enough must fit together, and nobody may be there already: two cameras that exchange left and
        # right see a second person in the same place.
        new = known.times <= 1
        tried = ((sights.scores > 0).sum(axis=0) >= 2).sum(axis=1)
        there = ~new | ((found.views > 0).sum(axis=1) > _ENOUGH * tried)
        there &= ~(new & _crowded(np.asarray(poses.points)))
        self._known = known.select(there)
        self._watch(moment, used, sights, found, poses, known, rules)
        seen = there & (poses.sources > 0).any(axis=1)
        self.members = {name: sights.rows[v, seen] for v, name in enumerate(trusted)}
        return _described(poses.select(seen), self.members, views)


def _crowded(points: np.ndarray) -> np.ndarray:
    """Return (N,) whether the middle of another subject before it, of points (N, K, 3), is inside of a subject."""
    known = np.isfinite(points).all(axis=2)
    with np.errstate(invalid="ignore"):
        middle = np.where(known[..., None], points, 0).sum(axis=1) / known.sum(axis=1)[:, None]
        size = np.sqrt(np.nansum(np.square(points - middle[:, None]).sum(axis=2), axis=1) / known.sum(axis=1))
        near = np.linalg.norm(middle[:, None] - middle, axis=2) < _INSIDE * size[:, None]
    return np.asarray((near & np.tri(len(points), k=-1, dtype=bool)).any(axis=1))


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
