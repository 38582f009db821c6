# SPDX-License-Identifier: Apache-2.0
"""MoveNet: what its rows mean, and where to look for a person in the next image.

The published rules of TensorFlow's MoveNet examples (Apache-2.0): ``determine_crop_region`` and the model card.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: A keypoint whose score is higher is believed.
_MIN_SCORE = 0.2
#: Half the side of the square to look in, in distances of the farthest shoulder or hip from the middle of the hips ...
_TORSO = 1.9
#: ... and in distances of the farthest keypoint.
_BODY = 1.2


def decode(rows: np.ndarray, size_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) in pixels of the input and scores (N, K); NaN and 0 where a row is not finite.

    Args:
        rows: (N, K, 3): y, x in [0, 1] of the input from edge to edge, score.
        size_wh: Size of the input.
    """
    finite = np.isfinite(rows).all(axis=2)
    points = rows[..., [1, 0]] * np.asarray(size_wh, np.float32) - 0.5
    return np.where(finite[..., None], points, np.nan), np.where(finite, rows[..., 2], 0)


def next_regions(
    keypoints: np.ndarray,
    scores: np.ndarray,
    image_wh: tuple[int, int],
    shoulders: Sequence[int],
    hips: Sequence[int],
) -> np.ndarray:
    """Return the squares (N, 5) in which to look for the same people in the next image; NaN where no torso was seen.

    Args:
        keypoints: (N, K, 2), pixels.
        scores: (N, K).
        image_wh: Size of the image. A square that would be larger is the one around the whole image.
        shoulders: The two keypoints.
        hips: The two keypoints.
    """
    sure = scores > _MIN_SCORE
    seen = sure[:, shoulders].any(axis=1, keepdims=True) & sure[:, hips].any(axis=1, keepdims=True)
    centre = keypoints[:, hips].mean(axis=1)
    away = np.abs(keypoints - centre[:, None])
    torso = away[:, [*shoulders, *hips]].max(axis=(1, 2), initial=0)
    body = np.where(sure[..., None], away, 0).max(axis=(1, 2), initial=0)
    size = np.asarray(image_wh, np.float32)
    half = np.maximum(_TORSO * torso, _BODY * body)
    half = np.minimum(half, np.maximum(centre, size - centre).max(axis=1, initial=0))
    largest = size.max() / 2
    centre = np.where(half[:, None] > largest, size / 2, centre)
    side = 2 * np.minimum(half, largest)
    squares = np.concatenate([centre, side[:, None], side[:, None], np.zeros((len(side), 1))], axis=1)
    return np.where(seen, squares, np.nan).astype(np.float32)
