# SPDX-License-Identifier: Apache-2.0
"""Waving: whose hand swings from side to side above its elbow.

The forearm's angle to the side is followed from one turning point to the next; each way between two that is wide and
quick enough is a swing. So a hand that drifts meanwhile is no trouble, and neither is where the swinging began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.shape import Arms, ramp, unit
from pose_ros.skeletons import catalogue

#: Turning points are told from noise by this part of the width of a swing that is half certain.
_NOISE = 0.6
#: The next turning point may be so much later than the ones before let expect.
_LATE = 1.6


@dataclass(frozen=True)
class WavingOptions:
    """What a wave is."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    swing: float = option(0.26, "Half of the angle through which the forearm swings, where half is certain.",
                          unit="rad", low=0.02, high=1.5, live=True)
    min_rate: float = option(0.7, "Slowest waves, to and fro.", unit="Hz", low=0.5, high=5.0, live=True)
    max_rate: float = option(4.0, "Fastest waves; images have to come more than twice as often.", unit="Hz", low=0.5,
                             high=10.0, live=True)
    swings: int = option(3, "Fewest ways from side to side.", low=2, high=8, live=True)
    height: float = option(0.3, "How far the wrist is above the elbow at least, in parts of the forearm.", low=-1.0,
                           high=1.0, live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Waving(Rule):
    """Tell waves, with ``rate`` and ``amplitude`` (half of the angle through which the forearm swings)."""

    Options: ClassVar[type] = WavingOptions
    takes = catalogue.get("coco17")
    window_s, step_s = 3.0, 0.05
    actions = ("waving",)
    units: Mapping[str, str] = {"rate": "Hz", "amplitude": "rad"}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return everybody who has been waving until now."""
        options: WavingOptions = self.options  # type: ignore[assignment]
        arms = Arms(clip, options.min_score)
        angle = _angles(arms, options.height)
        shortest, longest = 0.5 / options.max_rate / self.step_s, 0.5 / options.min_rate / self.step_s
        swings, first, last, width = _swings(angle, 2 * _NOISE * options.swing, shortest, longest)
        time = np.maximum(last - first, 1) * self.step_s
        amplitude = width / 2
        score = ramp(amplitude, 0.5 * options.swing, 1.5 * options.swing)
        score *= np.where(arms.shape.flat, options.image_weight, 1.0)[:, None]
        each = (last - first) / np.maximum(swings, 1)
        goes_on = len(clip.stamps_ns) - 1 - last <= _LATE * each + 2
        score[(swings < options.swings) | ~goes_on] = 0
        # The first turning point ends half a swing that is not counted.
        onset = np.maximum(first - np.round(each / 2), 0).astype(int)
        return [
            Seen(row, "waving", float(score[row, arm]), side=(LEFT, RIGHT)[arm],
                 onset_ns=int(clip.stamps_ns[onset[row, arm]]),
                 values={"rate": float(swings[row, arm] / (2 * time[row, arm])),
                         "amplitude": float(amplitude[row, arm])})
            for row, arm in np.argwhere(score > 0).tolist()
        ]  # fmt: skip


def _angles(arms: Arms, height: float) -> np.ndarray:
    """Return angles (N, T, 2) by which the forearms lean to the side; NaN where they do not rise enough."""
    up = np.broadcast_to(arms.shape.up[:, None], arms.wrists.shape)
    # To the left of the body; in the image to its side.
    across = np.broadcast_to((arms.shoulders[:, :, 0] - arms.shoulders[:, :, 1])[:, :, None], up.shape)
    across = np.where(arms.shape.flat[:, None, None, None], np.cross(up, [0.0, 0.0, 1.0]), across)
    across = unit(across - (across * up).sum(axis=3, keepdims=True) * up)
    fore = arms.wrists - arms.elbows
    rise, aside = (fore * up).sum(axis=3), (fore * across).sum(axis=3)
    # Of the body's proportions, as forearms that point at the camera look short.
    angle = np.arcsin(np.clip(aside / arms.fore, -1, 1))
    angle[~(rise > height * arms.fore)] = np.nan
    # The mean of three steps is calmer, and hardly narrower.
    smooth = angle.copy()
    smooth[:, 1:-1] = (angle[:, :-2] + angle[:, 1:-1] + angle[:, 2:]) / 3
    return np.where(np.isnan(smooth), angle, smooth)


def _swings(angle: np.ndarray, least: float, shortest: float, longest: float) -> tuple[np.ndarray, ...]:
    """Return the last run of swings of each signal: how many, first and last turning point, mean width; (N, 2) each.

    Args:
        angle: (N, T, 2); NaN where unknown.
        least: Narrowest swing.
        shortest: Swing in steps of time.
        longest: Swing in steps of time.
    """
    shape = angle.shape[0], angle.shape[2]
    # The extreme since the last turning point, where it is, and whether the signal rises towards it (1) or falls (-1).
    extreme, at, way = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    turn, turned = np.full(shape, np.nan), np.full(shape, -np.inf)
    count, first, last, total = (np.zeros(shape) for _ in range(4))
    seen = np.full(shape, -np.inf)
    for i in range(angle.shape[1]):
        now = angle[:, i]
        known = ~np.isnan(now)
        # What was not seen for longer than a swing lasts begins anew.
        fresh = known & ((i - seen > longest) | np.isnan(extreme))
        extreme, at = np.where(fresh, now, extreme), np.where(fresh, i, at)
        way, count, turned = np.where(fresh, 0, way), np.where(fresh, 0, count), np.where(fresh, -np.inf, turned)
        seen = np.where(known, i, seen)
        turns = known & ((now - extreme) * np.where(way == 0, np.sign(now - extreme), -way) > least)
        swung, took = np.abs(extreme - turn), at - turned
        fits = turns & (took >= shortest) & (took <= longest) & (swung > least)
        count = np.where(fits, count + 1, np.where(turns, 0, count))
        total = np.where(fits, total + swung, np.where(turns, 0.0, total))
        first = np.where(turns & ~fits, at, first)
        last = np.where(turns, at, last)
        # Where the signal begins it does not turn.
        turn, turned = np.where(turns, extreme, turn), np.where(turns, np.where(way == 0, -np.inf, at), turned)
        begun = np.where(turns, np.where(way == 0, np.sign(now - extreme), -way), way)
        further = known & (((now - extreme) * begun > 0) | turns)
        extreme, at, way = np.where(further, now, extreme), np.where(further, i, at), begun
    return count, first, last, total / np.maximum(count, 1)
