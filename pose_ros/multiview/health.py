# SPDX-License-Identifier: Apache-2.0
"""Health: which cameras agree with the others, over the last seconds. Time comes from stamps.

A camera is judged by points that are made without it. What counts is the median over the keypoints of the last seconds,
so that mistakes of networks do not, beside how much the others disagree among themselves without it, so that it need
not be known how exact the network is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: What is thought of a camera is of about this time, seconds.
_MEMORY_S = 2.0
#: Fewer sights, or sights of a shorter time (seconds), say nothing of a camera. That a further camera is wrong, too, is
#: less likely, and takes so many times as long to be sure of.
_ENOUGH, _ENOUGH_S, _FURTHER = 50.0, 0.5, 3.0
#: Who was left out is taken back after so long at the earliest, seconds; twice that the next time, and so on.
_BACK_S, _LONGEST_S = 2.0, 64.0
#: Who was left out is taken back below this part of the limit.
_HYSTERESIS = 0.85
#: One camera is wrong if it is off by so many times more than any other one; else nobody can tell which one is.
_WORSE = 1.2
#: Two cameras have nobody to compare with but the noise that is assumed, which may be so many times too low.
_NOISE_UNKNOWN = 2.0
#: The noise of a network is at most so many times what is assumed.
_NOISIEST = 3.0
#: Bins of the histograms: so many for each power of two, from the lowest power of two on.
_FINE, _LOWEST, _BINS = 4, -10, 112


@dataclass(frozen=True)
class CameraHealth:
    """How well one camera agreed with the others lately."""

    #: When it saw anything last, nanoseconds.
    stamp_ns: int = 0
    #: How many sights of keypoints, fading, the rest is made of.
    sights: float = 0.0
    #: Share of them that is too far from where the others put the keypoint.
    dropped: float = 0.0
    #: Median distance from where the others put keypoints without it, pixels.
    residual: float = 0.0
    #: That distance, in standard deviations, beside how far the others are off among themselves; about 1 when it is
    #: as good as they are.
    misfit: float = 0.0
    #: Whether it is not used because it disagrees: most likely its extrinsics are wrong, or it was moved.
    left_out: bool = False
    #: Whether it or another suspect is wrong, and nobody can tell which one: it is used.
    suspect: bool = False


@dataclass
class _Spread:
    """A fading histogram over powers of two."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(_BINS))

    def add(self, values: np.ndarray, fade: float) -> None:
        """Take values >= 0."""
        with np.errstate(divide="ignore"):
            place = np.clip((np.log2(values) - _LOWEST) * _FINE, 0, _BINS - 1)
        self.counts = self.counts * fade + np.bincount(place.astype(int), minlength=_BINS)

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    def median(self) -> float:
        """Return the median; 0 of nothing."""
        below = np.cumsum(self.counts)
        half = below[-1] / 2
        i = int(np.searchsorted(below, half))
        if not half or not i:
            return 0.0
        return float(2 ** (_LOWEST + (i + (half - below[i - 1]) / self.counts[i]) / _FINE))

    def above(self, limit: float) -> float:
        """Return the share of values above a limit."""
        first = int(np.clip(np.ceil((np.log2(limit) - _LOWEST) * _FINE), 0, _BINS))
        return float(self.counts[first:].sum() / self.total) if self.total else 0.0


@dataclass
class _Memory:
    """What is known of one camera."""

    since_ns: int
    stamp_ns: int
    own: _Spread = field(default_factory=_Spread)
    others: _Spread = field(default_factory=_Spread)
    pixels: _Spread = field(default_factory=_Spread)

    def enough(self, seconds: float) -> bool:
        return self.own.total >= _ENOUGH and self.lasts(seconds)

    def lasts(self, seconds: float) -> bool:
        return self.stamp_ns - self.since_ns >= seconds * 1e9


