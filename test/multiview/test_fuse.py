# SPDX-License-Identifier: Apache-2.0
"""What cameras see becomes subjects in the world, whatever happens to the cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from scenes import EPOCH_NS, Faults, Person, crossing, observe, rig, walker
from scenes.scoring import Score, score

from pose_ros.core.poses import LEFT, RIGHT, Poses, Source
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.multiview.fuse import Fuser, FuserOptions
from pose_ros.multiview.health import Judge
from pose_ros.multiview.parents import with_parents
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.sync import Sync, SyncOptions
from pose_ros.skeletons import catalogue

Views = Mapping[str, tuple[int, Poses]]
MIXED = rig(5, models=("plumb_bob", "equidistant"), sizes=((1280, 720), (640, 480)))


def fused(
    people: Sequence[Person],
    whole: Rig,
    faults: Faults,
    change: Callable[[int, dict[str, tuple[int, Poses]]], Views] = lambda tick, views: views,
    believed: Rig | None = None,
    skeleton: str = "coco17",
    seconds: float = 1.5,
    options: FuserOptions | None = None,
) -> tuple[Fuser, list[tuple[int, Poses]], Score]:
    """Return the fuser, what it said, and how good that is, of people before cameras that it believes to stand so."""
    recording = observe(people, whole, skeleton, faults=faults, seconds=seconds, seed=1)
    fuser, said = Fuser(options), []
    for tick, shots in enumerate(recording.ticks()):
        views = change(tick, {shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots if shot})
        if views:
            stamps = [stamp for stamp, _ in views.values()]
            stamp = (min(stamps) + max(stamps)) // 2
            said.append((stamp, fuser(believed or whole, views, stamp)))
    return fuser, said, score(said, list(people))


def turned(whole: Rig, name: str, degrees: float) -> Rig:
    """Return the rig as somebody believes it is who does not know that a camera was turned."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return Rig([
        PosedCamera(one.name, one.camera, turn @ one.rotation, turn @ one.translation) if one.name == name else one
        for one in whole
    ])  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> tuple[Fuser, list[tuple[int, Poses]], Score]:
    return fused(crossing(3), MIXED, Faults(sigma_px=1, sigma_size=0.006))


def test_people_are_where_they_were(plain: tuple[Fuser, list[tuple[int, Poses]], Score]) -> None:
    fuser, said, result = plain
    assert result.nobodies == 0
    assert result.share > 0.98
    assert np.median(result.errors_m) < 0.03
    assert 0.7 < result.square < 1.4
    assert result.inside > 0.9
    assert fuser.health.keys() == {one.name for one in MIXED}
    for health in fuser.health.values():
        assert health.dropped < 0.05
        assert not health.left_out
        assert 1 < health.residual < 8
    stamp, poses = said[-1]
    assert np.isnan(poses.keypoints).all()
    assert poses.views is not None
    assert poses.reprojection_errors is not None
    measured = poses.sources == Source.MEASURED
    assert measured.mean() > 0.95
    assert (poses.views[measured] >= 2).all()
    assert np.isfinite(poses.reprojection_errors[measured]).all()
    assert (poses.scores[measured] > 0).all()
    assert stamp > EPOCH_NS
    for name, rows in fuser.members.items():
        assert name in fuser.health
        assert rows.shape == (len(poses),)


def test_faults_of_networks_are_borne() -> None:
    faults = Faults(sigma_px=2, spread=0.4, outliers=0.05, swaps=0.02, misses=0.05, drops=0.05)
    _, said, result = fused(crossing(3), MIXED, faults)
    assert result.nobodies <= 0.02 * sum(len(poses) for _, poses in said)
    assert result.share > 0.93
    assert np.median(result.errors_m) < 0.035
    assert result.inside > 0.85


def test_cameras_that_are_not_triggered_together_are_moved_to_one_moment() -> None:
    faults = Faults(sigma_px=1, offsets_s=(0, 0.03, 0.05, 0.06, 0.02), jitter_s=0.003, occlusion=False)
    _, _, moved = fused(crossing(3), MIXED, faults)

    def at_once(tick: int, views: Views) -> Views:
        middle = (min(s for s, _ in views.values()) + max(s for s, _ in views.values())) // 2
        return {name: (middle, poses) for name, (_, poses) in views.items()}

    _, _, not_moved = fused(crossing(3), MIXED, faults, at_once)
    together = fused(crossing(3), MIXED, Faults(sigma_px=1, occlusion=False))[2]
    assert moved.errors_m.mean() < 0.75 * not_moved.errors_m.mean()
    assert moved.errors_m.mean() < 1.5 * together.errors_m.mean()


