# SPDX-License-Identifier: Apache-2.0
"""Several cameras at once: who is where in the room, each moment by itself.

Every picture is looked at alone; then views are associated and triangulated. Subjects stand at the first camera of a
moment, in whose frame they are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.datasets import Sample
from pose_ros.errors import ConfigError
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import Judge, Runner
from pose_ros.evaluation.judges.space import metres
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics import people3d
from pose_ros.metrics.distance import distances, mean_error
from pose_ros.metrics.pck import Correct, limbs_right
from pose_ros.multiview.fuse import Fuser
from pose_ros.multiview.rig import PosedCamera, Rig

if TYPE_CHECKING:
    from pose_ros.evaluation.job import Job

_MM = 1e3
#: Limbs of Shelf and Campus, by the joints of shelf14, as VoxelPose counts them; the torso, from the middle of the hips
#: (which is made and comes after the joints) to the bottom of the head, is the last one.
_LIMBS = (
    ("lower leg r", 0, 1), ("upper leg r", 1, 2), ("upper leg l", 3, 4), ("lower leg l", 4, 5), ("lower arm r", 6, 7),
    ("upper arm r", 7, 8), ("upper arm l", 9, 10), ("lower arm l", 10, 11), ("head", 12, 13), ("torso", 14, 12),
)  # fmt: skip
_HIPS = (2, 3)
#: Of Shelf and Campus the first three people are judged (Belagiannis et al., CVPR 2014).
_ACTORS = 3


class Views(Judge):
    """PCP in space of each actor where a set is judged by it, else 3D AP; MPJPE and recall within half a metre."""

    boxes = "detector"

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        if sample.points is None or sample.camera is None or sample.T_camera_rig is None or not sample.sequence:
            raise ConfigError("--data", f"the labels of {sample.where} lack metres or where their camera stands, by "
                                        "which several cameras are judged")

    def together(self, sample: Sample) -> Hashable | None:
        """Return the moment."""
        return (sample.sequence, sample.moment)

    def rows(self, protocol: Protocol, samples: Sequence[Sample]) -> list[np.ndarray]:
        """Return who has a place in the room, once for each moment."""
        _, first = np.unique(self.units(samples), return_index=True)
        rows = [np.empty(0, np.int64) for _ in samples]
        for i in first:
            sample = samples[i]
            assert sample.points is not None
            rows[i] = np.flatnonzero(np.isfinite(sample.points).all(axis=2).any(axis=1) & ~sample.ignore)
        return rows

    def runner(self, job: Job) -> Runner:
        """Return who fuses."""
        from pose_ros.evaluation.predict import Images

        return partial(fused, Images(job).look)

    def __call__(self, case: Case) -> Judged:
        """Count."""
        assert case.poses.local_points is not None
        truth = case.labels(lambda sample: metres(sample, len(case.truth.skeleton)))
        truth = np.where(case.shared[:, None], truth, np.nan)
        found = case.poses.local_points
        people = people3d.nearest(found, case.unit[case.estimates.image], truth, case.unit[case.subjects[:, 0]],
                                  case.poses.subject_scores)
        answers = np.full(truth.shape, np.nan)
        seen = people.answer >= 0
        answers[seen] = found[people.answer[seen]]
        matches = np.where(people.error < people3d.NEAR, people.answer, -1)
        each = np.where(people.error < people3d.NEAR, people.error, np.nan) * _MM
        numbers = [
            Number("MPJPE@500", "mm", 1, case.mean(each)),
            Number("recall@500", "", 3, case.mean((people.error < people3d.NEAR).astype(np.float64))),
        ]
        at = mean_error(np.where(np.isfinite(each)[:, None], distances(answers, truth), np.nan), axis=0) * _MM
        errors = np.nan_to_num(people.error * _MM, nan=np.inf)
        if "3D PCP" not in case.truth.card.metrics:
            aps = [Number(f"AP@{limit * _MM:g}", "", 3, partial(people.precision, limit))
                   for limit in people3d.LIMITS]
            numbers[1:1] = aps
            return Judged(numbers, at, "error, mm", errors, "nearest answer, mm", matches=matches)
        limbs = np.array([limb[1:] for limb in _LIMBS])
        correct, total = limbs_right(_with_hips(answers), _with_hips(truth), limbs, ends="mean")
        who = case.labels(lambda s: s.ids)
        actors = [(who == actor)[:, None] for actor in range(_ACTORS)]
        parts = [(case.by_unit(correct * mine), case.by_unit(total * mine)) for mine in actors]

        def actor(number: int, weights: np.ndarray) -> float:
            right, all_of_it = parts[number]
            return float(Correct((weights @ right), (weights @ all_of_it)).pooled)

        def average(weights: np.ndarray) -> float:
            return float(np.nanmean([actor(number, weights) for number in range(_ACTORS)]))

        pcps = [Number("PCP", "", 3, average),
                *(Number(f"actor {i + 1}", "", 3, partial(actor, i)) for i in range(_ACTORS))]
        limb = Correct(correct.sum(axis=0), total.sum(axis=0)).per_keypoint
        names = tuple(name for name, *_ in _LIMBS)
        return Judged([*pcps, *numbers], limb, "PCP", errors, "nearest answer, mm", names, "limbs", matches)


def fused(look: Callable[[Sample], tuple[Poses, np.ndarray | None]], samples: Sequence[Sample]) -> Estimates:
    """Return who is in the room by all pictures of a moment; they stand at the first one.

    Args:
        look: Says what is seen in a picture.
        samples: Of all cameras.
    """
    cameras, views = [], {}
    for sample in samples:
        assert sample.camera is not None
        assert sample.T_camera_rig is not None
        cameras.append(PosedCamera(sample.view, sample.camera, sample.T_camera_rig[:3, :3], sample.T_camera_rig[:3, 3]))
        views[sample.view] = 0, look(sample)[0]
    poses, first = Fuser()(Rig(cameras), views, 0), cameras[0]
    points = np.full((*poses.scores.shape, 3), np.nan) if poses.points is None else poses.points
    here = poses.replace(keypoints=first.project(points), local_points=points @ first.rotation.T + first.translation)
    nobody = Estimates.of(Poses.empty(poses.skeleton))
    return concatenate([Estimates.of(here), *[nobody] * (len(samples) - 1)])


def _with_hips(points: np.ndarray) -> np.ndarray:
    """Return points (N, K, 3) and after them the middle of the hips, (N, K + 1, 3)."""
    return np.concatenate([points, points[:, _HIPS].mean(axis=1, keepdims=True)], axis=1)
