# SPDX-License-Identifier: Apache-2.0
"""Posture: who stands, sits, squats, kneels, bends or lies, and who falls, by how far trunk and legs rise.

In metres where these are known, with the direction upwards that the clip has; else in the image, where a limb that
points at the camera looks short, and scores are lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.anatomy.limbs import PARTS
from pose_ros.anatomy.metric import median
from pose_ros.core.options import option
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.shape import Shape, most, ramp
from pose_ros.skeletons import catalogue

_POSTURES = ("standing", "sitting", "squatting", "kneeling", "bending", "lying")
#: Of grown-ups, to tell speeds of people of whom only the image is known; metres.
_HEIGHT_M = 1.65
#: Lengths as parts of the height.
_TRUNK, _THIGH, _SHANK = PARTS["shoulder", "hip"], PARTS["hip", "knee"], PARTS["knee", "ankle"]
#: How far shoulders are above ankles, as part of the height: of those who are up, and of those who are down.
_UPRIGHT, _DOWN = 0.55, 0.3
#: What the newest posture is a median over, and for how long those who have fallen stay down, seconds.
_STEADY_S, _REST_S = 0.3, 0.4
#: Time over which a speed is measured, seconds.
_SPEED_S = 0.2


@dataclass(frozen=True)
class PostureOptions:
    """When keypoints count, and what a fall is."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0)
    fall_speed: float = option(
        1.3, "Speed of the shoulders downwards at which half is certain that somebody falls and does not lie down.",
        unit="m/s", low=0.1, high=10.0,
    )
    max_fall: float = option(1.5, "Longest time from upright to down.", unit="s", low=0.1, high=3.0)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0)


