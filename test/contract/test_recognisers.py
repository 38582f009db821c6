# SPDX-License-Identifier: Apache-2.0
"""What every rule and every recogniser that has learnt promises."""

from __future__ import annotations

import dataclasses
import re
import zlib

import numpy as np
import pytest
from scenes.choreography import Do, clip, perform

from pose_ros import registry
from pose_ros.core.options import from_mapping, specs
from pose_ros.models import cards
from pose_ros.plugin import API_VERSION, Model
from pose_ros.runtime.session import FakeSession, Tensor

#: Recogniser that has learnt -> its card and the input of its network. Whoever adds one adds a line here.
LEARNT = {
    "gesture": ("gesture-sign", (42,)),
    "posec3d": ("posec3d-ntu60", (17, 8, 64, 64)),
    "stgcn": ("stgcn-ntu60-2d-joint", (2, 100, 17, 3)),
}
ALL = [*(("rules", name) for name in registry.BUILTIN["rules"]), *(("recognisers", name) for name in LEARNT)]
#: Three people who do different things, side by side; what they do last is seen best.
PLAYS = (
    perform(Do("stand", 3.0), Do("sit", 1.0), Do("wave", 3.0), place=(0.0, -1.0)),
    perform(Do("stand", 1.0), Do("squats", 1.0, times=3), height_m=1.6, place=(-0.3, 0.0)),
    perform(Do("stand", 1.0), Do("walk", 3.0, speed_mps=0.4), Do("point", 0.8), Do("fall", 1.0), height_m=1.9,
            place=(-1.0, 1.0)),
)  # fmt: skip
END_S = min(play.seconds for play in PLAYS)


def session(card, shape):
    """Return a session whose chances are a function of each sample alone."""
    name = (card.outputs or ("out",))[0]

    def run(batch):
        chances = [np.random.default_rng(zlib.crc32(np.ascontiguousarray(x).tobytes())).random(len(card.classes))
                   for x in batch]
        return {name: np.array(chances, np.float32).reshape(-1, len(card.classes))}

    return FakeSession(Tensor("input", (-1, *shape)), [Tensor(name, (-1, len(card.classes)))], run)


def made(kind, name, **options):
    if kind == "rules":
        plugin = registry.load_rule(name)
        return plugin(plugin.Options(**options))
    card_name, shape = LEARNT[name]
    card = cards.get(card_name)
    assert card.plugin == name
    plugin = registry.load("recognisers", name)
    return plugin(Model(card, session(card, shape)), plugin.Options(**options))


@pytest.fixture(params=ALL, ids="/".join)
def sees(request):
    return made(*request.param)


@pytest.fixture(scope="module")
def clips():
    """Make clips for a recogniser; they may not be written to, and are made once."""
    known = {}

    def make(sees, end_s=END_S, space="points"):
        key = sees.takes.name, sees.steps, sees.step_s, end_s, space
        if key not in known:
            rate = min(30.0, 1 / sees.step_s) if sees.step_s else 30.0
            known[key] = frozen(clip(PLAYS, end_s, takes=sees.takes, steps=sees.steps, step_s=sees.step_s, space=space,
                                     skeleton=sees.takes.name if sees.subject == "hand" else "halpe26", rate_hz=rate))
        return known[key]

    return make


def frozen(clip):
    for column in vars(clip).values():
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    return clip


_ROWS = ("ids", "keypoints", "scores", "points", "local_points", "measures", "sides", "parents")


def only(clip, rows):
    return frozen(dataclasses.replace(clip, **{name: getattr(clip, name)[rows] for name in _ROWS}))


def flat(found, rows=None):
    """Return what was seen, in an order of its own: who, what, and all numbers."""
    def number(seen):
        return [seen.score, *seen.values.values(), *(() if seen.ray is None else seen.ray),
                *(0 if t is None else t * 1e-9 for t in (seen.onset_ns, seen.end_ns))]

    named = [((s.row if rows is None else rows[s.row], s.name, s.side, s.onset_ns or 0, s.end_ns or 0, *s.values), s)
             for s in found]
    named.sort(key=lambda pair: pair[0])
    return [(key[:3], key[5:], number(seen)) for key, seen in named]


