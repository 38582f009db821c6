# SPDX-License-Identifier: Apache-2.0
"""Sets of views whose networks take their time."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.multiview.sync import Sync, SyncOptions, Views

MS = 1_000_000


def play(arrivals: list[tuple[float, str, int]], names: str = "abc", **options: float) -> tuple[Sync[int], list[Views]]:
    """Return the sets of views (when it arrives, camera, stamp in ms)."""
    sync: Sync[int] = Sync(names, SyncOptions(**options))
    sets = []
    for _, name, stamp in sorted(arrivals):
        views = sync(name, stamp * MS, stamp)
        while views is not None:
            sets.append(views)
            views = sync.more()
    return sync, sets


def test_views_that_arrive_out_of_order_find_one_another(rng: np.random.Generator) -> None:
    """Each network takes up to 80 ms, and each camera's own views stay in order."""
    arrivals = []
    for name in "abc":
        ready = 0.0
        for stamp in range(0, 3000, 33):
            ready = max(ready, stamp + rng.uniform(10, 80))
            arrivals.append((ready, name, stamp))
    sync, sets = play(arrivals)
    assert [s.stamp_ns for s in sets] == [stamp * MS for stamp in range(0, 3000, 33)]
    assert all(len(s.views) == 3 for s in sets)
    assert not sync.dropped.total()


def test_a_lost_view_leaves_the_others_together() -> None:
    """The tolerance is wider than the time between two images: still nobody is paired with the next moment."""
    arrivals = [(stamp + i, name, stamp + i) for stamp in range(0, 2000, 33) for i, name in enumerate("abc")
                if (name, stamp) not in {("c", 330), ("a", 660)}]
    _, sets = play(arrivals, tolerance=0.04)
    spread = [max(t for t, _ in s.views.values()) - min(t for t, _ in s.views.values()) for s in sets]
    assert max(spread) <= 2 * MS
    assert [len(s.views) for s in sets].count(2) == 2
    assert len(sets) == len(range(0, 2000, 33))


@pytest.mark.parametrize("dead", ["from the beginning", "later"])
def test_the_others_go_on_without_a_dead_camera(dead: str) -> None:
    arrivals = [(stamp + i, name, stamp) for stamp in range(0, 3000, 33) for i, name in enumerate("abc")
                if name != "c" or (dead == "later" and stamp < 1000)]
    sync, sets = play(arrivals)
    assert len(sets) >= len(range(0, 3000, 33)) - 4
    assert all(len(s.views) >= 2 for s in sets)
    assert not sync.dropped.total()


def test_one_camera_alone_is_a_set_when_the_others_are_dead() -> None:
    arrivals = [(stamp, name, stamp) for stamp in range(0, 5000, 33) for name in "ab" if name == "a" or stamp < 1000]
    _, sets = play(arrivals, "ab")
    assert len(sets[-1].views) == 1
    assert sets[-1].stamp_ns > 4900 * MS


def test_cameras_of_one_rate_that_are_not_triggered_together_make_whole_sets():
    offsets_ms = {"a": 0, "b": 7, "c": 13, "d": 20, "e": 27}
    sync: Sync[int] = Sync(tuple(offsets_ms))
    sets = []
    for tick in range(20):
        for name, offset in offsets_ms.items():
            found = sync(name, round((tick * 100 / 3 + offset) * 1e6), tick)
            while found is not None:
                sets.append(found)
                found = sync.more()
    # Until each camera's time between two images is known, views go where they are nearest.
    assert all(len(found.views) == 5 for found in sets[4:])
    assert len(sets) >= 17


def test_exact_sets_do_not_depend_on_when_views_arrive(rng: np.random.Generator) -> None:
    """Three cameras that are not triggered together, of which one is slow, and all lose some images."""
    stamps = {
        "a": np.arange(0, 6000, 33) + rng.integers(-4, 5, 182), "b": np.arange(11, 6000, 33) + rng.integers(-4, 5, 182),
        "c": np.arange(5, 6000, 100) + rng.integers(-9, 10, 60),
    }
    stamps = {name: sorted(rng.permutation(each)[len(each) // 8 :]) for name, each in stamps.items()}

    def sets(exact: bool) -> tuple[tuple, ...]:
        """Return the sets of one run, in which each network takes up to 400 ms."""
        arrivals = []
        for name, each in stamps.items():
            ready, slow = 0.0, rng.uniform(10, 400)
            for stamp in each:
                ready = max(ready, stamp + rng.uniform(0, slow))
                arrivals.append((ready, name, int(stamp)))
        sync: Sync[int] = Sync("abc", SyncOptions(tolerance=0.02, max_wait=5.0, max_silence=60.0), exact=exact)
        found = []
        for _, name, stamp in sorted(arrivals):
            views = sync(name, stamp * MS, stamp)
            while views is not None:
                found.append((views.stamp_ns, *sorted((name, stamp) for name, (stamp, _) in views.views.items())))
                views = sync.more()
        return tuple(found)

    runs = [sets(exact=True) for _ in range(40)]
    assert len(runs[0]) > 100
    assert len(set(runs)) == 1
    assert len({sets(exact=False) for _ in range(40)}) > 1, "otherwise this test tells nothing"
