# SPDX-License-Identifier: Apache-2.0
"""YuNet: raw grid outputs -> boxes with keypoints (Wu et al., Machine Intelligence Research 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_ros.errors import ShapeError

#: Pixels of the network's input per grid cell.
STRIDES = (8, 16, 32)
#: Right and left eye, tip of the nose, right and left corner of the mouth.
KEYPOINTS = 5


def decode(
    outputs: Sequence[np.ndarray], size_wh: tuple[int, int], min_score: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the outputs for one image, without suppression of doubles.

    Args:
        outputs: For each stride the class probability (A, 1); for each the objectness (A, 1); for each the box (A, 4),
            offset of its centre and logarithm of its size in cells; for each the keypoints (A, 10), offsets in cells.
            The A cells of a grid stand row by row.
        size_wh: Size of the network's input.
        min_score: Square root of objectness times class probability that a cell needs.

    Returns:
        boxes (B, 4), xyxy in input pixels (the centre of the first pixel is (0, 0)), keypoints (B, 5, 2), and scores
        (B,), in the order of the cells. Cells without finite numbers are left out.

    Raises:
        ShapeError: An output does not fit its grid.
    """
    levels = len(STRIDES)
    found = []
    for level, stride in enumerate(STRIDES):
        columns, rows = (size // stride for size in size_wh)
        shapes = [(columns * rows, n) for n in (1, 1, 4, 2 * KEYPOINTS)]
        parts = [outputs[level + levels * kind] for kind in range(4)]
        if [part.shape for part in parts] != shapes:
            expected = ", ".join(map(str, shapes))
            raise ShapeError(f"outputs of stride {stride}", expected, ", ".join(str(part.shape) for part in parts))
        # A network that fails may say anything; what is not finite is left out below.
        with np.errstate(over="ignore", invalid="ignore"):
            scores = np.sqrt(np.clip(parts[0][:, 0], 0, 1) * np.clip(parts[1][:, 0], 0, 1))
            good = np.flatnonzero(scores >= min_score)
            cell = np.stack([good % columns, good // columns], axis=1).astype(np.float32)
            centre = (cell + parts[2][good, :2]) * stride
            half = np.exp(parts[2][good, 2:]) * stride / 2
            boxes = np.concatenate([centre - half, centre + half], axis=1)
            keypoints = (cell[:, None] + parts[3][good].reshape(-1, KEYPOINTS, 2)) * stride
        found.append((boxes, keypoints, scores[good]))
    boxes, keypoints, scores = (np.concatenate(column) for column in zip(*found, strict=True))
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(keypoints).all(axis=(1, 2))
    # Offsets are measured from the image's edge, where the first pixel's area begins.
    return boxes[finite] - 0.5, keypoints[finite] - 0.5, scores[finite]