@dataclass
class Judge:
    """Decide which cameras to leave out."""

    health: Mapping[str, CameraHealth] = field(default_factory=dict)
    _memories: dict[str, _Memory] = field(default_factory=dict)
    #: How often each was left out.
    _times: dict[str, int] = field(default_factory=dict)
    _noise: float = 1.0

    def trusted(self, names: list[str]) -> list[str]:
        """Return the cameras that are not left out."""
        return [name for name in names if not self.health.get(name, CameraHealth()).left_out]

    @property
    def noise(self) -> float:
        """How many times the noise is that was assumed, by those that are trusted; no less, and not much more."""
        known = [
            memory.own.median() for name, memory in self._memories.items()
            if memory.enough(_ENOUGH_S) and not self.health[name].left_out
        ]  # fmt: skip
        if len(known) > 1:
            self._noise = float(np.clip(np.sqrt(np.median(known)), 1, _NOISIEST))
        return self._noise

    def count(
        self, name: str, stamp_ns: int, own: np.ndarray, others: np.ndarray, pixels: np.ndarray, missed: int = 0
    ) -> None:
        """Take what a camera saw.

        Args:
            name: The camera.
            stamp_ns: When.
            own: (M,) chi-square of its sights against points made without it (:class:`Deviations`); no NaN.
            others: (M,) the same of the others among themselves.
            pixels: (M,) how far it was off.
            missed: How many keypoints it saw elsewhere altogether.
        """
        memory = self._memories.setdefault(name, _Memory(stamp_ns, stamp_ns))
        fade = float(np.exp(-max(stamp_ns - memory.stamp_ns, 0) * 1e-9 / _MEMORY_S))
        memory.stamp_ns = stamp_ns
        memory.own.add(np.concatenate([own, np.full(missed, np.inf)]), fade)
        memory.others.add(others, fade)
        memory.pixels.add(pixels, fade)

    def decide(self, limit: float, dropped: float, leave_out: bool = True) -> None:
        """Leave out the camera that disagrees most; take back those that agree again.

        Args:
            limit: Of :attr:`CameraHealth.misfit`.
            dropped: Chi-square above which a sight counts as dropped.
            leave_out: Whether to; else those that disagree are suspects.
        """
        health = {name: self._judged(name, dropped) for name in self._memories}
        # One at a time, worst first: without it, the others may agree.
        inside = [name for name, one in health.items() if not one.left_out]
        most = limit * (_NOISE_UNKNOWN if len(inside) == 2 else 1)
        least = _ENOUGH_S * _FURTHER ** (len(health) - len(inside))
        suspects = [name for name in inside if self._memories[name].enough(least) and health[name].misfit > most]
        suspects.sort(key=lambda name: -health[name].misfit)
        if suspects:
            first = suspects[0]
            rival = max((health[name].misfit for name in inside if name != first), default=np.inf)
            # Who was not compared with others yet may be wrong, too, but not who had nobody else to agree with.
            known = all(self._memories[name].lasts(least) for name in inside)
            if leave_out and len(inside) > 2 and known and health[first].misfit > _WORSE * rival:
                health[first] = dataclasses.replace(health[first], left_out=True)
                self._times[first] = self._times.get(first, 0) + 1
                self._memories = {}
            else:
                for name in suspects:
                    health[name] = dataclasses.replace(health[name], suspect=True)
        back = [name for name, one in health.items() if one.left_out and self._agrees(name, one, limit)]
        for name in back if leave_out else [name for name in health if health[name].left_out]:
            health[name] = dataclasses.replace(health[name], left_out=False)
            self._memories = {}
        self.health = {**self.health, **health}

    def _judged(self, name: str, dropped: float) -> CameraHealth:
        """Return how well a camera agrees; as before, if little is known of it since somebody was left out."""
        memory, before = self._memories[name], self.health.get(name, CameraHealth())
        if before.sights > memory.own.total and not memory.enough(_ENOUGH_S):
            return dataclasses.replace(before, stamp_ns=memory.stamp_ns, suspect=False)
        own, others = memory.own.median(), memory.others.median()
        return CameraHealth(
            memory.stamp_ns, memory.own.total, memory.own.above(dropped), memory.pixels.median(),
            float(np.sqrt(own / max(others, 1.0))), before.left_out,
        )  # fmt: skip

    def _agrees(self, name: str, one: CameraHealth, limit: float) -> bool:
        """Return whether a camera that was left out may come back."""
        memory = self._memories.get(name)
        wait = min(_BACK_S * 2.0 ** (self._times[name] - 1), _LONGEST_S)
        return memory is not None and memory.enough(wait) and one.misfit < _HYSTERESIS * limit