@pytest.mark.parametrize(
    ("cameras", "degrees"), [("01234", 1.0), ("01234", 10.0), ("013", 1.0), ("013", 2.0), ("013", 10.0)]
)
def test_a_camera_that_was_turned_is_named_and_left_out(cameras: str, degrees: float) -> None:
    faults = Faults(sigma_px=1, sigma_size=0.006, occlusion=False)
    some = Rig([one for one in MIXED if one.name[-1] in cameras])
    fuser, _, result = fused(crossing(3), some, faults, believed=turned(some, "camera1", degrees))
    assert [name for name, health in fuser.health.items() if health.left_out] == ["camera1"]
    assert not any(health.suspect for health in fuser.health.values())
    assert fuser.health["camera1"].misfit > 1.75
    without = fused(crossing(3), Rig([one for one in some if one.name != "camera1"]), faults)[2]
    late = slice(len(result.errors_m) // 2, None)
    assert result.errors_m[late].mean() < 1.2 * without.errors_m[late].mean()


def test_a_camera_that_was_turned_is_only_named_if_that_is_wanted() -> None:
    fuser = Fuser(FuserOptions(leave_out=False))
    believed = turned(MIXED, "camera1", 1.0)
    for shots in observe(crossing(3), MIXED, faults=Faults(sigma_px=1), seconds=1).ticks():
        views = {shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots if shot}
        fuser(believed, views, next(iter(views.values()))[0])
    assert [name for name, health in fuser.health.items() if health.suspect] == ["camera1"]
    assert not any(health.left_out for health in fuser.health.values())
    assert "camera1" in fuser.members


def test_a_camera_that_agrees_again_is_taken_back() -> None:
    wrong, fuser = turned(MIXED, "camera1", 5.0), Fuser()
    recording = observe(crossing(3), MIXED, faults=Faults(sigma_px=1, occlusion=False), seconds=4)
    out = []
    for tick, shots in enumerate(recording.ticks()):
        views = {shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots if shot}
        fuser(wrong if tick < 40 else MIXED, views, next(iter(views.values()))[0])
        out.append(fuser.health["camera1"].left_out)
    assert out[39]
    assert not out[-1]


def test_between_two_cameras_none_is_left_out_but_both_are_suspects() -> None:
    two = rig(2)
    for degrees in (0.0, 4.0):
        fuser, _, _ = fused(crossing(2), two, Faults(sigma_px=1), believed=turned(two, "camera1", degrees), seconds=1)
        assert not any(health.left_out for health in fuser.health.values())
        assert [health.suspect for health in fuser.health.values()] == [degrees > 0] * 2


def judged(looks: Mapping[str, float], seconds: float, judge: Judge | None = None, start: float = 0.0) -> Judge:
    """Return what is thought of cameras whose sights deviate so much, where the others do as noise does."""
    judge = judge or Judge()
    for t in np.arange(start, start + seconds, 0.05):
        for name, own in looks.items():
            judge.count(name, int(t * 1e9), np.full(20, own), np.ones(20), np.full(20, 2 * np.sqrt(own)))
        judge.decide(1.75, 8.0)
    return judge


def out(judge: Judge) -> list[str]:
    return [name for name, health in judge.health.items() if health.left_out]


def test_the_worst_camera_is_left_out_but_never_one_of_two_nor_of_those_that_are_alike() -> None:
    for looks, expected, suspects in (
        ({"a": 16, "b": 25}, [], ["a", "b"]),
        ({"a": 1, "b": 25, "c": 1}, ["b"], []),
        ({"a": 16, "b": 20, "c": 1}, [], ["a", "b"]),
        ({"a": 9, "b": 25, "c": 1, "d": 1}, ["b"], []),
        ({"a": 2, "b": 2.5, "c": 1, "d": 1}, [], []),
    ):
        judge = judged(looks, 0.6)
        assert out(judge) == expected
        assert [name for name, health in judge.health.items() if health.suspect] == suspects
        assert judge.trusted([*looks]) == [name for name in looks if name not in expected]
        assert judge.health["b"].misfit == pytest.approx(np.sqrt(looks["b"]), rel=0.1)
        assert judge.health["b"].residual == pytest.approx(2 * np.sqrt(looks["b"]), rel=0.1)
        assert judge.health["b"].dropped == (looks["b"] > 8)


def test_a_further_camera_takes_longer_to_be_left_out() -> None:
    judge = judged({"a": 9, "b": 25, "c": 1, "d": 1}, 1.5)
    assert out(judge) == ["b"]
    assert out(judged({"a": 9, "b": 25, "c": 1, "d": 1}, 1.5, judge, 1.5)) == ["a", "b"]


def test_a_camera_at_the_limit_does_not_flap() -> None:
    judge, changes, before = Judge(), [], False
    for i in range(60):
        judged({"a": 1, "b": 6 if i % 4 < 2 else 1, "c": 1}, 1, judge, i)
        if (out(judge) == ["b"]) != before:
            before = not before
            changes.append(i)
    # Out at once, back after ever longer; each is 2 s of agreeing too well.
    assert changes[0] == 0
    waits = np.diff(changes)[::2]
    assert (np.diff(waits) >= 0).all()
    assert waits[-1] >= 4 * waits[0]


def test_two_cameras_that_exchange_left_and_right_see_no_second_person() -> None:
    whole, skeleton = rig(5, models=("",)), catalogue.get("coco17")
    aside = [0.6 * (name.startswith("left") - name.startswith("right")) for name in skeleton.keypoints]
    person = np.column_stack([aside, np.zeros(17), np.linspace(1.8, 0.1, 17)])
    views = {
        one.name: (0, Poses(skeleton, one.project(person[skeleton.flip_index] if i in (0, 2) else person)[None],
                            np.ones((1, 17))))
        for i, one in enumerate(whole)
    }  # fmt: skip
    fuser = Fuser()
    poses = fuser(whole, views, 0)
    np.testing.assert_allclose(poses.points, person[None], atol=0.01)
    assert [name for name, rows in fuser.members.items() if rows[0] < 0] == ["camera0", "camera2"]


def test_cameras_that_contradict_one_another_are_told_apart_by_where_somebody_was() -> None:
    whole, skeleton = rig(4, models=("",)), catalogue.get("coco17")
    person, shift = np.random.default_rng(0).uniform([-0.3, -0.3, 0], [0.3, 0.3, 1.8], (17, 3)), np.array([0.3, 0, 0])
    wrist, fuser = skeleton.index["left_wrist"], Fuser()

    def look(tick: int, which: tuple[int, ...]) -> Poses:
        views = {}
        for i, one in enumerate(whole):
            points = person.copy()
            points[wrist] += shift * (i in which)
            views[one.name] = (tick * 33_000_000, Poses(skeleton, one.project(points)[None], np.ones((1, 17))))
        return fuser(whole, views, tick * 33_000_000)

    assert np.isnan(look(0, (2, 3)).points[0, wrist]).all()  # type: ignore[index]
    fuser.reset()
    for tick in range(4):
        look(tick, ())
    for tick in range(4, 40):
        poses = look(tick, (2, 3))
        np.testing.assert_allclose(poses.points, person[None], atol=0.01)
        assert poses.sources[0, wrist] == Source.MEASURED
        assert poses.views[0, wrist] == 2  # type: ignore[index]
        assert poses.reprojection_errors[0, wrist] < 1  # type: ignore[index]


def test_networks_that_are_less_exact_than_assumed_are_found_out() -> None:
    sizes = []
    for noise in (2.0, 5.0):
        fuser, _, result = fused(crossing(3), rig(5), Faults(sigma_px=noise, occlusion=False), seconds=2)
        sizes.append(fuser._watch.judge.noise)
        assert [one.misfit for one in fuser.health.values() if one.left_out or one.suspect] == []
        assert result.share > 0.95
        # Half a second passes before it is known.
        assert result.inside > 0.8
    assert sizes[0] < 1.6
    assert sizes[1] > 1.5


@pytest.mark.parametrize("cameras", [2, 5])
def test_ellipsoids_hold_what_they_say_with_few_cameras_and_many(cameras: int) -> None:
    """Of networks with nearly twice the noise that is assumed; it takes half a second to learn that."""
    people, faults = crossing(2), Faults(sigma_px=0.5, sigma_size=0.012, spread=0.3)
    _, said, _ = fused(people, rig(cameras), faults, seconds=3)
    result = score(said[20:], people)
    measured = result.squares[result.sources == Source.MEASURED]
    assert 0.8 < measured.mean() / 3 < 1.2
    assert 0.93 < (measured < 7.8147).mean() < 0.98


def test_a_camera_dies_and_comes_back() -> None:
    def dies(tick: int, views: Views) -> Views:
        return {name: view for name, view in views.items() if name != "camera2" or not 20 <= tick < 40}

    fuser, said, result = fused(crossing(3), MIXED, Faults(sigma_px=1, sigma_size=0.006), dies)
    assert [len(poses) for _, poses in said] == [3] * 45
    assert result.nobodies == 0
    assert np.percentile(result.errors_m, 95) < 0.1
    assert "camera2" in fuser.members
    assert not fuser.health["camera2"].left_out


def test_who_is_seen_by_one_camera_is_followed_for_a_while() -> None:
    def one_sees(tick: int, views: Views) -> Views:
        return {name: view for name, view in views.items() if name == "camera0" or tick < 20}

    people, faults = walker(), Faults(sigma_px=1, occlusion=False)
    _, said, result = fused(people, rig(3), faults, one_sees, options=FuserOptions(max_lost=0.5))
    inferred = result.sources == Source.INFERRED
    assert [len(poses) for _, poses in said[:34]] == [1] * 34
    assert not any(len(poses) for _, poses in said[36:])
    assert inferred.sum() > 15 * 14
    assert np.median(result.errors_m[inferred]) < 0.15
    # Not too sure of it, and less and less.
    assert np.nanmean(result.squares[inferred]) / 3 < 1.5
    sure = [np.nanmedian(np.trace(poses.covariances[0], axis1=1, axis2=2)) for _, poses in said[19:34]]  # type: ignore[index]
    assert (np.diff(sure[::3]) > 0).all()


def test_people_leave() -> None:
    recording = observe(crossing(3), MIXED, faults=Faults(sigma_px=1), seconds=1.5)
    fuser, counts = Fuser(FuserOptions(max_lost=0.2)), []
    for tick, shots in enumerate(recording.ticks()):
        views = {
            shot.camera.name: (shot.stamp_ns, shot.poses.select(shot.true_ids != 2) if tick >= 20 else shot.poses)
            for shot in shots if shot
        }  # fmt: skip
        counts.append(len(fuser(MIXED, views, next(iter(views.values()))[0])))
    assert counts[:20] == [3] * 20
    assert counts[20:] == [2] * 25


def test_hands_keep_their_sides_and_people() -> None:
    whole, rng = rig(3), np.random.default_rng(0)
    hand = rng.uniform(-0.09, 0.09, (21, 3))
    hands = np.stack([hand, hand * [-1, 1, 1]]) + np.array([[[0.2, 0, 1]], [[-0.05, 0.1, 1]]])
    skeleton, body = catalogue.get("hand21"), catalogue.get("coco17")
    views, bodies, members = {}, {}, {}
    for i, one in enumerate(whole):
        order = rng.permutation(2)
        # Whoever is 7 in the world is 11, 12 and 13 in the cameras.
        pixels, sides = one.project(hands)[order], np.array([LEFT, RIGHT])[order]
        views[one.name] = (0, Poses(skeleton, pixels, np.ones((2, 21)), sides=sides, parents=[11 + i] * 2))
        bodies[one.name] = (0, Poses(body, np.full((1, 17, 2), np.nan), np.zeros((1, 17)), ids=[11 + i]))
        members[one.name] = np.array([0])
    poses = Fuser()(whole, with_parents(views, bodies, members, np.array([7])), 0)
    assert sorted(poses.sides.tolist()) == [LEFT, RIGHT]
    assert poses.parents.tolist() == [7, 7]
    np.testing.assert_allclose(poses.points, hands[poses.sides - LEFT], atol=1e-3)
    members["camera1"] = np.array([-1])
    told = with_parents(views, bodies, members, np.array([7]))
    assert [told[one.name][1].parents.tolist() for one in whole] == [[7, 7], [0, 0], [7, 7]]


def test_time_that_runs_backwards_starts_over(plain: tuple[Fuser, list[tuple[int, Poses]], Score]) -> None:
    recording = observe(walker(), MIXED, faults=Faults(sigma_px=1), seconds=0.5)
    turns = [{s.camera.name: (s.stamp_ns, s.poses) for s in shots if s} for shots in recording.ticks()]
    fuser, stamps = Fuser(), [next(iter(views.values()))[0] for views in turns]
    first = [fuser(MIXED, views, stamp) for views, stamp in zip(turns, stamps, strict=True)]
    again = [fuser(MIXED, views, stamp) for views, stamp in zip(turns, stamps, strict=True)]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.points, two.points)


