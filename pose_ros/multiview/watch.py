# SPDX-License-Identifier: Apache-2.0
"""Watch: each camera beside what those that are trusted agree on without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.multiview.associate import associate
from pose_ros.multiview.clocks import Clocks
from pose_ros.multiview.deviations import leave_one_out
from pose_ros.multiview.fuser_options import Rules
from pose_ros.multiview.gather import Gathered, Moment, moved, noise_px
from pose_ros.multiview.health import Judge
from pose_ros.multiview.memory import Known
from pose_ros.multiview.triangulate import Triangulation

#: By about so many keypoints of each subject cameras are judged.
_JUDGED = 17


class Watch:
    """Who disagrees with the others, and whose stamps are late."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.judge, self.clocks = Judge(), Clocks()

    def __call__(
        self, moment: Moment, used: Sequence[str], sights: Gathered, found: Triangulation, poses: Poses, known: Known,
        rules: Rules,
    ) -> None:  # fmt: skip
        """Compare all cameras that are used with the trusted ones, of which ``sights`` are.

        Args:
            moment: What they saw.
            used: Names of the cameras.
            sights: What the trusted ones saw of each subject.
            found: Where these agree that keypoints are.
            poses: All subjects, in the world.
            known: What is remembered of them.
            rules: When a camera disagrees.
        """
        rig, views, stamp_ns, trusted = moment.rig, moment.views, moment.stamp_ns, sights.names
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
            rows[i] = associate(rig.of([name]), [mine], poses, rules.association)[: len(poses), 0]
            here = np.flatnonzero(rows[i] >= 0)
            mine = mine.select(rows[i, here])
            pixels[i, here] = moved(rig.of([name]).cameras[0], mine, known.select(here), seen_ns, stamp_ns)[:, part]
            scores[i, here], sigmas[i, here] = mine.scores[:, part], noise_px(mine, rules.fuser.noise)[:, None]
        # Where too few agree, all speak against all.
        all_ = np.array([name in trusted for name in used])[:, None, None] & (scores > 0)
        agreed = np.where(agreed.sum(axis=0) >= 2, agreed, all_)
        flat = (len(used), -1)
        deviations = leave_one_out(
            rig.of(used), pixels.reshape(*flat, 2), scores.reshape(flat), sigmas.reshape(flat), agreed.reshape(flat),
            rules.triangulation.min_score,
        )  # fmt: skip
        for i, name in enumerate(used):
            # Subjects that it should see, and others that it sees where nobody is.
            camera = rig.of([name]).cameras[0]
            there = camera.project(found.points[:, part])
            inside = ((there >= 0) & (there < camera.camera.size_wh)).all(axis=2).sum(axis=1)
            missed = np.sort(inside[(rows[i] < 0) & (inside > 0)])[::-1]
            elsewhere = int(missed[: len(views[name][1]) - (rows[i] >= 0).sum()].sum())
            where = known.points[:, part], known.velocities[:, part]
            self.clocks.count(camera, views[name][0], pixels[i], sigmas[i], *where)
            own, others, off = (column[i][np.isfinite(column[i])] for column in deviations)
            self.judge.count(name, views[name][0], own, others, off, elsewhere)
        limit = rules.triangulation.limit**2 / 2
        self.judge.decide(rules.fuser.max_misfit, limit, rules.fuser.leave_out)
