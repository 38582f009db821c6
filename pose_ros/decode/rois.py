# SPDX-License-Identifier: Apache-2.0
"""Regions of interest from keypoints, after MediaPipe (Apache-2.0).

``alignment_points_to_rects_calculator``, ``detections_to_rects_calculator`` and ``rect_transformation_calculator``.
"""

from __future__ import annotations

import numpy as np


def aligned_regions(
    keypoints: np.ndarray,
    boxes: np.ndarray | None = None,
    *,
    start: int,
    end: int,
    target_deg: float = 90.0,
    scale: float = 1.0,
    shift_y: float = 0.0,
) -> np.ndarray:
    """Return square regions in which the arrow from one keypoint to another points in a fixed direction.

    Args:
        keypoints: (N, P, 2), pixels. NaN gives a region of NaN.
        boxes: (N, 4) xyxy: the region encloses the box; without boxes it encloses the circle around ``start`` through
            ``end``.
        start: Keypoint at the arrow's foot.
        end: Keypoint at the arrow's tip.
        target_deg: Direction of the arrow inside the region, in degrees from the x axis, y pointing up: 90 is up.
        scale: Grows the region around its centre.
        shift_y: Moves the region along its own y axis, in heights of the unscaled region.

    Returns:
        (N, 5) float32: cx, cy, width, height, angle in (-pi, pi].
    """
    arrow = keypoints[:, end] - keypoints[:, start]
    angle = np.deg2rad(target_deg) - np.arctan2(-arrow[:, 1], arrow[:, 0])
    angle = np.pi - (np.pi - angle) % (2 * np.pi)
    if boxes is None:
        centre, size = keypoints[:, start], 2 * np.hypot(arrow[:, :1], arrow[:, 1:])
    else:
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    shift = shift_y * size[:, -1]
    x, y = centre[:, 0] - shift * np.sin(angle), centre[:, 1] + shift * np.cos(angle)
    side = scale * size.max(axis=1)
    return np.stack([x, y, side, side, angle], axis=1).astype(np.float32)
