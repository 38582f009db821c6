# SPDX-License-Identifier: Apache-2.0
"""Gait: when feet touch the ground and leave it, and what follows from that: cadence, lengths and times of steps.

A heel that is farthest before the hips touches the ground, a toe that is farthest behind them leaves it (Zeni, Richards
and Higginson, Gait & Posture 27, 2008). That needs neither the ground nor a place, and so it holds on a treadmill, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pose_ros.anatomy.body_frames import BODY
from pose_ros.anatomy.metric import median
from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.movement import Movement, smooth
from pose_ros.recognisers.shape import ramp, unit

#: A farthest point is one for so long before and after, and the foot came from the other side so long before, seconds.
_PEAK_S, _SWING_S = 0.2, 1.0
#: Time over which the direction is measured, and speed from which on it is that of the way and not of the body.
_COURSE_S, _COURSE_MPS = 1.0, 0.4
#: Part of that time around a farthest point in which the foot has to be known.
_KNOWN = 0.8
#: One foot after the other, seconds.
_STEP_S = (0.25, 1.5)
#: Fewest contacts of those who walk.
_FEWEST = 3
#: Walking is over when the next contact is so much later than a step takes.
_LATE = 1.5
#: In the image the hips have to move by this part of a leg to tell where people without feet walk to.
_MOVES = 0.3


@dataclass(frozen=True)
class GaitOptions:
    """What a step is."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    swing: float = option(0.25, "How far a foot goes to and fro below the hips, in parts of the leg's length, where "
                          "half is certain that it is a step; 0.8 is usual.", low=0.02, high=1.0, live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Gait(Rule):
    """Tell walking, and each contact of a foot with the ground and its end.

    ``walking`` goes on, with medians over the steps of the window: ``cadence`` in steps per minute, ``step_length``
    from one foot to the other when that one touches the ground, ``step_width`` across, ``stride_time`` from one contact
    to the next one of the same foot, ``double_support``, the part of it in which both feet are on the ground, and
    ``speed``. ``foot_contact`` and ``foot_off`` are events that take no time; a contact has the ``step_length`` and the
    ``step_time`` that ended with it. Where only the image is known, people have to be seen from the side; there are no
    lengths then.
    """

    Options: ClassVar[type] = GaitOptions
    takes = BODY
    window_s, step_s = 5.0, 0.025
    actions = ("walking", "foot_contact", "foot_off")
    units: Mapping[str, str] = {
        "cadence": "1/min", "step_length": "m", "step_width": "m", "stride_time": "s", "step_time": "s",
        "double_support": "", "speed": "m/s",
    }  # fmt: skip

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return all steps, and who is walking."""
        if not len(clip):
            return []
        options: GaitOptions = self.options  # type: ignore[assignment]
        body = Movement(clip, options.min_score)
        feet = _Feet(body, self.step_s)
        contacts = self._peaks(feet.heels, options, feet.ahead / body.leg[..., None])
        offs = self._peaks(-feet.toes, options, -feet.ahead / body.leg[..., None])
        weights = np.where(body.shape.flat, options.image_weight * (1 - median(body.frontal)), 1.0)
        placed = np.isfinite(clip.points).any(axis=(1, 2, 3))
        found: list[Seen] = []
        for row in np.flatnonzero(weights > 0).tolist():
            weight = float(weights[row])
            runs = list(_runs(sorted(contacts.get(row, [])), self.step_s))
            for run in runs:
                found += self._contacts(clip, feet, row, run, weight)
                found += self._offs(clip, row, run, offs.get(row, []), weight)
            if runs:
                found += self._walking(clip, feet, row, runs[-1], offs.get(row, []), weight, placed=bool(placed[row]))
        return found

    def _peaks(self, signal: np.ndarray, options: GaitOptions, ahead: np.ndarray) -> dict[int, list[_Event]]:
        """Return the farthest points of feet before the hips, and before the other foot, of each row.

        Args:
            signal: (N, T, 2) before the hips, in parts of the leg.
            options: What a step is.
            ahead: (N, T, 2) before the other foot.
        """
        half, before = round(_PEAK_S / self.step_s), round(_SWING_S / self.step_s)
        known = np.isfinite(signal)
        high, low = np.where(known, signal, -np.inf), np.where(known, signal, np.inf)
        around = _windows(high, half, half, -np.inf).max(axis=-1)
        lowest = _windows(low, before, 0, np.inf).min(axis=-1)
        enough = _windows(known.astype(float), half, half, 0.0).mean(axis=-1) >= _KNOWN
        with np.errstate(invalid="ignore"):
            swing = np.where(np.isfinite(lowest), signal - lowest, 0)
            peak = known & enough & (signal >= around) & (ahead > 0)
            scores = np.minimum(ramp(swing, 0.5 * options.swing, 1.5 * options.swing),
                                ramp(ahead, 0.3 * options.swing, options.swing))
        peak[:, :1] = peak[:, -1:] = False
        found: dict[int, list[_Event]] = {}
        for row, step, side in np.argwhere(peak & (scores > 0)).tolist():
            a, b, c = signal[row, step - 1 : step + 2, side]
            bow = a - 2 * b + c
            # The top of the parabola through the three; NaN where one is unknown.
            part = float(np.clip((a - c) / (2 * bow), -0.5, 0.5)) if bow < 0 else 0.0
            found.setdefault(row, []).append(_Event(step + part, side, float(scores[row, step, side])))
        return found

    def _stamp(self, clip: Clip, step: float) -> int:
        return int(clip.stamps_ns[-1]) - round((len(clip.stamps_ns) - 1 - step) * self.step_s * 1e9)

    def _contacts(self, clip: Clip, feet: _Feet, row: int, run: list[_Event], weight: float) -> Iterator[Seen]:
        for i, event in enumerate(run):
            values = {"step_length": feet.length(row, event)}
            if i:
                values["step_time"] = (event.step - run[i - 1].step) * self.step_s
            # One foot that is put forward, and the other one beside it, is no walking.
            score = event.score * weight * (1.0 if len(run) >= _FEWEST else 0.5)
            stamp = self._stamp(clip, event.step)
            yield Seen(row, "foot_contact", score, (LEFT, RIGHT)[event.side], stamp, stamp, _finite(values))

    def _offs(self, clip: Clip, row: int, run: list[_Event], offs: list[_Event], weight: float) -> Iterator[Seen]:
        longest = _STEP_S[1] / self.step_s
        for off in offs:
            # The other foot has touched the ground, or this one touches it afterwards.
            near = any(0 <= off.step - e.step <= longest / 2 if e.side != off.side else
                       0 < e.step - off.step <= longest for e in run)  # fmt: skip
            if near:
                stamp = self._stamp(clip, off.step)
                score = off.score * weight * (1.0 if len(run) >= _FEWEST else 0.5)
                yield Seen(row, "foot_off", score, (LEFT, RIGHT)[off.side], stamp, stamp)

    def _walking(
        self, clip: Clip, feet: _Feet, row: int, run: list[_Event], offs: list[_Event], weight: float, *, placed: bool
    ) -> list[Seen]:
        """Return whether a subject walks until now."""
        times = np.array([event.step for event in run]) * self.step_s
        steps = np.diff(times)
        now = (len(clip.stamps_ns) - 1) * self.step_s
        if len(run) < _FEWEST or now - times[-1] > _LATE * np.median(steps) + _PEAK_S:
            return []
        # Feet are not quite alike: steps are measured by two of them.
        strides = times[2:] - times[:-2]
        stride = float(np.median(strides))
        both = [
            min((off.step - event.step) * self.step_s for off in after)
            for event in run
            if (after := [off for off in offs if off.side != event.side
                          and 0 <= (off.step - event.step) * self.step_s < stride / 3])
        ]  # fmt: skip
        length, width = (float(median(np.array([of(row, event) for event in run]))) for of in (feet.length, feet.width))
        speed = feet.speed(row, run[0], run[-1]) if placed else 2 * length / stride
        values = {
            "cadence": 120 / stride, "step_length": length, "stride_time": stride, "speed": speed,
            "step_width": width,
            "double_support": 2 * float(np.median(both)) / stride if both else np.nan,
        }  # fmt: skip
        score = float(np.median([event.score for event in run])) * weight
        begin = max(0.0, run[0].step - float(np.median(steps)) / self.step_s)
        return [Seen(row, "walking", score, onset_ns=self._stamp(clip, begin), values=_finite(values))]


class _Event(NamedTuple):
    """A foot that is farthest before or behind the hips."""

    #: With a fraction.
    step: float
    #: 0: left, 1: right.
    side: int
    score: float


class _Feet:
    """Where feet are before the hips."""

    def __init__(self, body: Movement, step_s: float) -> None:
        self._step_s, self.solid = step_s, ~body.shape.flat
        flat = body.shape.flat[:, None, None]
        ankles, hips = body.pair("ankle"), body.middle("hip")
        heels, toes = (np.where(np.isnan(body.pair(name)), ankles, body.pair(name)) for name in ("heel", "toe"))
        up = np.broadcast_to(body.shape.up, hips.shape)
        self._hips = hips - (hips * up).sum(axis=2, keepdims=True) * up
        course = np.where(flat, body.across * _sign(body, self._hips), self._course(body))
        #: (N, T, 2) in parts of the leg.
        self.heels, self.toes = (
            smooth(((foot - hips[:, :, None]) * course[:, :, None]).sum(axis=3) / body.leg[..., None])
            for foot in (heels, toes)
        )
        apart = np.subtract(*np.moveaxis(heels, 2, 0))
        along, aside = (smooth((apart * axis).sum(axis=2)) for axis in (course, np.cross(up, course)))
        self._along, self._aside = along, aside
        #: (N, T, 2) how far each foot is before the other one.
        self.ahead = np.stack([along, -along], axis=2)

    def _course(self, body: Movement) -> np.ndarray:
        """Return where bodies go, or where they face when they do not, (N, T, 3)."""
        t, half = self._hips.shape[1], round(_COURSE_S / self._step_s / 2)
        calm = smooth(self._hips, (1,) * (half + 1))
        first, last = np.maximum(np.arange(t) - half, 0), np.minimum(np.arange(t) + half, t - 1)
        # What came just now or is lost has no way yet: the longest that is known around serves all.
        way = (calm[:, last] - calm[:, first]) / ((last - first) * self._step_s)[None, :, None]
        fast = np.linalg.norm(way, axis=2, keepdims=True) > _COURSE_MPS
        return np.where(fast, unit(way), unit(smooth(body.ahead, (1,) * (2 * half + 1))))

    def length(self, row: int, event: _Event) -> float:
        """Return how far a foot is before the other one, metres; NaN where only the image is known."""
        return float(self.ahead[row, round(event.step), event.side]) if self.solid[row] else np.nan

    def width(self, row: int, event: _Event) -> float:
        """Return how far the left foot is to the left of the right one, metres; NaN where only the image is known."""
        return float(self._aside[row, round(event.step)]) if self.solid[row] else np.nan

    def speed(self, row: int, first: _Event, last: _Event) -> float:
        """Return how fast the hips went from one moment to another, m/s."""
        a, b = round(first.step), round(last.step)
        path = self._hips[row, a : b + 1]
        path = path[np.isfinite(path).all(axis=1)]
        if len(path) < 2:
            return np.nan
        # In legs of half a second: a path that turns is longer than the straight line, and noise is not.
        corners = path[np.linspace(0, len(path) - 1, max(2, round((b - a) * self._step_s / 0.5) + 1)).astype(int)]
        return float(np.linalg.norm(np.diff(corners, axis=0), axis=1).sum() / ((b - a) * self._step_s))


def _sign(body: Movement, hips: np.ndarray) -> np.ndarray:
    """Return whether bodies in the image look to the right, 1, or to the left, -1, (N, 1, 1); 0 where unknown."""
    right = body.across
    feet = ((body.middle("toe") - body.middle("heel")) * right).sum(axis=2)
    along = median((hips * right).sum(axis=2)[:, -1:] - (hips * right).sum(axis=2))
    moved = np.where(np.abs(along) > _MOVES * body.leg[:, 0], along, 0)
    seen = median(feet)
    return np.sign(np.where(np.isnan(seen), np.nan_to_num(moved), seen))[:, None, None]


def _runs(contacts: list[_Event], step_s: float) -> Iterator[list[_Event]]:
    """Yield contacts in which one foot follows the other."""
    run = contacts[:1]
    for before, event in pairwise(contacts):
        follows = before.side != event.side and _STEP_S[0] <= (event.step - before.step) * step_s <= _STEP_S[1]
        if not follows:
            yield run
            run = []
        run = [*run, event]
    if run:
        yield run


def _windows(values: np.ndarray, before: int, after: int, fill: float) -> np.ndarray:
    """Return what is around each moment of (N, T, 2), (N, T, 2, before + 1 + after)."""
    padded = np.pad(values, ((0, 0), (before, after), (0, 0)), constant_values=fill)
    return sliding_window_view(padded, before + 1 + after, axis=1)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if np.isfinite(value)}
