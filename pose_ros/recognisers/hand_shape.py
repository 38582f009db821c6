# SPDX-License-Identifier: Apache-2.0
"""Hand shape: open, fist, pointing and the like, by which fingers are stretched.

No network: a finger is stretched by the angles at its three joints, the thumb by how far its tip is from the knuckle of
the little finger, since a thumb folds across the palm. So it is known why a shape was told, and a shape that is not
among them is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from pose_ros.core.options import option
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.movement import smooth
from pose_ros.recognisers.shape import Shape, ramp, since, steady, unit
from pose_ros.skeletons import catalogue

_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_ANY = np.nan
#: Shape -> thumb, forefinger, middle, ring and little finger: 1 is stretched, 0 is bent.
_SHAPES = {
    "open_hand": (1, 1, 1, 1, 1), "fist": (0, 0, 0, 0, 0), "pointing_finger": (_ANY, 1, 0, 0, 0),
    "victory": (0, 1, 1, 0, 0), "four": (0, 1, 1, 1, 1), "call": (1, 0, 0, 0, 1), "rock": (_ANY, 1, 0, 0, 1),
    "thumb_up": (1, 0, 0, 0, 0), "thumb_down": (1, 0, 0, 0, 0),
}  # fmt: skip
#: Least cosine of the angle between the thumb and the way up (or down), from nothing to certain.
_UPRIGHT = (0.5, 0.8)
#: How much farther the tip of the thumb is from the little finger's knuckle than the thumb's own, in parts of the palm.
_THUMB = (-0.05, 0.25)
#: How far the forefinger's tip is from the wrist in a pinch, in parts of the palm: in a fist it meets the thumb, too.
_NOT_A_FIST = (1.0, 1.25)
#: What is seen is a median over this time, seconds, of what is calm over so many steps.
_STEADY_S = 0.3
_CALM = (1, 1, 1, 1, 1, 1, 1)
#: Half of the way from nothing to certain around what is half certain: radians, and part of the gap of a pinch.
_BEND_WIDTH, _GAP_WIDTH = 0.6, 0.4


@dataclass(frozen=True)
class HandShapeOptions:
    """When a finger is stretched, and when two touch."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    bend: float = option(1.9, "Sum of the angles at a finger's three joints where it is as much bent as stretched.",
                         unit="rad", low=0.5, high=4.0, live=True)
    pinch: float = option(0.25, "Distance between the tips of thumb and forefinger where half is certain that they "
                          "pinch, in parts of the palm (wrist to knuckle of the middle finger, some 0.1 m).", low=0.02,
                          high=1.0, live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class HandShape(Rule):
    """Tell shapes of hands; ``gap`` is between the tips of thumb and forefinger, in parts of the palm."""

    Options: ClassVar[type] = HandShapeOptions
    takes = catalogue.get("hand21")
    subject = "hand"
    window_s, step_s = 0.6, 0.05
    actions = exclusive = (*_SHAPES, "pinch")
    units: Mapping[str, str] = {"gap": ""}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return the shapes of all hands."""
        options: HandShapeOptions = self.options  # type: ignore[assignment]
        shape = Shape.of(clip, options.min_score)
        index = clip.skeleton.index
        # Angles have no sign, so that noise bends every finger; hands keep their shape for longer than images tremble.
        points = smooth(shape.points - shape.points[:, :, [index["wrist"]]], _CALM)
        at = {name: points[:, :, index[name]] for name in clip.skeleton.keypoints}
        palm = _length(at["middle_finger1"] - at["wrist"])
        stretched = np.stack([_thumb(at, palm), *(_stretched(at, name, options.bend) for name in _FINGERS[1:])], axis=2)
        fits = {name: _like(stretched, np.array(fingers)) for name, fingers in _SHAPES.items()}
        thumb_up = (unit(at["thumb4"] - at["thumb2"]) * shape.up).sum(axis=2)
        fits["thumb_up"] = np.minimum(fits["thumb_up"], ramp(thumb_up, *_UPRIGHT))
        fits["thumb_down"] = np.minimum(fits["thumb_down"], ramp(-thumb_up, *_UPRIGHT))
        gap = _length(at["thumb4"] - at["forefinger4"]) / palm
        low, high = (options.pinch * part for part in (1 - _GAP_WIDTH, 1 + _GAP_WIDTH))
        away = _length(at["forefinger4"] - at["wrist"]) / palm
        fits["pinch"] = np.minimum(1 - ramp(gap, low, high), ramp(away, *_NOT_A_FIST))
        # What pinches is nothing else, as both fingers are half bent.
        for name in _SHAPES:
            fits[name] = np.minimum(fits[name], 1 - np.nan_to_num(fits["pinch"]))
        found, last = [], round(_STEADY_S / self.step_s)
        weight = np.where(shape.flat, options.image_weight, 1.0)
        gaps = steady(gap, last)
        for name, fit in fits.items():
            scores, first = steady(fit, last) * weight, since(fit > 0.5)
            found += [
                Seen(row, name, float(scores[row]),
                     onset_ns=int(clip.stamps_ns[min(first[row], len(clip.stamps_ns) - 1)]),
                     values={"gap": float(gaps[row])} if np.isfinite(gaps[row]) else {})
                for row in np.flatnonzero(scores > 0).tolist()
            ]  # fmt: skip
        return found


def _stretched(at: Mapping[str, np.ndarray], finger: str, bend: float) -> np.ndarray:
    """Return how much a finger is stretched, (N, T) in [0, 1]."""
    chain = [at["wrist"], *(at[f"{finger}{joint}"] for joint in range(1, 5))]
    bones = [unit(b - a) for a, b in pairwise(chain)]
    angles = [np.arccos(np.clip((a * b).sum(axis=2), -1, 1)) for a, b in pairwise(bones)]
    return 1 - ramp(np.sum(angles, axis=0), bend - _BEND_WIDTH, bend + _BEND_WIDTH)


def _thumb(at: Mapping[str, np.ndarray], palm: np.ndarray) -> np.ndarray:
    """Return how much the thumb is stretched away from the palm, (N, T) in [0, 1]."""
    tip, knuckle = (_length(at[name] - at["pinky_finger1"]) for name in ("thumb4", "thumb2"))
    return ramp((tip - knuckle) / palm, *_THUMB)


def _like(stretched: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """Return how much fingers (N, T, 5) are like those of a shape, by the one that is least so."""
    fits = np.where(fingers == 1, stretched, 1 - stretched)
    return np.asarray(fits[..., np.isfinite(fingers)].min(axis=2))


def _length(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1)
    return np.asarray(np.where(length > 0, length, np.nan))
