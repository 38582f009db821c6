# SPDX-License-Identifier: Apache-2.0
"""RTMO: candidates -> subjects (Lu et al., CVPR 2024)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pose_ros.core.regions import nms
from pose_ros.errors import ShapeError


class Subjects(NamedTuple):
    """Subjects of one image, best first, in input pixels with the centre of the first one at (0, 0)."""

    #: (M, 4) xyxy.
    boxes: np.ndarray
    #: (M,).
    scores: np.ndarray
    #: (M, K, 2).
    keypoints: np.ndarray
    #: (M, K).
    visibilities: np.ndarray


def decode(
    boxes: np.ndarray,
    scores: np.ndarray,
    keypoints: np.ndarray,
    visibilities: np.ndarray,
    *,
    min_score: float,
    max_iou: float,
) -> Subjects:
    """Leave out what is doubtful, no finite box, or a double of a better candidate.

    Args:
        boxes: (S, 4) xyxy.
        scores: (S,).
        keypoints: (S, K, 2).
        visibilities: (S, K).
        min_score: Lowest score.
        max_iou: Candidates whose boxes overlap that of a better one by more than this are doubles.

    Raises:
        ShapeError: The arrays do not fit one another.
    """
    s, k = keypoints.shape[:2] if keypoints.ndim == 3 else (-1, -1)
    for name, array, shape in (("boxes", boxes, (s, 4)), ("scores", scores, (s,)),
                               ("keypoints", keypoints, (s, k, 2)), ("visibilities", visibilities, (s, k))):
        if array.shape != shape:
            raise ShapeError(name, f"{shape} beside keypoints (S, K, 2)", array.shape)
    # A network that fills up its rows gives them no score.
    rows = np.flatnonzero((scores >= min_score) & (scores > 0) & np.isfinite(boxes).all(axis=1))
    rows = rows[nms(boxes[rows], scores[rows], max_iou)]
    return Subjects(boxes[rows], scores[rows], keypoints[rows], visibilities[rows])
