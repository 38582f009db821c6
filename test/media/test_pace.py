# SPDX-License-Identifier: Apache-2.0
"""Pace and pairs: time as a fake clock tells it, threads that end, streams that lose things."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from numbered import number, ramp

from pose_ros.core.frame import Frame
from pose_ros.errors import SourceError
from pose_ros.media.pace import Pacer, read_ahead
from pose_ros.media.pairs import Pairs
from pose_ros.media.source import Source
from pose_ros.media.sources import open_source


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_frames_are_due_when_their_stamps_say() -> None:
    clock = Clock()
    pacer = Pacer(clock=clock)
    assert pacer.wait_s(5_000_000_000) == 0
    assert pacer.wait_s(5_040_000_000) == pytest.approx(0.04)
    clock.now += 0.03
    assert pacer.wait_s(5_100_000_000) == pytest.approx(0.07)


def test_a_rate_overrides_the_stamps() -> None:
    pacer = Pacer(rate=50.0, clock=Clock())
    assert [pacer.wait_s(stamp) for stamp in (0, 10**9, 2 * 10**9)] == pytest.approx([0, 0.02, 0.04])


def test_a_small_delay_is_caught_up_and_a_large_one_is_not() -> None:
    clock = Clock()
    pacer = Pacer(rate=10.0, clock=clock)
    pacer.wait_s(0)
    clock.now += 0.15
    assert pacer.wait_s(0) == 0
    assert pacer.wait_s(0) == pytest.approx(0.05), "back on the schedule"
    clock.now += 5.0
    assert pacer.wait_s(0) == 0
    assert pacer.wait_s(0) == pytest.approx(0.1), "a new schedule"


def test_reading_ahead_changes_nothing(clip: Path) -> None:
    with open_source(str(clip)) as source:
        assert [number(f.image) for f in read_ahead(source, depth=2)] == list(range(10))


class Counting(Source):
    """Frames without end, or until it breaks."""

    def __init__(self, breaks_at: int | None = None) -> None:
        super().__init__("counting")
        self.breaks_at, self.read = breaks_at, 0

    def _read(self) -> Iterator[Frame]:
        while self.read != self.breaks_at:
            yield Frame(ramp(1), self.read)
            self.read += 1
        raise SourceError(self.name, "broke")


def test_an_error_comes_through() -> None:
    with pytest.raises(SourceError, match="broke"):
        list(read_ahead(Counting(breaks_at=3)))


def test_an_early_end_stops_the_thread() -> None:
    source, before = Counting(), threading.active_count()
    frames = read_ahead(source, depth=2)
    next(frames)
    assert threading.active_count() == before + 1
    frames.close()
    assert threading.active_count() == before
    assert source.read <= 4, "it did not run away"


def test_pairs_in_any_order() -> None:
    pairs: Pairs[str, int] = Pairs()
    assert pairs.add_a(1, "one") is None
    assert pairs.add_b(1, 1) == ("one", 1)
    assert pairs.add_b(2, 2) is None
    assert pairs.add_a(2, "two") == ("two", 2)


def test_what_is_older_than_a_match_is_let_go() -> None:
    pairs: Pairs[str, int] = Pairs()
    for stamp in (1, 2, 3):
        pairs.add_a(stamp, str(stamp))
    assert pairs.add_b(3, 3) == ("3", 3)
    assert pairs.add_b(2, 2) is None


def test_time_may_jump_backwards() -> None:
    pairs: Pairs[str, int] = Pairs()
    assert [(pairs.add_a(s, str(s)), pairs.add_b(s, s)) for s in (50, 60, 10, 20)] == [
        (None, (str(s), s)) for s in (50, 60, 10, 20)
    ]


def test_pairs_are_bounded() -> None:
    pairs: Pairs[str, int] = Pairs(depth=3)
    for stamp in range(10):
        pairs.add_a(stamp, str(stamp))
    assert pairs.add_b(6, 6) is None
    assert pairs.add_b(7, 7) == ("7", 7)