def same(a, b):
    assert [x[:2] for x in a] == [x[:2] for x in b]
    for (key, _, x), (_, _, y) in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4, err_msg=str(key))


def test_everyone_is_under_this_contract():
    assert set(LEARNT) == set(registry.BUILTIN["recognisers"])


def test_says_what_it_takes_and_what_it_may_say(sees):
    assert sees.api_version == API_VERSION
    assert sees.subject in ("body", "hand", "face")
    assert {"person": "body"}.get(sees.takes.subject, sees.takes.subject) == sees.subject
    assert sees.window_s >= 0
    assert sees.step_s > 0 or sees.steps == 1
    assert sees.actions
    assert len(set(sees.actions)) == len(sees.actions)
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name) for name in [*sees.actions, *sees.units])


def test_options_are_explained_and_survive_a_round_trip(sees):
    kind = type(sees).Options
    for spec in specs(kind):
        assert spec.help.endswith("."), spec.name
        assert spec.check(spec.default) == spec.default
    assert from_mapping(kind, dataclasses.asdict(kind()), "part") == kind() == sees.options


@pytest.mark.parametrize("space", ["points", "local_points", "none"])
@pytest.mark.parametrize("end_s", [END_S, END_S - 1.7])
def test_all_that_is_seen_fits(sees, clips, end_s, space):
    given = clips(sees, end_s, space)
    for seen in sees.see(given):
        assert 0 <= seen.row < len(given)
        assert seen.name in sees.actions
        assert 0 <= seen.score <= 1
        assert seen.side in (0, 1, 2)
        assert seen.values.keys() <= sees.units.keys()
        assert np.isfinite(list(seen.values.values())).all()
        first, last = given.stamps_ns[[0, -1]]
        assert first <= (seen.onset_ns if seen.onset_ns is not None else last) <= (seen.end_ns or last) <= last
        if seen.ray is not None:
            assert space == "points", "a ray has a place"
            assert np.linalg.norm(seen.ray[3:]) == pytest.approx(1, abs=1e-5)


def test_keeps_nothing_and_changes_nothing(sees, clips):
    given = clips(sees)
    first = flat(sees.see(given))
    sees.see(clips(sees, END_S - 1.7))
    same(flat(sees.see(given)), first)


def test_a_batch_is_its_singles_in_any_order(sees, clips):
    given = clips(sees)
    whole = flat(sees.see(given))
    singles = [flat(sees.see(only(given, [row])), [row]) for row in range(len(given))]
    same(sorted((x for one in singles for x in one), key=lambda x: x[:2]), sorted(whole, key=lambda x: x[:2]))
    order = [2, 0, 1]
    same(flat(sees.see(only(given, order)), order), whole)


def test_nobody_and_who_is_not_seen_do_nothing(sees, clips):
    given = clips(sees)
    assert list(sees.see(only(given, []))) == []
    missing = {name: np.full_like(getattr(given, name), np.nan) for name in ("keypoints", "points", "local_points",
                                                                             "measures")}
    blind = frozen(dataclasses.replace(given, **missing, scores=np.zeros_like(given.scores)))
    assert list(sees.see(blind)) == []


def test_holes_do_no_harm(sees, clips, rng):
    """A third of the keypoints missing at any time, some all the time, and one who came just now."""
    given = clips(sees)
    holes = rng.random(given.scores.shape) < 0.3
    holes[:, :, rng.random(given.scores.shape[2]) < 0.2] = True
    holes[0, :-1] = True
    columns = {name: np.where(holes[..., None], np.nan, getattr(given, name))
               for name in ("keypoints", "points", "local_points")}
    spoilt = frozen(dataclasses.replace(given, **columns, scores=np.where(holes, 0, given.scores)))
    for seen in sees.see(spoilt):
        assert 0 <= seen.score <= 1
        assert np.isfinite(list(seen.values.values())).all()


def test_time_of_day_does_not_matter(sees, clips):
    given = clips(sees)
    later = frozen(dataclasses.replace(given, stamps_ns=given.stamps_ns + 10**15))
    shifted = [
        dataclasses.replace(seen, onset_ns=seen.onset_ns and seen.onset_ns - 10**15,
                            end_ns=seen.end_ns and seen.end_ns - 10**15)
        for seen in sees.see(later)
    ]
    same(flat(shifted), flat(sees.see(given)))
