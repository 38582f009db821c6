# SPDX-License-Identifier: Apache-2.0
"""Repetitions of exercises: an angle goes there and back, with hysteresis between rest and what counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.anatomy.body_frames import BODY
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.exercise import BUILTIN, Exercise, parse_all
from pose_ros.recognisers.movement import Movement, smooth
from pose_ros.recognisers.shape import most

#: The movement begins and ends where this part of its way is done, or left.
_EDGE = 0.05
#: Rest before a movement, from where its way is measured, and longest time from the bound of rest to its end, seconds.
_BEFORE_S, _AFTER_S = 0.8, 0.4
#: Conditions that are missed by this part of their bound, and by as much beyond, are half and not at all fulfilled.
_SLACK = 0.1
#: What is checked is looked at from this part of the way on.
_DEEP = 0.7


@dataclass(frozen=True)
class RepetitionsOptions:
    """What is counted, and what good form is."""

    exercises: tuple[str, ...] = option(
        tuple(text.split()[0] for text in BUILTIN),
        "Names of exercises of this package, or others described as 'NAME both|each ANGLE REST COUNTS FULL [MEASURE<X "
        "..]'; angles are degrees.",
    )
    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    min_duration: float = option(0.4, "Quickest repetition.", unit="s", low=0.1, high=10.0, live=True)
    max_duration: float = option(6.0, "Slowest repetition; who stays longer rests.", unit="s", low=0.5, high=8.0,
                                 live=True)
    knee_ratio: float = option(0.8, "Knees are inward where they are nearer to one another than this part of the "
                               "distance of the ankles.", low=0.1, high=2.0, live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Repetitions(Rule):
    """Tell repetitions, each an event from where the movement begins to where it ends.

    ``range`` is the way of the angle, ``depth`` its farthest point, ``tempo`` repetitions per minute, ``out_time`` and
    ``back_time`` the ways to the farthest point and back, ``asymmetry`` the largest difference of left and right,
    ``knee_ratio`` the distance of the knees by that of the ankles (Noyes et al., Am. J. Sports Med. 33, 2005), where
    something is seen of it. ``depth_reached`` and ``knees_inward`` are 1 where it is so, and else 0.
    """

    Options: ClassVar[type] = RepetitionsOptions
    takes = BODY
    window_s, step_s = 8.0, 0.05
    actions = tuple(text.split()[0] for text in BUILTIN)
    units: Mapping[str, str] = {
        "range": "rad", "depth": "rad", "tempo": "1/min", "out_time": "s", "back_time": "s", "depth_reached": "",
        "trunk_lean": "rad", "asymmetry": "rad", "knee_ratio": "", "knees_inward": "",
    }  # fmt: skip

    def __init__(self, options: RepetitionsOptions | None = None) -> None:
        """Read the exercises.

        Raises:
            ConfigError: One does not fit.
        """
        super().__init__(options)
        own: RepetitionsOptions = self.options  # type: ignore[assignment]
        self._exercises = parse_all(own.exercises)
        self.actions = tuple(exercise.name for exercise in self._exercises)

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return all repetitions that are over."""
        if not len(clip):
            return []
        options: RepetitionsOptions = self.options  # type: ignore[assignment]
        body = Movement(clip, options.min_score)
        known: dict[str, np.ndarray] = {}

        def number(name: str) -> np.ndarray:
            if name not in known:
                known[name] = smooth(body[name])
            return known[name]

        found = []
        for exercise in self._exercises:
            signal = number(exercise.signal)
            one = signal if exercise.each else _mean(signal)[..., None]
            for row, side, first, last in _runs(one, exercise):
                rep = _Rep.of(one[row, :, side], first, last, self.step_s)
                seconds = (rep.end - rep.onset) * self.step_s
                if not options.min_duration <= seconds <= options.max_duration:
                    continue
                score = self._score(exercise, rep, {c.measure: number(c.measure)[row] for c in exercise.conditions},
                                    side if exercise.each else None)
                score *= float(np.isfinite(one[row, rep.onset : rep.end + 1, side]).mean())
                score *= options.image_weight if body.shape.flat[row] else 1.0
                if score > 0:
                    values = self._values(exercise, rep, signal[row], number("trunk_lean")[row],
                                          number("knees_apart")[row])
                    found.append(Seen(
                        row, exercise.name, score, (LEFT, RIGHT)[side] if exercise.each else 0,
                        int(clip.stamps_ns[rep.onset]), int(clip.stamps_ns[rep.end]), values,
                    ))  # fmt: skip
        return found

    def _score(self, exercise: Exercise, rep: _Rep, measures: Mapping[str, np.ndarray], side: int | None) -> float:
        """Return how well the conditions hold around the farthest point."""
        score = 1.0
        for condition in exercise.conditions:
            columns = measures[condition.measure][rep.deep]
            here = columns[:, side] if side is not None else _mean(columns)
            here = here[np.isfinite(here)]
            if len(here):
                beyond = condition.sense * (np.median(here) - condition.bound)
                slack = _SLACK * max(abs(condition.bound), 0.1)
                score = min(score, float(np.clip(beyond / slack / 2 + 1, 0, 1)))
        return score

    def _values(
        self, exercise: Exercise, rep: _Rep, both: np.ndarray, lean: np.ndarray, knees: np.ndarray
    ) -> dict[str, float]:
        """Return what is measured of a repetition; what is not known is left out."""
        options: RepetitionsOptions = self.options  # type: ignore[assignment]
        step = self.step_s
        values = {
            "range": rep.depth - rep.base, "depth": rep.depth, "tempo": 60 / ((rep.end - rep.onset) * step),
            "out_time": (rep.top - rep.onset) * step, "back_time": (rep.end - rep.top) * step,
            "depth_reached": float(rep.depth >= exercise.full),
            "trunk_lean": float(most(lean[rep.deep, 0])),
        }  # fmt: skip
        if not exercise.each:
            values["asymmetry"] = float(most(np.abs(both[rep.deep, 0] - both[rep.deep, 1])))
        if exercise.signal == "knee_flexion" and np.isfinite(knees[rep.deep]).any():
            values["knee_ratio"] = float(np.nanmedian(knees[rep.deep]))
            values["knees_inward"] = float(values["knee_ratio"] < options.knee_ratio)
        return {name: value for name, value in values.items() if np.isfinite(value)}


