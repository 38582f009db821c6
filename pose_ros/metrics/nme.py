# SPDX-License-Identifier: Apache-2.0
"""Normalised mean error of faces, as 300-W (Sagonas et al., 2013), WFLW (Wu et al., CVPR 2018) and AFLW define it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_ros.errors import UnknownNameError
from pose_ros.metrics.distance import mean_error

#: Largest error that is no failure.
FAILURE = {"300w": 0.08, "wflw": 0.10}


@dataclass(frozen=True)
class Eyes:
    """Keypoints of both eyes in the order of one skeleton."""

    #: Outer corners.
    corners: tuple[int, int]
    #: Pupils, or contours around whose means stand for them.
    pupils: tuple[tuple[int, ...], tuple[int, ...]]


#: Of the outer corners as mmpose has them (``DEFAULT_KEYPOINT_INDICES``). Pupils: 300-W takes the mean of six points.
EYES = {
    "face68": Eyes((36, 45), ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))),
    "wflw98": Eyes((60, 72), ((96,), (97,))),
    "cofw29": Eyes((8, 9), ((16,), (17,))),
    "lapa106": Eyes((66, 79), ((104,), (105,))),
}


def nme(away: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the normalised mean error of each face, as a fraction; the mean over faces is what papers print.

    Args:
        away: (N, K) pixels, as :func:`pose_ros.metrics.distance.distances` returns them.
        lengths: (N,) pixels: one of the functions below.

    Returns:
        (N,); NaN where no keypoint was found or the length is 0.
    """
    lengths = np.asarray(lengths, np.float64)
    return mean_error(away, axis=-1) / np.where(lengths > 0, lengths, np.nan)


def inter_ocular(truth: np.ndarray, skeleton: str) -> np.ndarray:
    """Return the distance of the outer corners of the eyes, (N, K, 2) -> (N,): 300-W, WFLW, LaPa.

    Raises:
        UnknownNameError: No eyes are known of that skeleton.
    """
    left, right = _eyes(skeleton).corners
    return np.linalg.norm(truth[:, left] - truth[:, right], axis=1)


def inter_pupil(truth: np.ndarray, skeleton: str) -> np.ndarray:
    """Return the distance of the pupils, (N, K, 2) -> (N,): papers on 300-W before the challenge.

    Raises:
        UnknownNameError: No eyes are known of that skeleton.
    """
    left, right = (truth[:, list(pupil)].mean(axis=1) for pupil in _eyes(skeleton).pupils)
    return np.linalg.norm(left - right, axis=1)


def box_size(boxes: np.ndarray) -> np.ndarray:
    """Return sqrt(width * height), (N, 4) xyxy -> (N,): FAN, LS3D-W, AFLW2000. mmpose takes ``longer_side`` instead."""
    return np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def box_diagonal(boxes: np.ndarray) -> np.ndarray:
    """Return the diagonal, (N, 4) xyxy -> (N,): AFLW in some papers."""
    return np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1)


def failure_rate(errors: np.ndarray, limit: float = FAILURE["wflw"]) -> float:
    """Return the share of faces (N,) with an error above ``limit``; a face that was not found is a failure."""
    return float(np.mean(~(np.asarray(errors) <= limit))) if len(errors) else float("nan")


def area_under_errors(errors: np.ndarray, limit: float = FAILURE["wflw"]) -> float:
    """Return the area under the cumulative distribution of errors (N,) up to ``limit``, in [0, 1].

    Exactly, where evaluation code of the field adds up steps of 0.0001. A face that was not found adds nothing.
    """
    if not len(errors):
        return float("nan")
    return float(np.mean(np.maximum(0.0, 1 - np.nan_to_num(np.asarray(errors, np.float64), nan=limit) / limit)))


def _eyes(skeleton: str) -> Eyes:
    if skeleton not in EYES:
        raise UnknownNameError("skeleton with eyes", skeleton, EYES, "Give other lengths, such as box_size().")
    return EYES[skeleton]
