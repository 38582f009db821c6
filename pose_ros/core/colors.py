# SPDX-License-Identifier: Apache-2.0
"""Colours of keypoints and limbs, the same in pictures, viewers and messages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pose_ros.core.skeleton import Skeleton

Color = tuple[int, int, int]

#: RGB: green left, orange right, blue what is neither; told apart by colour-blind people too (Okabe and Ito 2008).
LEFT, RIGHT, MIDDLE = (0, 190, 140), (255, 140, 0), (86, 180, 233)
_SIDES = {"left": LEFT, "l": LEFT, "right": RIGHT, "r": RIGHT}


def by_side(keypoints: Sequence[str]) -> tuple[Color, ...]:
    """Return the colour of each keypoint by the first side that its name says."""
    return tuple(
        next((_SIDES[word] for word in name.lower().split("_") if word in _SIDES), MIDDLE) for name in keypoints
    )


def keypoint_colors(skeleton: Skeleton) -> tuple[Color, ...]:
    """Return the K colours of a skeleton's keypoints: its own, or by side."""
    return skeleton.colors or by_side(skeleton.keypoints)


@lru_cache(maxsize=64)
def edge_colors(skeleton: Skeleton) -> tuple[Color, ...]:
    """Return the colour of each edge: that of its ends, and of the other end where one is neither left nor right."""
    colors = keypoint_colors(skeleton)
    return tuple(_edge(colors[a], colors[b]) for a, b in skeleton.edges)


def _edge(a: Color, b: Color) -> Color:
    if a in (MIDDLE, b):
        return b
    return a if b == MIDDLE else MIDDLE