def test_views_from_other_times_are_not_used() -> None:
    shots = [shot for shot in observe(walker(), MIXED, seconds=0.1).ticks()[0] if shot]
    views = {shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots}
    late = {name: (stamp - 10**9, poses) for name, (stamp, poses) in views.items()}
    fuser = Fuser()
    assert len(fuser(MIXED, late, EPOCH_NS)) == 0
    assert len(fuser(MIXED, late | {"camera0": views["camera0"]}, EPOCH_NS)) == 0
    assert len(fuser(MIXED, late | {n: views[n] for n in ("camera0", "camera2")}, EPOCH_NS)) == 1
    assert set(fuser.members) == {"camera0", "camera2"}


def test_unknown_cameras_and_mixed_skeletons_are_refused() -> None:
    nobody = Poses.empty(catalogue.get("coco17"))
    with pytest.raises(UnknownNameError, match="camera0"):
        Fuser()(MIXED, {"camera9": (0, nobody)}, 0)
    with pytest.raises(ConfigError, match="one skeleton"):
        Fuser()(MIXED, {"camera0": (0, nobody), "camera1": (0, Poses.empty(catalogue.get("hand21")))}, 0)
    with pytest.raises(ConfigError, match="one view at least"):
        Fuser()(MIXED, {}, 0)


