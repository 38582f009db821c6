# SPDX-License-Identifier: Apache-2.0
"""Appearance: the colours of what subjects wear, to tell them apart when they come out from behind one another."""

from __future__ import annotations

import numpy as np

from pose_ros.core.poses import Poses

#: Places that are looked at in each subject: so many rows and columns between shoulders and hips, or in the box.
_GRID = 12
#: Bins of hue for colours, and of brightness for what has none.
_HUES, _GREYS = 12, 6
#: Below this saturation, or this brightness out of 255, a hue means nothing.
_COLORFUL, _DARK = 0.2, 32
#: How sure a network must be of a shoulder or a hip.
_SURE = 0.3
#: What part of a box is looked at where there is no torso: its middle, as people narrow above and below.
_MIDDLE = np.array([0.3, 0.2, 0.7, 0.6])
#: Numbers that describe one subject.
SIZE = _HUES + _GREYS


def appearance(image: np.ndarray, poses: Poses) -> np.ndarray:
    """Return what subjects look like: the distribution of colours on their torsos, or in the middle of their boxes.

    Square roots of a histogram of hues and greys, which light and shadow change little: the product of two such vectors
    is the Bhattacharyya coefficient, 1 for the same colours and 0 for none in common.

    Args:
        image: (H, W, 3) uint8, RGB.
        poses: N subjects in that image.

    Returns:
        (N, :data:`SIZE`) float32 unit vectors; NaN where nothing of the subject is in the image.
    """
    height, width = image.shape[:2]
    step = (np.arange(_GRID) + 0.5) / _GRID
    across, down = step[None, None, :, None], step[None, :, None, None]
    corners = _corners(poses)[:, :, None, None]  # (N, 4, 1, 1, 2): left and right above, left and right below
    places = (1 - down) * ((1 - across) * corners[:, 0] + across * corners[:, 1]) + down * (
        (1 - across) * corners[:, 2] + across * corners[:, 3]
    )
    places = places.reshape(len(poses), _GRID**2, 2)
    inside = ((places >= 0) & (places <= (width - 1, height - 1))).all(axis=2)
    x, y = np.rint(np.where(inside[..., None], places, 0)).astype(np.intp).transpose(2, 0, 1)
    bins = np.where(inside, _bins(image[y, x].astype(np.float32)), SIZE)
    # One histogram for each row, and a bin for what is outside of the image.
    rows = np.arange(len(poses))[:, None] * (SIZE + 1)
    counts = np.bincount((rows + bins).ravel(), minlength=len(poses) * (SIZE + 1)).reshape(-1, SIZE + 1)[:, :SIZE]
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return np.sqrt(share).astype(np.float32)


def _corners(poses: Poses) -> np.ndarray:
    """Return the four corners of each torso, (N, 4, 2) pixels; those of the middle of the box where it has none."""
    boxes = poses.boxed().boxes.astype(np.float64)
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    x0, y0, x1, y1 = (np.tile(boxes[:, :2], 2) + _MIDDLE * size).T
    corners = np.stack([x0, y0, x1, y0, x0, y1, x1, y1], axis=1).reshape(-1, 4, 2)
    joints = {joint: i for i, joint in enumerate(poses.skeleton.joints)}
    torso = [joints.get(f"{side}_{name}", -1) for name in ("shoulder", "hip") for side in ("left", "right")]
    if min(torso) < 0:
        return corners
    found = poses.keypoints[:, torso]
    whole = np.isfinite(found).all(axis=(1, 2)) & (poses.scores[:, torso] >= _SURE).all(axis=1)
    return np.where(whole[:, None, None], found, corners)


def _bins(colors: np.ndarray) -> np.ndarray:
    """Return in which bin each colour is, (..., 3) -> (...)."""
    high, low = colors.max(axis=-1), colors.min(axis=-1)
    spread = high - low
    red, green, blue = np.moveaxis(colors, -1, 0)
    some = np.maximum(spread, 1)
    # The hexagon of hues: 0 is red, 2 green, 4 blue.
    hue = np.where(high == red, (green - blue) / some % 6, np.where(high == green, 2 + (blue - red) / some,
                                                                   4 + (red - green) / some))
    grey = (spread < _COLORFUL * high) | (high < _DARK)
    hues = np.rint(hue * (_HUES / 6)).astype(np.intp) % _HUES
    greys = np.minimum(high * (_GREYS / 256), _GREYS - 1).astype(np.intp)
    return np.where(grey, _HUES + greys, hues)
