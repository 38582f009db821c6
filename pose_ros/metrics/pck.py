# SPDX-License-Identifier: Apache-2.0
"""Shares of correct keypoints: PCK and PCKh, PDJ, PCP, and the area under the curve.

PCK: Yang and Ramanan, TPAMI 2013. PCKh: Andriluka et al., CVPR 2014 (MPII). PDJ: Sapp and Taskar, CVPR 2013. PCP:
Ferrari et al., CVPR 2008. The field does not agree whether a keypoint exactly at the threshold is correct, so every
function is told: ``"<"`` (mmpose) or ``"<="`` (MPII's own and HRNet's evaluation, FreiHAND).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError

Rule = Literal["<", "<="]
#: MPII's head size: this share of the diagonal of the head's box (``SC_BIAS``).
HEAD_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Correct:
    """How many keypoints are correct; those of several data sets or processes add up."""

    #: (..., K) how many are correct; before K, one entry for each threshold of a curve.
    correct: np.ndarray
    #: (K,) how many are labelled.
    labelled: np.ndarray

    @property
    def per_keypoint(self) -> np.ndarray:
        """Share of each keypoint, (..., K); NaN where none is labelled."""
        total = np.broadcast_to(self.labelled, self.correct.shape)
        return np.divide(self.correct, total, out=np.full(self.correct.shape, np.nan), where=total > 0)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the shares of keypoints, (...): each keypoint counts the same (mmpose)."""
        known = self.labelled > 0
        return self.per_keypoint[..., known].mean(axis=-1) if known.any() else self.pooled

    @property
    def pooled(self) -> np.ndarray:
        """Share among all keypoints, (...): each label counts the same (MPII)."""
        total = self.labelled.sum()
        return np.asarray(self.correct.sum(axis=-1) / total if total else np.full(self.correct.shape[:-1], np.nan))

    def of(self, keypoints: Sequence[int]) -> Correct:
        """Return the same of some keypoints only: MPII's mean leaves out pelvis and thorax."""
        return Correct(self.correct[..., list(keypoints)], self.labelled[list(keypoints)])

    def __add__(self, other: Correct) -> Correct:
        return Correct(self.correct + other.correct, self.labelled + other.labelled)


def pck(away: np.ndarray, lengths: np.ndarray | float, threshold: float, rule: Rule = "<") -> Correct:
    """Return which keypoints are nearer than a share of a length of the subject.

    Args:
        away: (N, K), as :func:`pose_ros.metrics.distance.distances` returns them.
        lengths: (N,) in the same unit, such as :func:`longer_side`; 1 for thresholds in pixels or metres. Subjects
            whose length is NaN or 0 are not judged.
        threshold: Share of the length.
        rule: Whether those at the threshold are correct.
    """
    found = curve(away, lengths, np.array([threshold]), rule)
    return Correct(found.correct[0], found.labelled)


def pckh(away: np.ndarray, heads: np.ndarray, threshold: float = 0.5, rule: Rule = "<=") -> Correct:
    """Return PCK by head sizes (N,) pixels, see :func:`head_sizes`; MPII takes "<=", mmpose "<"."""
    return pck(away, heads, threshold, rule)


def pdj(away: np.ndarray, torsos: np.ndarray, thresholds: np.ndarray, rule: Rule = "<=") -> Correct:
    """Return the shares of detected joints by :func:`torso_lengths` (N,), for T thresholds, usually 0 .. 0.5."""
    return curve(away, torsos, thresholds, rule)


