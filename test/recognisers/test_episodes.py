# SPDX-License-Identifier: Apache-2.0
"""Episodes: one action begins, goes on and ends, and what is over is counted once."""

from __future__ import annotations

from pose_ros.recognisers.base import Seen
from pose_ros.recognisers.episodes import EpisodeOptions, Episodes, Phase, Sight

MS = 1_000_000


def sight(score=1.0, name="waving", subject=1, **seen):
    return Sight("rule", subject, 0, 0, Seen(0, name, score, **seen), {})


def play(episodes, scores, period=100, **seen):
    """Look every 100 ms, and return (time, phase) of all that was told."""
    told = []
    for i, score in enumerate(scores):
        now = i * period * MS
        found = episodes.add([] if score is None else [sight(score, **seen)], now, 50 * MS, 2000 * MS, period * MS)
        told += [(i * period, a.phase, a.onset_ns // MS, (a.end_ns or 0) // MS) for a in found + episodes.tell(now)]
    return told


OPTIONS = EpisodeOptions(min_duration=0.2, max_pause=0.2)


def test_an_action_begins_goes_on_and_ends_with_the_stamps_of_its_scores():
    told = play(Episodes(OPTIONS), [0, 0.45, 0.7, 0.7, 0.5, 0, 0, 0, 0, 0])
    assert [(t, phase) for t, phase, *_ in told] == [
        (300, Phase.BEGAN), (400, Phase.ONGOING), (500, Phase.ONGOING), (600, Phase.ONGOING), (700, Phase.ONGOING),
        (800, Phase.ENDED),
    ]
    assert {onset for _, _, onset, _ in told} == {100}
    assert told[-1][3] == 400


def test_what_is_never_sure_or_does_not_last_is_not_told():
    assert play(Episodes(OPTIONS), [0.5] * 10) == []
    assert play(Episodes(OPTIONS), [0.9, 0.9, 0, 0, 0, 0, 0]) == []


def test_a_short_pause_is_none():
    phases = [phase for _, phase, *_ in play(Episodes(OPTIONS), [0.9] * 4 + [None] * 2 + [0.9] * 2)]
    assert phases == [Phase.BEGAN] + [Phase.ONGOING] * 5


def test_a_recogniser_may_know_better_when_it_began():
    told = play(Episodes(OPTIONS), [0, 0, 0, 0.9, 0.9, 0.9], onset_ns=120 * MS)
    assert {onset for _, _, onset, _ in told} == {120}


def test_events_are_counted_once_however_often_they_are_seen():
    episodes = Episodes(OPTIONS)
    told = []
    for now in range(0, 4000, 100):
        # Three squats of 800 ms, one after the other, whose edges tremble.
        edge = 30 * (now // 100 % 3)
        seen = [sight(0.9, "squat", onset_ns=(t + edge) * MS, end_ns=(t + 800 - edge // 2) * MS)
                for t in (100, 900, 1700) if t + 800 < now < t + 2900]
        told += episodes.add(seen, now * MS, 50 * MS, 2000 * MS, 100 * MS)
        assert episodes.tell(now * MS) == []
    assert [(a.count, a.phase) for a in told] == [(1, Phase.EVENT), (2, Phase.EVENT), (3, Phase.EVENT)]


def test_events_without_length_are_counted_once_too():
    episodes = Episodes(OPTIONS)
    told = []
    for i in range(5):
        seen = [sight(0.9, "step", onset_ns=t * MS + 10 * i % 20 * MS, end_ns=t * MS + 10 * i % 20 * MS)
                for t in (500, 1000)]
        told += episodes.add(seen, (1200 + i) * MS, 50 * MS, 2000 * MS, 100 * MS)
    assert [a.count for a in told] == [1, 2]


def test_unsure_events_do_not_count():
    assert Episodes(OPTIONS).add([sight(0.5, onset_ns=0, end_ns=MS)], MS, MS, MS, MS) == []


def test_subjects_sides_and_names_are_counted_apart_and_forgotten():
    episodes = Episodes(OPTIONS)

    def add(**which):
        return episodes.add([sight(0.9, onset_ns=0, end_ns=100 * MS, **which)], 100 * MS, MS, MS, MS)[0].count

    assert [add(), add(subject=2), add(side=1), add(name="squat")] == [1, 1, 1, 1]
    play(episodes, [0.9] * 4, name="sitting")
    ended = episodes.forget([1])
    assert [(a.name, a.phase, a.end_ns) for a in ended] == [("sitting", Phase.ENDED, 300 * MS)]
    assert episodes.tell(400 * MS) == []
    assert add() == 1


def test_of_what_excludes_one_another_one_goes_on_at_a_time():
    episodes, told = Episodes(OPTIONS), []
    both = ("standing", "sitting")
    # Somebody sits down: for a moment both look likely, and for another one neither does.
    for i, scores in enumerate([(1, 0)] * 5 + [(0.7, 0.6), (0.5, 0.6), (0.3, 0.8)] + [(0, 1)] * 4):
        now = i * 100 * MS
        seen = [Sight("rule", 1, 0, 0, Seen(0, n, score), {}, both) for n, score in zip(both, scores, strict=True)]
        seen.append(Sight("rule", 1, 0, 0, Seen(0, "waving", 0.9), {}))
        assert episodes.add(seen, now, 50 * MS, 2000 * MS, 100 * MS) == []
        told.append([(a.name, a.phase) for a in episodes.tell(now)])
    going = [[name for name, phase in each if phase != Phase.ENDED and name in both] for each in told]
    assert going == [[], [], *[["standing"]] * 6, *[["sitting"]] * 4]
    assert ("standing", Phase.ENDED) in told[8]
    assert ("sitting", Phase.BEGAN) in told[8]
    assert told[8].index(("standing", Phase.ENDED)) < told[8].index(("sitting", Phase.BEGAN))
    assert all(("waving", Phase.ONGOING) in each for each in told[3:])
