# SPDX-License-Identifier: Apache-2.0
"""A hand of 21 points that opens and closes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Knuckle of each finger and its length in parts of the hand's length; along the thumb's side (x) and the fingers (-z).
_FINGERS = {
    "forefinger": ((0.14, 0.0, -0.48), 0.47),
    "middle_finger": ((0.05, 0.0, -0.50), 0.50),
    "ring_finger": ((-0.04, 0.0, -0.48), 0.47),
    "pinky_finger": ((-0.13, 0.0, -0.44), 0.38),
}
#: Bones of a finger as parts of it, and how much of the curl each joint takes, radians for a curl of 1.
_BONES, _BENDS = (0.5, 0.29, 0.21), (1.2, 1.5, 0.9)
_THUMB, _THUMB_BONES = (0.13, 0.05, -0.12), (0.26, 0.19, 0.15)

NAMES = ("wrist", *(f"{finger}{i}" for finger in ("thumb", *_FINGERS) for i in range(1, 5)))


def hand(curl: np.ndarray, side: str = "left", length_m: float = 0.19) -> np.ndarray:
    """Return the points of a hand in its own frame: wrist at the origin, fingers along -z, thumb at +x.

    Args:
        curl: (...,) 0 open .. 1 fist.
        side: ``left`` (the palm looks to -y) or ``right`` (to +y).
        length_m: From the wrist to the tip of the stretched middle finger.

    Returns:
        (..., 21, 3) metres, in the order of the skeleton ``hand21``.
    """
    curl = np.asarray(curl, np.float64)
    palm = -1.0 if side == "left" else 1.0
    points = [np.zeros((*curl.shape, 3))]
    points += _chain(curl, _THUMB, (0.62, 0.2, -0.76), _THUMB_BONES, (0.0, 0.5, 0.6))
    for knuckle, length in _FINGERS.values():
        points += _chain(curl, knuckle, (0.0, 0.0, -1.0), [length * b for b in _BONES], _BENDS)
    return np.stack(points, axis=-2) * length_m * np.array([1.0, palm, 1.0])


def _chain(
    curl: np.ndarray,
    start: Sequence[float],
    direction: Sequence[float],
    lengths: Sequence[float],
    bends: Sequence[float],
) -> list[np.ndarray]:
    """Return 4 points (..., 3); each bone turns on toward the palm, which is at +y."""
    x, y, z = direction
    points = [np.broadcast_to(np.array(start, np.float64), (*curl.shape, 3))]
    turned = np.zeros(curl.shape)
    for length, bend in zip(lengths, bends, strict=True):
        turned = turned + bend * curl
        c, s = np.cos(turned), np.sin(turned)
        step = np.stack([np.broadcast_to(x, c.shape), c * y - s * z, s * y + c * z], axis=-1)
        points.append(points[-1] + length * step)
    return points
