# SPDX-License-Identifier: Apache-2.0
"""Locate: all subjects in the world, where several cameras see a keypoint, where one does, and what is remembered."""

from __future__ import annotations

import numpy as np

from pose_ros.core.poses import Poses, Source
from pose_ros.multiview.alone import along_rays
from pose_ros.multiview.fuser_options import Rules
from pose_ros.multiview.gather import Gathered, Moment, world_poses
from pose_ros.multiview.memory import VELOCITY_S, Known
from pose_ros.multiview.one_view import by_limbs
from pose_ros.multiview.triangulate import Triangulation, triangulate

#: Who was measured less often may have been a mistake, and is not followed by one camera.
_OFTEN = 3


def located(moment: Moment, sights: Gathered, found: Triangulation, known: Known, rules: Rules) -> tuple[Poses, Known]:
    """Return all subjects in the world, and what to remember of them; ``found`` is what several cameras agree on."""
    measured, errors = found.views > 0, found.errors.copy()
    points, covariances, used = found.points.copy(), found.covariances.copy(), found.used.copy()
    age = (moment.stamp_ns - known.measured_ns) * 1e-9
    alone = ~measured & (sights.scores > 0).any(axis=0) & (known.measured_ns > 0) & (age <= rules.fuser.max_lost)
    alone &= known.times[:, None] >= _OFTEN
    if alone.any():
        rig, keypoints, scores = moment.rig.of(sights.names), sights.keypoints[:, alone], sights.scores[:, alone]
        sigmas = np.broadcast_to(sights.sigmas, sights.scores.shape)[:, alone]
        spread = np.square(rules.fuser.speed * age[alone])[:, None, None] * np.eye(3)
        # The velocity is made of points with the same noise.
        older = np.square(1 + age[alone] / VELOCITY_S)[:, None, None]
        points[alone], covariances[alone], fit = along_rays(
            rig, keypoints, scores, sigmas, known.at(moment.stamp_ns)[alone], known.covariances[alone] * older + spread,
            rules.triangulation,
        )  # fmt: skip
        # Where cameras contradict one another, those are right that see it where it should be.
        told = triangulate(
            rig, keypoints[:, None], np.where(fit, scores, 0)[:, None], rules.triangulation, sigmas[:, None]
        )
        which = np.flatnonzero(told.views[0] > 0)
        place = tuple(index[which] for index in np.nonzero(alone))
        points[place], covariances[place] = told.points[0, which], told.covariances[0, which]
        errors[place], measured[place] = told.errors[0, which], True
        fit[:, which] = told.used[:, 0, which]
        used[:, alone] = fit
        points, covariances = by_limbs(
            moment.skeleton, points, covariances, alone & ~measured, age, rules.fuser.speed, known.distances(),
            known.variances,
        )  # fmt: skip
    views = used.sum(axis=0)
    scores = np.where(used, sights.scores, 0).sum(axis=0) / np.fmax(views, 1)
    poses = world_poses(
        moment.skeleton, points, scores=scores, covariances=covariances, views=views, reprojection_errors=errors,
        sources=np.where(measured, Source.MEASURED, np.where(views > 0, Source.INFERRED, Source.MISSING)),
        sides=known.sides, parents=known.parents,
    )  # fmt: skip
    return poses, known.moved_on(moment.stamp_ns, points, covariances, measured, moment.skeleton)
