# SPDX-License-Identifier: Apache-2.0
"""Deviations: how far what each camera saw is from what the others did (leave-one-out)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_ros.multiview.rig import Rig
from pose_ros.multiview.sights import Sights, nearness, solve


class Deviations(NamedTuple):
    """How far what each camera saw is from what the others did, without it; NaN where fewer than two others did."""

    #: (V, M): chi-square of the camera's own deviation, as a multiple of the median that noise alone would make.
    own: np.ndarray
    #: (V, M): the same of the others among themselves.
    others: np.ndarray
    #: (V, M), pixels.
    pixels: np.ndarray


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def leave_one_out(
    rig: Rig, keypoints: np.ndarray, scores: np.ndarray, sigmas: np.ndarray, used: np.ndarray, min_score: float = 0.1
) -> Deviations:
    """Compare every camera with points that are made without it.

    The chi-square that a sight adds to those of the others is that of its distance from their point, with the
    uncertainty of that point. Of two cameras both deviate by what they disagree, and ``others`` is 0.

    Args:
        rig: V cameras.
        keypoints: (V, M, 2) pixels; NaN where not seen.
        scores: (V, M) in [0, 1].
        sigmas: (V, M) standard deviation of a keypoint with score 1, pixels.
        used: (V, M) bool: the sights of which points are made; all others are compared with these.
        min_score: Keypoints with a lower score are not used.
    """
    sights = Sights.make(rig, keypoints, scores, sigmas, min_score)
    each, alone = np.arange(len(used)), np.eye(len(used), dtype=bool)[:, :, None]
    made = sights.weights * used
    near = nearness(sights.depth(solve(sights.sum(made))))
    # (2 V, V, M): the weights of all sights in the point without each camera, then in the one with it.
    chosen = np.concatenate([made * ~alone, np.where(alone, sights.weights, made)])
    x = solve(np.einsum("cvm,pvm->cpm", sights.terms(1 / near), chosen))
    squares, _ = sights.residuals(x)
    weights = chosen.transpose(1, 0, 2)
    without, whole = np.split(np.where(weights > 0, squares * weights, 0).sum(axis=0), 2)
    count = (made * ~alone > 0).sum(axis=1)
    known = (sights.weights > 0) & (count >= 2)
    own, others = np.fmax(whole - without, 0) / _median(2), without / _median(2 * count - 3)
    pixels = np.sqrt(squares[each, each])
    if len(used) == 2:
        pair = (made > 0) & (count == 1)
        own[pair], others[pair] = (whole / _median(1))[pair], 0
        pixels[pair] = np.sqrt(squares[each, len(each) + each])[pair]
        known |= pair
    return Deviations(*(np.where(known, part, np.nan) for part in (own, others, pixels)))


def _median(freedom: np.ndarray | int) -> np.ndarray:
    """Return the median of chi-square (Wilson and Hilferty 1931)."""
    freedom = np.fmax(freedom, 1)
    return np.asarray(freedom * (1 - 2 / (9 * freedom)) ** 3)
