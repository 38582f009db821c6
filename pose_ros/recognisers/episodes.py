# SPDX-License-Identifier: Apache-2.0
"""Episodes: out of what is seen again and again, one action that begins, goes on and ends. Time comes from stamps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from pose_ros.core.options import option
from pose_ros.recognisers.base import Seen

#: What happened this long before the clip of its recogniser began is not seen again, nanoseconds.
_MEMORY_NS = 1_000_000_000
#: What is seen within less than half of this is one event at least, nanoseconds.
_INSTANT_NS = 100_000_000


class Phase(IntEnum):
    """The values of Action.msg."""

    BEGAN = 1
    ONGOING = 2
    ENDED = 3
    EVENT = 4


@dataclass(frozen=True)
class EpisodeOptions:
    """When something counts as done."""

    on_score: float = option(0.6, "An action begins, and an event counts, from this score on.", low=0.0, high=1.0,
                             live=True)
    off_score: float = option(0.4, "An action goes on for as long as its score is at least this.", low=0.0, high=1.0,
                              live=True)
    min_duration: float = option(0.25, "An action is told once it has lasted this long; its onset is when it began.",
                                 unit="s", low=0.0, high=60.0, live=True)
    max_pause: float = option(0.4, "An action that is not seen for longer has ended when it was seen last.", unit="s",
                              low=0.0, high=60.0, live=True)


@dataclass(frozen=True)
class Action:
    """Something that one subject does, or did."""

    name: str
    recogniser: str
    phase: Phase
    score: float
    id: int
    parent: int
    #: LEFT, RIGHT or 0.
    side: int
    onset_ns: int
    #: None while it goes on.
    end_ns: int | None = None
    #: Of events: how often so far.
    count: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    #: (6,) start, metres, and direction in the frame of the newest image.
    ray: np.ndarray | None = None
    #: (3,) what it meets, metres, and what that is called; None: nothing that is known.
    target: np.ndarray | None = None
    target_name: str = ""


@dataclass(frozen=True)
class Sight:
    """What a recogniser saw of one subject."""

    recogniser: str
    id: int
    parent: int
    side: int
    seen: Seen
    units: Mapping[str, str]
    #: Names of which a subject does one at a time, this one among them.
    one_of: tuple[str, ...] = ()

    @property
    def key(self) -> _Key:
        """What is the same action when it is seen again; hands keep their id, whatever side they are taken for."""
        return self.recogniser, self.id, self.seen.name, self.seen.side

    def action(
        self, phase: Phase, onset_ns: int, end_ns: int | None = None, count: int = 0
    ) -> Action:
        """Return it as it is told."""
        seen = self.seen
        return Action(seen.name, self.recogniser, phase, seen.score, self.id, self.parent, self.side, onset_ns, end_ns,
                      count, seen.values, self.units, seen.ray)


_Key = tuple[str, int, str, int]


@dataclass
class _Episode:
    sight: Sight
    onset_ns: int
    #: When it was seen last.
    last_ns: int
    #: Longest time without a sight.
    patience_ns: int
    #: Whether its score was high enough once, and whether it was told.
    sure: bool = False
    told: bool = False


class Episodes:
    """What all subjects are doing, and how often they did what is over."""

    def __init__(self, options: EpisodeOptions = EpisodeOptions()) -> None:
        """Start with nobody doing anything."""
        self.options = options
        self._open: dict[_Key, _Episode] = {}
        self._counts: Counter[_Key] = Counter()
        #: Events that were counted and may be seen again: (onset, end).
        self._counted: dict[_Key, list[tuple[int, int]]] = {}

    def add(self, sights: Iterable[Sight], stamp_ns: int, step_ns: int, window_ns: int, period_ns: int) -> list[Action]:
        """Take what one recogniser sees of an image, and return the events in it that are new.

        Args:
            sights: Of any number of subjects.
            stamp_ns: Of the image.
            step_ns: Between two moments of its clips.
            window_ns: Length of its clips.
            period_ns: Time until it looks again.
        """
        found = []
        # Of the same thing seen twice the surer one counts.
        for sight in sorted(_surest(sights), key=lambda s: (s.seen.end_ns or 0, s.seen.score)):
            if sight.seen.end_ns is None:
                self._keep(sight, stamp_ns, period_ns)
            elif sight.seen.score >= self.options.on_score and self._is_new(sight, stamp_ns, step_ns, window_ns):
                self._counts[sight.key] += 1
                found.append(sight.action(Phase.EVENT, _onset(sight, stamp_ns), sight.seen.end_ns,
                                          self._counts[sight.key]))
        return found

    def _keep(self, sight: Sight, stamp_ns: int, period_ns: int) -> None:
        if sight.seen.score < self.options.off_score:
            return
        patience = round(self.options.max_pause * 1e9) + period_ns
        episode = self._open.get(sight.key)
        if episode is None:
            episode = self._open[sight.key] = _Episode(sight, _onset(sight, stamp_ns), stamp_ns, patience)
        elif sight.seen.onset_ns is not None and not episode.told:
            episode.onset_ns = sight.seen.onset_ns
        episode.sight, episode.last_ns, episode.patience_ns = sight, stamp_ns, patience
        episode.sure |= sight.seen.score >= self.options.on_score

    def _is_new(self, sight: Sight, stamp_ns: int, step_ns: int, window_ns: int) -> bool:
        """Return whether an event overlaps none that was counted by half of the shorter of the two."""
        assert sight.seen.end_ns is not None
        before = self._counted.setdefault(sight.key, [])
        before[:] = [(a, b) for a, b in before if b >= stamp_ns - window_ns - _MEMORY_NS]
        # What takes no time is seen a little earlier or later the next time.
        apart = max(step_ns, _INSTANT_NS) // 2
        onset, end = _onset(sight, stamp_ns) - apart, sight.seen.end_ns + apart
        for a, b in before:
            if min(end, b) - max(onset, a) >= min(end - onset, b - a) / 2:
                return False
        before.append((onset, end))
        return True

    def tell(self, stamp_ns: int) -> list[Action]:
        """Return what began, goes on and ended by an image."""
        late = [key for key, episode in self._open.items() if stamp_ns - episode.last_ns > episode.patience_ns]
        found = [action for key in late for action in self._close(key)]
        least_ns = self.options.min_duration * 1e9
        begun = [key for key, e in self._open.items() if not e.told and e.sure and e.last_ns - e.onset_ns >= least_ns]
        for key in begun:
            found += [action for other in self._rivals(key) for action in self._close(other)]
        for key, episode in self._open.items():
            if episode.told:
                found.append(episode.sight.action(Phase.ONGOING, episode.onset_ns))
            elif key in begun:
                episode.told = True
                found.append(episode.sight.action(Phase.BEGAN, episode.onset_ns))
        return found

    def _rivals(self, key: _Key) -> list[_Key]:
        """Return what ends when this begins."""
        if key not in self._open:
            return []
        names = set(self._open[key].sight.one_of) - {key[2]}
        return [other for other in self._open if other[:2] == key[:2] and other[2] in names]

    def forget(self, ids: Iterable[int]) -> list[Action]:
        """End all that some subjects do, and forget how often they did it."""
        gone = set(ids)
        for counts in (self._counts, self._counted):
            for key in [key for key in counts if key[1] in gone]:
                del counts[key]
        return [action for key in list(self._open) if key[1] in gone for action in self._close(key)]

    def _close(self, key: _Key) -> list[Action]:
        episode = self._open.pop(key)
        return [episode.sight.action(Phase.ENDED, episode.onset_ns, episode.last_ns)] if episode.told else []


def _surest(sights: Iterable[Sight]) -> list[Sight]:
    """Return what may be so at a time: of names that exclude one another that of the highest score."""
    sights = list(sights)
    best: dict[tuple[str, int, tuple[str, ...]], float] = {}
    for sight in sights:
        group = sight.recogniser, sight.id, sight.one_of
        best[group] = max(best.get(group, 0.0), sight.seen.score)
    return [s for s in sights if not s.one_of or s.seen.score == best[s.recogniser, s.id, s.one_of]]


def _onset(sight: Sight, stamp_ns: int) -> int:
    return stamp_ns if sight.seen.onset_ns is None else sight.seen.onset_ns