def curve(away: np.ndarray, lengths: np.ndarray | float, thresholds: np.ndarray, rule: Rule = "<") -> Correct:
    """Return PCK at T ascending thresholds, ``correct`` (T, K); see :func:`pck` for the arguments."""
    if away.ndim != 2:
        raise ShapeError("away", "(N, K)", away.shape)
    if rule not in ("<", "<="):
        raise ConfigError("rule", f"expected '<' or '<=', got {rule!r}")
    lengths = np.broadcast_to(np.asarray(lengths, np.float64), len(away))[:, None]
    relative = np.divide(away, lengths, out=np.full(away.shape, np.nan), where=lengths > 0)
    labelled = ~np.isnan(relative)
    k = away.shape[1]
    # The first threshold at which each keypoint is correct; then count up.
    first = np.searchsorted(thresholds, relative[labelled], side="right" if rule == "<" else "left")
    column = np.broadcast_to(np.arange(k), away.shape)[labelled]
    starts = np.bincount(first * k + column, minlength=(len(thresholds) + 1) * k).reshape(-1, k)
    return Correct(np.cumsum(starts[:-1], axis=0), labelled.sum(axis=0))


def area_under_curve(shares: np.ndarray, thresholds: np.ndarray | None = None) -> float:
    """Return the area under a curve of PCK, in [0, 1].

    Args:
        shares: (T,) such as ``curve(...).mean``.
        thresholds: (T,) for the trapezoidal rule (hands: FreiHAND and Zimmermann); the plain mean of the shares when
            left out (mmpose's ``AUC`` and MPI-INF-3DHP).
    """
    if thresholds is None:
        return float(np.mean(shares))
    steps = np.diff(thresholds)
    return float(((shares[1:] + shares[:-1]) / 2 * steps).sum() / steps.sum())


def pcp(
    found: np.ndarray, truth: np.ndarray, limbs: np.ndarray, fraction: float = 0.5,
    ends: Literal["both", "mean"] = "both",
) -> Correct:  # fmt: skip
    """Return the share of correct limbs (parts): ends within a fraction of the limb's length.

    Args:
        found: (N, K, D); NaN where missing.
        truth: (N, K, D); NaN where not labelled.
        limbs: (L, 2) keypoints.
        fraction: Of the labelled length.
        ends: ``both``: each end has to be within it (strict PCP); ``mean``: the mean of both (loose PCP, Buffy).

    Returns:
        Counts (L,) of limbs of which both ends are labelled.
    """
    right, labelled = limbs_right(found, truth, limbs, fraction, ends)
    return Correct(right.sum(axis=0), labelled.sum(axis=0))


def limbs_right(
    found: np.ndarray, truth: np.ndarray, limbs: np.ndarray, fraction: float = 0.5,
    ends: Literal["both", "mean"] = "both",
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return which limbs of each subject are correct, and which are labelled, (N, L) bool; see :func:`pcp`."""
    limbs = np.asarray(limbs).reshape(-1, 2)
    off = np.linalg.norm(found[:, limbs] - truth[:, limbs], axis=-1)
    length = np.linalg.norm(truth[:, limbs[:, 0]] - truth[:, limbs[:, 1]], axis=-1)
    error = off.max(axis=2) if ends == "both" else off.mean(axis=2)
    return error <= fraction * length, np.isfinite(length)


def head_sizes(boxes: np.ndarray) -> np.ndarray:
    """Return MPII's head sizes of head boxes, (N, 4) xyxy -> (N,)."""
    return HEAD_SHARE * np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1)


def longer_side(boxes: np.ndarray) -> np.ndarray:
    """Return the longer side of boxes, (N, 4) xyxy -> (N,): what PCK is relative to unless told otherwise."""
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def torso_lengths(truth: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return the distance of left shoulder and right hip, (N, K, D) -> (N,).

    Raises:
        ConfigError: The skeleton has no such joints.
    """
    joints = list(skeleton.joints)
    if not {"left_shoulder", "right_hip"} <= set(joints):
        raise ConfigError("skeleton", f"expected joints left_shoulder and right_hip, '{skeleton.name}' lacks them; "
                                      "give lengths of another kind")
    return np.linalg.norm(truth[:, joints.index("left_shoulder")] - truth[:, joints.index("right_hip")], axis=-1)