class Posture(Rule):
    """Tell postures and falls.

    The threshold of falls is the vertical velocity of the trunk that Bourke et al. found (Med. Eng. Phys. 30, 2008).
    """

    Options: ClassVar[type] = PostureOptions
    takes = catalogue.get("coco17")
    window_s, step_s = 3.0, 0.05
    actions = (*_POSTURES, "fall")
    exclusive = _POSTURES
    units: Mapping[str, str] = {"speed": "m/s", "duration": "s"}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return the postures of everybody, and falls that ended in lying."""
        options: PostureOptions = self.options  # type: ignore[assignment]
        body = _Body(clip, options.min_score)
        weight = np.where(body.flat, options.image_weight, 1.0)
        last = max(1, round(_STEADY_S / self.step_s))
        scores = median(np.stack([body.score(name)[:, -last:] for name in _POSTURES])) * weight
        found = [
            Seen(row, name, float(score))
            for name, column in zip(_POSTURES, scores, strict=True) for row, score in enumerate(column) if score > 0
        ]  # fmt: skip
        return [*found, *self._falls(clip, body, options, scores[_POSTURES.index("lying")], weight)]

    def _falls(
        self, clip: Clip, body: _Body, options: PostureOptions, lying: np.ndarray, weight: np.ndarray
    ) -> list[Seen]:
        """Return who was upright, came down fast, and has been lying since."""
        steps, (n, t) = np.arange(len(clip.stamps_ns)), body.rise.shape
        upright = np.where(body.rise > _UPRIGHT, steps, -1).max(axis=1, initial=-1)
        down = np.where(body.rise > _DOWN, steps, -1).max(axis=1, initial=-1) + 1
        took = (down - upright) * self.step_s
        lag = max(1, round(_SPEED_S / self.step_s))
        speed = np.full((n, t), np.nan)
        speed[:, lag:] = (body.height[:, :-lag] - body.height[:, lag:]) / (lag * self.step_s)
        # The fastest of the way down.
        way = (steps > upright[:, None]) & (steps <= (down + lag)[:, None]) & np.isfinite(speed)
        fastest = np.where(way, speed, -np.inf).max(axis=1, initial=-np.inf)
        rested = (t - down) * self.step_s >= _REST_S
        fell = (upright >= 0) & (down > upright) & (took <= options.max_fall) & rested
        sure = np.minimum(np.clip(fastest / options.fall_speed - 0.5, 0, 1), lying / weight) * weight
        return [
            Seen(row, "fall", float(sure[row]), onset_ns=int(clip.stamps_ns[upright[row]]),
                 end_ns=int(clip.stamps_ns[down[row]]),
                 values={"speed": float(fastest[row]), "duration": float(took[row])})
            for row in np.flatnonzero(fell & (sure > 0)).tolist()
        ]  # fmt: skip


class _Body:
    """How far the parts of bodies rise, (N, T) each: 1 is upright, 0 level, -1 upside down; NaN where unknown."""

    def __init__(self, clip: Clip, min_score: float) -> None:
        index, shape = clip.skeleton.index, Shape.of(clip, min_score)
        #: (N,) whether only the image is known.
        self.flat, points, up = shape.flat, shape.points, shape.up

        def pair(name: str) -> np.ndarray:
            return points[:, :, [index[f"left_{name}"], index[f"right_{name}"]]]

        shoulders, hips, knees, ankles = (pair(name) for name in ("shoulder", "hip", "knee", "ankle"))
        limbs = ((shoulders, hips, _TRUNK), (hips, knees, _THIGH), (knees, ankles, _SHANK))
        lengths = np.concatenate([np.linalg.norm(a - b, axis=3) for a, b, _ in limbs], axis=2)
        tall = lengths / np.repeat([part for *_, part in limbs], 2)
        # In the image most limbs look too short and none too long.
        tall = np.where(self.flat[:, None], most(tall), median(tall))
        size = median(tall)[:, None]
        shoulder, hip, knee, ankle = (_mean(joint) for joint in (shoulders, hips, knees, ankles))

        def above(a: np.ndarray, b: np.ndarray, part: float) -> np.ndarray:
            return ((a - b) * up).sum(axis=2) / (part * size)

        self.trunk, self.thigh = above(shoulder, hip, _TRUNK), above(hip, knee, _THIGH)
        self.shank, self.legs = above(knee, ankle, _SHANK), above(hip, ankle, _THIGH + _SHANK)
        #: Shoulders above ankles, in parts of the height.
        self.rise = above(shoulder, ankle, 1.0)
        #: Of the shoulders, metres above something that does not move.
        placed = np.isfinite(clip.points).any(axis=(1, 2, 3), keepdims=True)[..., 0, 0]
        metres = np.where(self.flat[:, None], _HEIGHT_M / size, 1.0)
        self.height = np.where(placed, (shoulder * up).sum(axis=2), self.rise * size * metres)
        # Those who squat keep their trunk above their feet, those who sit do not need to.
        aside = (shoulder + hip) / 2 - ankle
        aside -= (aside * up).sum(axis=2, keepdims=True) * up
        away = np.linalg.norm(aside, axis=2) / (_THIGH * size)
        self.balanced = np.where(self.flat[:, None], 1 - ramp(self.legs, 0.38, 0.5), 1 - ramp(away, 0.45, 0.75))

    def score(self, posture: str) -> np.ndarray:
        """Return how well a posture fits, (N, T) in [0, 1]; NaN where unknown."""
        upright, level = ramp(self.trunk, 0.5, 0.8), 1 - ramp(np.abs(self.trunk), 0.4, 0.65)
        on_legs = np.minimum(ramp(self.thigh, 0.5, 0.75), ramp(self.legs, 0.6, 0.8))
        thigh_level = 1 - ramp(self.thigh, 0.45, 0.7)
        fits = {
            "standing": (upright, on_legs),
            "bending": (1 - upright, on_legs),
            "sitting": (ramp(self.trunk, 0.3, 0.55), thigh_level, 1 - self.balanced),
            "squatting": (ramp(self.trunk, 0.1, 0.3), thigh_level, self.balanced),
            "kneeling": (upright, ramp(self.thigh, 0.5, 0.75), 1 - ramp(self.shank, 0.3, 0.5)),
            "lying": (level, 1 - ramp(np.abs(self.legs), 0.4, 0.65)),
        }[posture]
        return np.asarray(np.stack(fits).min(axis=0))


def _mean(pair: np.ndarray) -> np.ndarray:
    """Return the middle of left and right (N, T, 2, 3), or the one that is known."""
    left, right = pair[:, :, 0], pair[:, :, 1]
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))
