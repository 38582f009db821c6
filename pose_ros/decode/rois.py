# SPDX-License-Identifier: Apache-2.0
"""Regions of interest from keypoints, after MediaPipe (Apache-2.0).

``alignment_points_to_rects_calculator``, ``detections_to_rects_calculator``, ``hand_landmarks_to_rect_calculator`` and
``rect_transformation_calculator``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_ros.core.regions import keypoints_to_boxes


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
    angle = _angle(arrow, target_deg)
    if boxes is None:
        centre, size = keypoints[:, start], 2 * np.hypot(arrow[:, :1], arrow[:, 1:])
    else:
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return _squares(centre, size, angle, scale, shift_y)


def enclosing_regions(
    keypoints: np.ndarray,
    *,
    points: Sequence[int],
    start: int,
    end: Sequence[int],
    target_deg: float = 90.0,
    scale: float = 1.0,
    shift_y: float = 0.0,
) -> np.ndarray:
    """Return square regions around keypoints that stand upright in the region's own frame, such as those of a hand.

    Args:
        keypoints: (N, K, 2), pixels. NaN gives a region of NaN.
        points: Keypoints that the unscaled region encloses.
        start: Keypoint at the foot of the arrow whose direction in the region is fixed.
        end: Its tip is the mean of these; one that stands here twice counts twice.
        target_deg: See :func:`aligned_regions`, and so are the rest.
        scale: Grows the region.
        shift_y: Moves it.

    Returns:
        (N, 5) float32: cx, cy, width, height, angle in (-pi, pi].
    """
    angle = _angle(keypoints[:, list(end)].mean(axis=1) - keypoints[:, start], target_deg)
    upright = keypoints_to_boxes(turned(keypoints[:, list(points)], -angle))
    centre = turned((upright[:, None, :2] + upright[:, None, 2:]) / 2, angle)[:, 0]
    return _squares(centre, upright[:, 2:] - upright[:, :2], angle, scale, shift_y)


def turned(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn points (N, K, 2 or 3) around the origin, from the x axis to the y axis, each of the N by its angle (N,)."""
    cos, sin = np.cos(angle[:, None]), np.sin(angle[:, None])
    x, y = points[..., 0], points[..., 1]
    return np.concatenate([np.stack([cos * x - sin * y, sin * x + cos * y], axis=2), points[..., 2:]], axis=2)


def _angle(arrow: np.ndarray, target_deg: float) -> np.ndarray:
    """Return the angle in (-pi, pi] of regions in which arrows (N, 2) point in a direction."""
    angle = np.deg2rad(target_deg) - np.arctan2(-arrow[:, 1], arrow[:, 0])
    return np.asarray(np.pi - (np.pi - angle) % (2 * np.pi))


def _squares(centre: np.ndarray, size: np.ndarray, angle: np.ndarray, scale: float, shift_y: float) -> np.ndarray:
    shift = shift_y * size[:, -1]
    x, y = centre[:, 0] - shift * np.sin(angle), centre[:, 1] + shift * np.cos(angle)
    side = scale * size.max(axis=1)
    return np.stack([x, y, side, side, angle], axis=1).astype(np.float32)