def test_sync_waits_for_all_cameras() -> None:
    sync: Sync[str] = Sync(("a", "b", "c"))
    assert sync("a", 1_000_000, "a0") is None
    assert sync("b", 5_000_000, "b0") is None
    found = sync("c", 3_000_000, "c0")
    assert found is not None
    assert found.stamp_ns == 3_000_000
    assert found.views == {"a": (1_000_000, "a0"), "b": (5_000_000, "b0"), "c": (3_000_000, "c0")}
    assert not sync.dropped


def test_sync_takes_the_newer_of_two_and_counts_the_rest() -> None:
    sync: Sync[int] = Sync(("slow", "fast"), SyncOptions(tolerance=0.02))
    done = []
    for millisecond in range(0, 1000):
        for name, period in (("fast", 16), ("slow", 33)):
            if millisecond % period == 0:
                found = sync(name, millisecond * 1_000_000, millisecond)
                if found:
                    done.append(found)
    assert len(done) == len(range(0, 1000, 33))
    assert all(len(found.views) == 2 for found in done)
    assert all(abs(found.views["fast"][0] - found.views["slow"][0]) <= 20_000_000 for found in done)
    assert sync.dropped["slow"] == 0
    assert 30 <= sync.dropped["fast"] <= 34


def test_sync_does_not_wait_long_for_the_dead() -> None:
    sync: Sync[int] = Sync(("a", "b", "c"), SyncOptions(tolerance=0.02, max_wait=0.1, max_silence=0.5))
    sets: list[tuple[int, int]] = []
    for tick in range(100):
        for i, name in enumerate("abc"):
            if name == "c" and 20 <= tick < 70:
                continue
            found = sync(name, (tick * 33 + i) * 1_000_000, tick)
            if found:
                sets.append((tick, len(found.views)))
    whole = dict(sets)
    assert all(whole[tick] == 3 for tick in range(20))
    # Half a second 0.1 s late, then at once; nothing that the others saw is lost.
    assert 12 <= sum(20 <= tick < 36 for tick, _ in sets) <= 14
    assert sync.dropped.keys() <= {"c"}
    assert all(whole[tick] == 2 for tick in range(40, 70))
    assert all(whole[tick] == 3 for tick in range(72, 100))


def test_sync_starts_over_when_time_is_set_back() -> None:
    sync: Sync[int] = Sync(("a", "b"))
    assert sync("a", 10**12, 0) is None
    assert sync("b", 10**12, 0) is not None
    assert sync("a", 10**9, 1) is None
    assert sync("b", 10**9, 1) is not None
    with pytest.raises(UnknownNameError, match="a, b"):
        sync("d", 0, 0)
