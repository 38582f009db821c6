# SPDX-License-Identifier: Apache-2.0
"""Frames of a hand: the palm, and where thumb and forefinger meet, as a gripper would be described.

A hand that lies on a table, palm down, with its fingers to the front has the axes of REP-103: x along the fingers, y to
the left, z out of its back, so that the palm's normal is -z. The frame of a pinch has its origin half way between the
tips of thumb and forefinger, x to where the fingers point, y from the forefinger to the thumb.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.body_frames import cross, dot, unit
from pose_ros.core.convert import Conversion, conversion, converts
from pose_ros.core.skeleton import Skeleton

#: What :func:`joints` returns.
JOINTS = ("wrist", "forefinger1", "middle_finger1", "pinky_finger1", "thumb2", "thumb3", "thumb4", "forefinger3",
          "forefinger4")  # fmt: skip
_WRIST, _FORE1, _MIDDLE1, _LITTLE1, _THUMB2, _THUMB3, _THUMB4, _FORE3, _FORE4 = range(len(JOINTS))
#: Whose hand -> its joints: of a hand alone, or of a person that has hands.
_HANDS = {
    owner: Skeleton("hand", tuple(f"{owner}/{name}" for name in JOINTS))
    for owner in ("hand", "left_hand", "right_hand")
}


@lru_cache(maxsize=64)
def known(skeleton: Skeleton, owner: str) -> bool:
    """Whether a skeleton has all joints of a hand: ``hand`` of one that is alone, ``left_hand``, ``right_hand``."""
    return converts(skeleton, _HANDS[owner]) and not _way(skeleton, owner).absent.any()


def joints(points: np.ndarray, skeleton: Skeleton, owner: str) -> np.ndarray:
    """Return the joints of a hand, (N, 9, 3), out of those (N, K, 3) of a skeleton that has it."""
    return _way(skeleton, owner).points(points)


@lru_cache(maxsize=64)
def _way(skeleton: Skeleton, owner: str) -> Conversion:
    return conversion(skeleton, _HANDS[owner])


def palms(points: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origins (N, 3) at the wrist and rotations (N, 3, 3) of hands.

    x points from the wrist to the knuckle of the middle finger, and the plane goes through the knuckles of forefinger
    and little finger.

    Args:
        points: (N, 9, 3) metres, of :func:`joints`.
        right: (N,) 1 for right hands, -1 for left ones and NaN where that is not known: nor is the back of the hand.
    """
    x = points[:, _MIDDLE1] - points[:, _WRIST]
    y = (points[:, _FORE1] - points[:, _LITTLE1]) * right[:, None]
    return points[:, _WRIST], axes(x, y)


def pinches(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return origins (N, 3), rotations (N, 3, 3) and openings (N,) metres between the tips of thumb and forefinger.

    y runs between the last bones of both fingers: their tips alone have no direction where they touch.

    Args:
        points: (N, 9, 3) metres, of :func:`joints`.
    """
    thumb, finger = points[:, _THUMB4], points[:, _FORE4]
    middle = (thumb + finger) / 2
    y = points[:, _THUMB3] + thumb - points[:, _FORE3] - finger
    x = middle - (points[:, _THUMB2] + points[:, _FORE1]) / 2
    apart = thumb - finger
    return middle, axes(x, y), np.sqrt(dot(apart, apart))[:, 0]


def axes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return rotations with x as it is and y as near to a direction as can be."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x, z = unit(x), unit(cross(x, y))
    return np.stack([x, cross(z, x), z], axis=-1)
