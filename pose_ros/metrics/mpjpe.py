# SPDX-License-Identifier: Apache-2.0
"""Errors of keypoints in space: MPJPE and what is aligned before it, MPJVE, 3DPCK, lengths of bones.

Protocols as in Human3.6M (Ionescu et al., TPAMI 2014) and VideoPose3D (Pavllo et al., CVPR 2019); 3DPCK as in
MPI-INF-3DHP (Mehta et al., 3DV 2017). Units are those of the input: metres in this package, millimetres in tables.
"""

from __future__ import annotations

import numpy as np

from pose_ros.metrics.distance import distances, mean_error
from pose_ros.metrics.pck import area_under_curve, curve

#: Metres: threshold of 3DPCK, and the thresholds of the area under its curve.
PCK3D = 0.15
PCK3D_CURVE = np.linspace(0, 0.15, 31)


def mpjpe(found: np.ndarray, truth: np.ndarray, root: int | None = None) -> np.ndarray:
    """Return the mean per joint position error of each pose (protocol 1).

    Args:
        found: (..., K, 3); NaN where missing.
        truth: (..., K, 3), in the same unit and frame; NaN where not labelled.
        root: Joint that is moved onto the labelled one first; left out for poses that are compared where they are.

    Returns:
        (...), over the joints that both have; NaN where there is none.
    """
    return mean_error(distances(rooted(found, root), rooted(truth, root)), axis=-1)


def p_mpjpe(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the same after the rotation, translation and scale that fit best (protocol 2, PA-MPJPE)."""
    return mpjpe(procrustes(found, truth), truth)


def n_mpjpe(found: np.ndarray, truth: np.ndarray, root: int | None = None) -> np.ndarray:
    """Return the same after the scale that fits best (Rhodin et al., CVPR 2018)."""
    found, truth = rooted(found, root), rooted(truth, root)
    both = np.isfinite(found).all(axis=-1, keepdims=True) & np.isfinite(truth).all(axis=-1, keepdims=True)
    x, y = np.where(both, found, 0), np.where(both, truth, 0)
    with np.errstate(invalid="ignore"):
        scale = (x * y).sum(axis=(-2, -1)) / np.square(x).sum(axis=(-2, -1))
    return mpjpe(scale[..., None, None] * found, truth)


def mpjve(found: np.ndarray, truth: np.ndarray, root: int | None = None) -> np.ndarray:
    """Return the mean per joint velocity error: MPJPE of the differences of successive poses, (T, K, 3) -> (T - 1,).

    In the unit of the input for each frame; times the frame rate it is a speed.
    """
    return mpjpe(np.diff(rooted(found, root), axis=0), np.diff(rooted(truth, root), axis=0))


def pck3d(
    found: np.ndarray, truth: np.ndarray, root: int | None = None, threshold: float = PCK3D
) -> float:
    """Return the share of joints, (N, K, 3) each, that are off by less than the threshold (3DPCK)."""
    away = distances(rooted(found, root), rooted(truth, root))
    return float(curve(away, 1.0, np.array([threshold])).pooled[0])


def auc3d(
    found: np.ndarray, truth: np.ndarray, root: int | None = None, thresholds: np.ndarray = PCK3D_CURVE
) -> float:
    """Return the mean of 3DPCK over thresholds, 0 .. 150 mm in steps of 5 mm when left out."""
    return area_under_curve(curve(distances(rooted(found, root), rooted(truth, root)), 1.0, thresholds).pooled)


def bone_length_error(found: np.ndarray, truth: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Return by how much bones, (B, 2) joints, are too long or too short on average: (N, K, 3) each -> (B,)."""
    off = np.abs(bone_lengths(found, bones) - bone_lengths(truth, bones))
    return mean_error(off, axis=0)


def bone_length_spread(found: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the length of each bone over N poses of one subject, (B,): 0 for a real one."""
    lengths = bone_lengths(found, bones)
    return np.sqrt(mean_error(np.square(lengths - mean_error(lengths, axis=0)), axis=0))


def bone_lengths(points: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Return the lengths of bones, (..., K, 3) and (B, 2) -> (..., B)."""
    bones = np.asarray(bones).reshape(-1, 2)
    return np.linalg.norm(points[..., bones[:, 0], :] - points[..., bones[:, 1], :], axis=-1)


def rooted(points: np.ndarray, root: int | None) -> np.ndarray:
    """Return points (..., K, 3) around one of them; as they are where ``root`` is None."""
    points = np.asarray(points, np.float64)
    return points if root is None else points - points[..., root : root + 1, :]


def procrustes(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return poses after the similarity that fits them best to the labels, without reflection.

    Umeyama, TPAMI 1991. Joints that either lacks do not pull.

    Args:
        found: (..., K, 3); NaN where missing.
        truth: (..., K, 3); NaN where not labelled.

    Returns:
        (..., K, 3) in the frame of the labels. NaN for poses with fewer than three joints to fit.
    """
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    both = np.isfinite(found).all(axis=-1, keepdims=True) & np.isfinite(truth).all(axis=-1, keepdims=True)
    count = both.sum(axis=-2, keepdims=True)
    some = np.maximum(count, 1)
    middle, target = (np.where(both, p, 0).sum(axis=-2, keepdims=True) / some for p in (found, truth))
    x, y = np.where(both, found - middle, 0), np.where(both, truth - target, 0)
    u, s, vt = np.linalg.svd(np.swapaxes(x, -1, -2) @ y)
    sign = np.ones_like(s)
    sign[..., -1] = np.where(np.linalg.det(u @ vt) < 0, -1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = (s * sign).sum(axis=-1) / np.square(x).sum(axis=(-2, -1))
    scale = np.where(count[..., 0, 0] >= 3, scale, np.nan)
    return scale[..., None, None] * ((found - middle) @ (u * sign[..., None, :]) @ vt) + target