@dataclass(frozen=True)
class _Rep:
    """One repetition, in steps of time."""

    onset: int
    top: int
    end: int
    #: Where most of the way is done.
    deep: slice
    #: Where the angle was before, and its farthest value.
    base: float
    depth: float

    @classmethod
    def of(cls, signal: np.ndarray, first: int, last: int, step_s: float) -> _Rep:
        """Return the repetition between the last moment of rest before it and the first one after it."""
        top = first + int(np.nanargmax(signal[first : last + 1]))
        depth = float(signal[top])
        begin = max(0, first - round(_BEFORE_S / step_s))
        base = float(np.nanmin(signal[begin : first + 1]))
        edge = base + _EDGE * (depth - base)
        # The way out begins where the angle was at rest last, the way back ends where it is so again, or turns.
        onset = begin + int(np.flatnonzero(signal[begin : first + 1] <= edge)[-1])
        until = min(len(signal), last + round(_AFTER_S / step_s) + 1)
        after = signal[last:until]
        # It is unknown from where something is missing on, and another one begins where the angle rises for good.
        lowest = np.minimum.accumulate(np.where(np.isnan(after), -np.inf, after))
        over = np.flatnonzero(~(after <= lowest + edge - base) | (after <= edge))
        end = last + (int(np.argmin(after[: over[0] + 1])) if len(over) else int(np.argmin(after)))
        deep = np.flatnonzero(signal[first : last + 1] >= base + _DEEP * (depth - base)) + first
        return cls(onset, top, end, slice(int(deep[0]), int(deep[-1]) + 1), base, depth)


def _runs(signal: np.ndarray, exercise: Exercise) -> Iterator[tuple[int, int, int, int]]:
    """Yield row, side, and the moments of rest around each repetition in signals (N, T, S)."""
    steps = np.arange(signal.shape[1])[None, :, None]
    with np.errstate(invalid="ignore"):
        rest, high = signal <= exercise.rest, signal >= exercise.counts
    rested = np.maximum.accumulate(np.where(rest, steps, -1), axis=1)
    raised = np.maximum.accumulate(np.where(high, steps, -1), axis=1)
    # At rest again, having been beyond since the rest before.
    before = np.concatenate([np.full_like(rested[:, :1], -1), rested[:, :-1]], axis=1)
    for row, last, side in np.argwhere(rest & (raised > before) & (before >= 0)).tolist():
        # What ends with the newest image may go on.
        if last < signal.shape[1] - 1:
            yield row, side, int(before[row, last, side]), last


def _mean(pair: np.ndarray) -> np.ndarray:
    """Return the mean of left and right (..., 2), or the one that is known."""
    left, right = pair[..., 0], pair[..., 1]
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))
