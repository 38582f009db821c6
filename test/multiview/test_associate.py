# SPDX-License-Identifier: Apache-2.0
"""Who is one person in one camera is the same one in the others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes import EPOCH_NS, Faults, Recording, Shot, circling, crossing, observe, rig, stand, walker

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview.associate import associate
from pose_ros.multiview.gather import world_poses
from pose_ros.multiview.rig import Rig
from pose_ros.skeletons import catalogue


def whole_ticks(recording: Recording) -> list[list[Shot]]:
    """Return the moments of which no camera dropped its image."""
    return [[shot for shot in shots if shot] for shots in recording.ticks() if None not in shots]


def who(groups: np.ndarray, shots: list[Shot]) -> list[set[int]]:
    """Return who is in each group."""
    return [{int(shots[v].true_ids[row]) for v, row in enumerate(group) if row >= 0} for group in groups]


@pytest.mark.parametrize("skeleton", ["coco17", "mediapipe33"])
@pytest.mark.parametrize("cameras", [2, 3, 5])
def test_groups_are_one_person_each(cameras: int, skeleton: str) -> None:
    whole = rig(cameras, models=("plumb_bob", "equidistant"), sizes=((1280, 720), (640, 480)))
    faults = Faults(sigma_px=2, spread=0.3, outliers=0.03, misses=0.05)
    recording = observe(circling(4), whole, skeleton, seconds=1, rate_hz=10, faults=faults, seed=3)
    mixed = groups = together = alone = 0
    for shots in whole_ticks(recording):
        found = associate(whole, [shot.poses for shot in shots])
        people = who(found, shots)
        mixed += sum(len(ids) > 1 for ids in people)
        groups += len(people)
        together += (found >= 0).sum()
        times = np.bincount(np.concatenate([shot.true_ids for shot in shots]))
        alone += times[times > 1].sum()
    assert groups > 20
    # Two cameras see people at the crossing of two planes with both, who may be nobody.
    assert mixed <= (0.05 * groups if cameras == 2 else 0)
    assert together > 0.85 * alone


def test_nobody_is_in_two_groups() -> None:
    whole = rig(4)
    recording = observe(crossing(3), whole, faults=Faults(sigma_px=3, misses=0.1), seconds=1, seed=2)
    for shots in whole_ticks(recording):
        groups = associate(whole, [shot.poses for shot in shots])
        for v, rows in enumerate(groups.T):
            rows = rows[rows >= 0]
            assert len(set(rows.tolist())) == len(rows)
            assert (rows < len(shots[v].poses)).all()


def test_those_who_were_there_before_come_first_and_keep_their_places() -> None:
    whole = rig(3)
    recording = observe(circling(3), whole, faults=Faults(sigma_px=2), seconds=0.2)
    shots = whole_ticks(recording)[0]
    truth = recording.truth(shots[0].stamp_ns)
    points = np.concatenate([truth.points("coco17")[0][[2, 0]], np.full((1, 17, 3), 50.0)])
    groups = associate(whole, [shot.poses for shot in shots], world_poses(shots[0].poses.skeleton, points))
    people = who(groups, shots)
    assert people[:3] == [{int(truth.ids[2])}, {int(truth.ids[0])}, set()]
    assert people[3:] == [{int(truth.ids[1])}]


def test_one_camera_is_enough_for_who_was_there_before() -> None:
    whole = rig(3)
    recording = observe(walker(), whole, seconds=0.2)
    shots = whole_ticks(recording)[0]
    nobody = Poses.empty(shots[0].poses.skeleton)
    previous = world_poses(nobody.skeleton, recording.truth(shots[0].stamp_ns).points("coco17")[0])
    views = [shots[0].poses, nobody, nobody]
    assert associate(whole, views).shape == (0, 3)
    assert associate(whole, views, previous).tolist() == [[0, -1, -1]]


def test_a_position_that_is_out_of_date_does_not_hold_who_is_seen_elsewhere() -> None:
    """One camera alone fits the old position; two others say where the subject is."""
    whole = rig(3)
    recording = observe([dataclasses.replace(walker()[0], path=stand())], whole, seconds=0.1)
    shots = whole_ticks(recording)[0]
    points = recording.truth(shots[0].stamp_ns).points("coco17")[0]
    ray = whole.cameras[0].centre - points[0].mean(axis=0)
    previous = world_poses(shots[0].poses.skeleton, points + 0.08 * ray)
    alone = [shots[0].poses, *[Poses.empty(shots[0].poses.skeleton)] * 2]
    assert associate(whole, alone, previous).tolist() == [[0, -1, -1]]
    groups = associate(whole, [shot.poses for shot in shots], previous)
    assert groups.tolist() == [[-1, -1, -1], [0, 0, 0]]


def test_hands_of_different_sides_and_people_are_different() -> None:
    whole = rig(3)
    rng = np.random.default_rng(0)
    skeleton = catalogue.get("hand21")
    hand = rng.uniform(-0.08, 0.08, (21, 3)) + np.array([0, 0, 1])
    # Two hands so near to one another that only their sides, or whose they are, tell them apart.
    hands = np.stack([hand, hand + 0.01])
    pixels = whole.project(hands)

    def views(column: str, values: tuple[int, int]) -> list[Poses]:
        both = [Poses(skeleton, seen, np.ones((2, 21))).replace(**{column: list(values)}) for seen in pixels]
        return [both[0], both[1].select(np.array([1, 0])), both[2]]

    for column, values in (("sides", (LEFT, RIGHT)), ("parents", (4, 9))):
        assert sorted(associate(whole, views(column, values)).tolist()) == [[0, 1, 0], [1, 0, 1]]
    swapped = views("sides", (LEFT, RIGHT))
    swapped[1] = swapped[1].replace(sides=[LEFT, RIGHT])
    assert sorted(associate(whole, swapped).tolist()) == [[0, 0, 0], [1, 1, 1]]


def test_empty_views_and_other_counts_of_them() -> None:
    whole = rig(2)
    nobody = Poses.empty(catalogue.get("coco17"))
    assert associate(whole, [nobody, nobody]).shape == (0, 2)
    assert associate(Rig([]), []).shape == (0, 0)
    with pytest.raises(ShapeError, match="one for each camera"):
        associate(whole, [nobody])
    with pytest.raises(ConfigError, match="coco17, hand21"):
        associate(whole, [nobody, Poses.empty(catalogue.get("hand21"))])


def test_the_same_input_gives_the_same_groups() -> None:
    whole = rig(4)
    shots = whole_ticks(observe(crossing(3), whole, seconds=0.1))[0]
    assert shots[0].stamp_ns >= EPOCH_NS
    views = [shot.poses for shot in shots]
    first = associate(whole, views)
    np.testing.assert_array_equal(first, associate(whole, views))
