# SPDX-License-Identifier: Apache-2.0
"""Swipes: hands that move fast and straight to one side, and stop there.

What is not one: a wave, which does not stop before it turns, and the way back to where a swipe began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.core.options import option
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.shape import Shape, ramp, steady, unit
from pose_ros.skeletons import catalogue

_PALM = ("wrist", "forefinger1", "middle_finger1", "ring_finger1", "pinky_finger1")
#: From the wrist to the knuckle of the middle finger, to tell metres of hands of which only the image is known.
_PALM_M = 0.095
#: Scores go from nothing to certain around what is half certain, by this part of it.
_WIDTH = 0.4
#: A swipe lasts while the hand is faster than this part of the speed that is half certain.
_MOVES = 0.4
#: Least part of the way that is made towards the end, and that is along the direction: from nothing to certain.
_STRAIGHT = (0.75, 0.92)
#: Time that the hand rests after a swipe, and until a swipe the other way is not the way back; seconds.
_REST_S, _BACK_S = 0.15, 0.8
#: What ended longer ago was told before, seconds.
_TOLD_S = 0.8


@dataclass(frozen=True)
class SwipeOptions:
    """What a swipe is."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    speed: float = option(0.8, "Greatest speed of the palm where half is certain.", unit="m/s", low=0.1, high=10.0,
                          live=True)
    distance: float = option(0.18, "Length of the way where half is certain.", unit="m", low=0.02, high=2.0, live=True)
    mirror: bool = option(True, "Left is the left of somebody who looks at the camera; false: that of the image.",
                          live=True)
    image_weight: float = option(0.9, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Swipe(Rule):
    """Tell swipes, with their greatest ``speed`` and ``distance``."""

    Options: ClassVar[type] = SwipeOptions
    takes = catalogue.get("hand21")
    subject = "hand"
    window_s, step_s = 2.5, 0.05
    actions = ("swipe_left", "swipe_right", "swipe_up", "swipe_down")
    units: Mapping[str, str] = {"speed": "m/s", "distance": "m"}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return all swipes that have just ended."""
        options: SwipeOptions = self.options  # type: ignore[assignment]
        places, flat = _places(clip, options.min_score)
        velocity = np.full_like(places, np.nan)
        velocity[:, 1:-1] = (places[:, 2:] - places[:, :-2]) / (2 * self.step_s)
        speed = np.linalg.norm(velocity, axis=2)
        moving = speed > _MOVES * options.speed
        found = []
        for row in np.flatnonzero((speed > options.speed * (1 - _WIDTH)).any(axis=1)).tolist():
            runs = _runs(moving[row])
            for number, (begin, end) in enumerate(runs):
                rest = slice(end, end + round(_REST_S / self.step_s))
                known = speed[row, rest]
                if end < len(speed[row]) - _TOLD_S / self.step_s or len(known) * self.step_s < _REST_S - 1e-9:
                    continue
                if moving[row, rest].any():
                    continue
                # Where a hand is lost at its fastest, nothing tells where it stopped.
                if np.isnan(known[: max(1, len(known) - 1)]).any() or np.isnan(speed[row, begin - 1 : begin]).any():
                    continue
                way = places[row, end] - places[row, begin - 1]
                before = runs[number - 1] if number else None
                if before and begin - before[1] < _BACK_S / self.step_s:
                    back = places[row, before[1]] - places[row, max(before[0] - 1, 0)]
                    if back @ way < 0:
                        continue
                fastest, length = float(speed[row, begin:end].max()), float(np.linalg.norm(way))
                walked = float(speed[row, begin - 1 : end + 1].sum()) * self.step_s
                axis = int(np.abs(way).argmax())
                low, high = 1 - _WIDTH, 1 + _WIDTH
                score = min(
                    float(ramp(np.array(fastest / options.speed), low, high)),
                    float(ramp(np.array(length / options.distance), low, high)),
                    float(ramp(np.array(min(length / walked, abs(way[axis]) / length)), *_STRAIGHT)),
                )
                if score > 0:
                    # The image's right is the left of those who look at the camera.
                    right = (way[axis] > 0) != (axis == 0 and options.mirror)
                    name = (("swipe_left", "swipe_right"), ("swipe_down", "swipe_up"))[axis][int(right)]
                    score *= options.image_weight if flat[row] else 1.0
                    found.append(Seen(row, name, score, onset_ns=int(clip.stamps_ns[begin - 1]),
                                      end_ns=int(clip.stamps_ns[end]), values={"speed": fastest, "distance": length}))
        return found


def _places(clip: Clip, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where palms are to the right and upwards of the image, (N, T, 2) metres, and for whom by pixels (N,)."""
    flat = ~np.isfinite(clip.points).any(axis=(1, 2, 3))
    pixels = np.concatenate([clip.keypoints, np.zeros((*clip.scores.shape, 1))], axis=3)
    points = np.where(flat[:, None, None, None], pixels, clip.points.astype(np.float64))
    points[clip.scores < min_score] = np.nan
    points = points[:, :, [clip.skeleton.index[name] for name in _PALM]]
    lengths = np.linalg.norm(points[:, :, 1:] - points[:, :, :1], axis=3).max(axis=2)
    metres = np.where(flat, _PALM_M / steady(lengths, lengths.shape[1]), 1.0)
    up = np.where(flat[:, None, None], Shape.of(clip, min_score).up, clip.up)
    right = unit(np.array([1.0, 0.0, 0.0]) - up[..., :1] * up)
    middle = points.mean(axis=2) * metres[:, None, None]
    return np.stack([(middle * right).sum(axis=2), (middle * up).sum(axis=2)], axis=2), flat


def _runs(holds: np.ndarray) -> list[tuple[int, int]]:
    """Return where something (T,) begins to hold and where it does not any more, but not from the first moment on."""
    change = np.diff(holds.astype(int))
    begins, ends = np.flatnonzero(change == 1) + 1, np.flatnonzero(change == -1) + 1
    return [(int(begin), int(ends[ends > begin][0])) for begin in begins if (ends > begin).any()]
