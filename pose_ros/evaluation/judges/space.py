# SPDX-License-Identifier: Apache-2.0
"""Errors of keypoints in space around the root: MPJPE and what is aligned before it, MPJVE, 3DPCK."""

from __future__ import annotations

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Sample
from pose_ros.errors import ConfigError
from pose_ros.evaluation.case import Case, Judged, Number
from pose_ros.evaluation.judges.base import Judge
from pose_ros.evaluation.protocol import Protocol
from pose_ros.metrics.distance import distances, mean_error
from pose_ros.metrics.mpjpe import PCK3D, PCK3D_CURVE, mpjpe, n_mpjpe, procrustes

_MM = 1e3


class Space(Judge):
    """MPJPE, P-MPJPE, N-MPJPE; MPJVE where labels are of successive moments; 3DPCK and its AUC where the set has it."""

    def check(self, protocol: Protocol, name: str, sample: Sample) -> None:
        """See :class:`Judge`."""
        if sample.points is None:
            raise ConfigError("--data", f"{name} is judged in metres, and the labels of {sample.where} have none")

    def __call__(self, case: Case) -> Judged:
        """Count."""
        skeleton, (truth, found) = case.truth.skeleton, self._points(case)
        truth, found = (_centred(points, skeleton, case) for points in (truth, found))
        at_root = distances(found, truth)
        each = mean_error(at_root, axis=1) * _MM
        aligned = mean_error(distances(procrustes(found, truth), truth), axis=1)
        numbers = [
            Number("MPJPE", "mm", 1, case.mean(each)),
            Number("P-MPJPE", "mm", 1, case.mean(aligned * _MM)),
            Number("N-MPJPE", "mm", 1, case.mean(n_mpjpe(found, truth) * _MM)),
        ]
        before, after = _successive(case)
        if len(before):
            moved = np.full(len(each), np.nan)
            moved[after] = mpjpe(found[after] - found[before], truth[after] - truth[before]) * _MM
            numbers.append(Number("MPJVE", "mm/frame", 2, case.mean(moved)))
        if "3DPCK" in case.truth.card.metrics:
            near = np.where(np.isnan(at_root), np.nan, at_root < PCK3D)
            # The mean over thresholds is that of each keypoint's share of them.
            under = (at_root[..., None] < PCK3D_CURVE).mean(axis=2)
            numbers += [Number("3DPCK", "", 3, case.mean(near)),
                        Number("AUC", "", 3, case.mean(np.where(np.isnan(at_root), np.nan, under)))]
        errors = np.nan_to_num(each, nan=np.inf)
        return Judged(numbers, mean_error(at_root, axis=0) * _MM, "error, mm", errors, "MPJPE, mm")

    def _points(self, case: Case) -> tuple[np.ndarray, np.ndarray]:
        """Return what is labelled and what was found, (N, K, 3) each, metres."""
        assert case.poses.local_points is not None
        found = case.found(case.poses.local_points)
        if len(found) and not np.isfinite(found).any() and (case.matches >= 0).any():
            raise ConfigError("--model", f"{case.truth.name} is judged in metres, which the model does not say; take "
                                         "one that does, or with boxes of a detector add --set lifting.model=NAME")
        truth = case.labels(lambda sample: metres(sample, len(case.truth.skeleton)))
        return np.where(case.shared[:, None], truth, np.nan), found


def metres(sample: Sample, k: int) -> np.ndarray:
    """Return the labels (N, K, 3) of a sample that may have nobody."""
    return np.empty((0, k, 3)) if sample.points is None else sample.points


def _centred(points: np.ndarray, skeleton: Skeleton, case: Case) -> np.ndarray:
    """Return points around the root; around the middle of the hips where the model does not know the root itself.

    Raises:
        ConfigError: It knows neither.
    """
    middle = [skeleton.root]
    if skeleton.joints[skeleton.root] not in case.own.joints:  # and be it made of others: labels do not make it so
        middle = [i for i, joint in enumerate(skeleton.joints) if joint in ("left_hip", "right_hip") and case.shared[i]]
        if len(middle) != 2:
            raise ConfigError("--model", f"the model knows neither '{skeleton.keypoints[skeleton.root]}', around which "
                                         f"poses of {case.truth.name} are compared, nor both hips")
    points = np.asarray(points, np.float64)
    return points - points[:, middle].mean(axis=1, keepdims=True)


def _successive(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return which judged subjects (P,) are followed by which (P,), the same ones at the next moment of a video."""
    places = {}
    for n, (i, row) in enumerate(case.subjects):
        sample = case.samples[i]
        if sample.sequence:
            track = int(row) if sample.tracks is None else int(sample.tracks[row])
            places[(sample.sequence, sample.view, track), sample.moment] = n
    pairs = [(n, places[who, moment + 1]) for (who, moment), n in places.items() if (who, moment + 1) in places]
    before, after = np.array(pairs, np.int64).reshape(-1, 2).T
    return before, after
