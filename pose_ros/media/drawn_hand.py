# SPDX-License-Identifier: Apache-2.0
"""A drawing of a raised right hand, its palm to the viewer: for demonstrations without a photograph of one."""

from __future__ import annotations

import numpy as np

#: Width and height of the paper in its own units.
_WIDTH, _HEIGHT = 100, 130
#: Pixels that are drawn for each pixel that is returned, along each side.
_FINER = 4
_PAPER, _SKIN, _CREASE = (238, 234, 226), (224, 172, 140), (161, 124, 101)
#: A left hand, which is mirrored in the end: knuckle, two joints and tip of each finger, and how thick it is.
_FINGERS = (
    (((37, 58), (34, 43), (32.5, 34), (31.5, 26)), 4.6),
    (((47, 56), (46.5, 38), (46.3, 28), (46, 19)), 4.8),
    (((57, 58), (59, 42), (60, 32.5), (60.8, 24)), 4.5),
    (((66, 63), (70.5, 51), (73, 43.5), (75, 36.5)), 3.8),
    (((38, 88), (26, 76), (19, 68), (13.5, 61)), 5.2),
)
_PALM = (
    (33, 60), (42, 54), (52, 53.5), (62, 56), (70, 63), (69, 76), (63, 90), (60, 100), (42, 100), (38, 90), (31, 76)
)  # fmt: skip
_WRIST = ((51, 98), (51, 122))
_LINES = (
    ((36, 66), (45, 70), (56, 70), (66, 72)), ((34, 72), (44, 76), (54, 80), (62, 86)),
    ((36, 70), (43, 78), (45, 88), (44, 98)),
)  # fmt: skip


def drawn_hand(width: int) -> np.ndarray:
    """Return the drawing on its paper, RGB uint8 (1.3 width, width, 3)."""
    import cv2

    unit = width * _FINER / _WIDTH
    size_wh = (width * _FINER, round(width * _FINER * _HEIGHT / _WIDTH))

    def pixels(*points: tuple[float, float]) -> np.ndarray:
        return np.rint(np.array(points) * unit).astype(np.int32)

    shape = np.zeros(size_wh[::-1], np.uint8)
    cv2.fillPoly(shape, [pixels(*_PALM)], 255)
    cv2.polylines(shape, [pixels(*_WRIST)], False, 255, round(19 * unit))
    for finger, radius in _FINGERS:
        cv2.polylines(shape, [pixels(*finger)], False, 255, round(2 * radius * unit))
    shape = (cv2.GaussianBlur(shape, (0, 0), 0.8 * unit) > 127).astype(np.uint8)
    # Limbs are round: the nearer to their borders, the darker; and light comes from above.
    inside = np.clip(cv2.distanceTransform(shape, cv2.DIST_L2, 5) / (4.5 * unit), 0, 1) ** 0.6
    light = (0.62 + 0.38 * inside) * np.linspace(1.04, 0.94, size_wh[1])[:, None]
    drawing = np.where(shape[..., None] > 0, light[..., None] * _SKIN, _PAPER).clip(0, 255).astype(np.uint8)
    cv2.polylines(drawing, [pixels(*line) for line in _LINES], False, _CREASE, round(0.9 * unit), cv2.LINE_AA)
    for finger, radius in _FINGERS:
        for x, y in finger[1:3]:
            ends = pixels((x - 0.6 * radius, y), (x + 0.6 * radius, y))
            cv2.polylines(drawing, [ends], False, _CREASE, round(0.7 * unit), cv2.LINE_AA)
    small: np.ndarray = cv2.resize(drawing, (width, size_wh[1] // _FINER), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[:, ::-1])
