# SPDX-License-Identifier: Apache-2.0
"""UltraFace: what its two outputs mean (Linzaer, Ultra-Light-Fast-Generic-Face-Detector-1MB)."""

from __future__ import annotations

import numpy as np

from pose_ros.errors import ShapeError


def decode(
    scores: np.ndarray, boxes: np.ndarray, size_wh: tuple[int, int], min_score: float
) -> tuple[np.ndarray, np.ndarray]:
    """Decode the outputs for one image, without suppression of doubles.

    Args:
        scores: (A, 2): probability of background, of a face.
        boxes: (A, 4): xyxy in [0, 1] of the input, from edge to edge.
        size_wh: Size of the network's input.
        min_score: Lowest probability of a face.

    Returns:
        boxes (B, 4): xyxy in input pixels (the centre of the first pixel is (0, 0)), and scores (B,). What is not
        finite or has no area is left out.

    Raises:
        ShapeError: The outputs do not fit one another.
    """
    if scores.ndim != 2 or scores.shape[1] != 2 or boxes.shape != (len(scores), 4):
        raise ShapeError("scores and boxes", "(A, 2) and (A, 4)", f"{scores.shape} and {boxes.shape}")
    good = (scores[:, 1] >= min_score) & np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes[good] * np.tile(size_wh, 2).astype(np.float32) - 0.5, scores[good, 1]
