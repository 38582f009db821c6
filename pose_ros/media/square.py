# SPDX-License-Identifier: Apache-2.0
"""Square: what is around some subjects of a picture, at one size, with poses drawn into it."""

from __future__ import annotations

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.media.draw import draw

#: Subjects fill about this share of a square.
_FILL = 0.75


def square(image: np.ndarray, boxes: np.ndarray, poses: Poses, side_px: int, *, labels: bool = True) -> np.ndarray:
    """Return the part of a picture around boxes, and poses in it.

    Args:
        image: RGB uint8 (H, W, 3).
        boxes: (N, 4) xyxy pixels; what is not finite does not count, and without any the whole picture is shown.
        poses: What to draw, in pixels of ``image``.
        side_px: Of the square.
        labels: Whether to draw boxes, ids and scores.

    Returns:
        RGB uint8 (side_px, side_px, 3).
    """
    import cv2

    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    low, high = (boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)) if len(boxes) else ((0, 0), image.shape[1::-1])
    centre, size = (np.add(low, high)) / 2, max(float(np.max(np.subtract(high, low))), 1.0)
    scale = _FILL * side_px / size
    shift = side_px / 2 - scale * centre
    small = cv2.warpAffine(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (side_px, side_px),
                           flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    moved = poses.replace(keypoints=poses.keypoints * scale + shift,
                          boxes=poses.boxes * scale + np.concatenate([shift, shift]))
    return draw(np.ascontiguousarray(small), moved, labels=labels)
