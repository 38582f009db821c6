# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pose_ros.core.poses import Poses, Source, TrackState, concatenate
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.track import Tracker, TrackerOptions

BODY = Skeleton("body", ("head", "left", "right", "foot"))
#: A person 40 wide and 100 high around the origin.
SHAPE = np.float32([[0, -50], [-20, 0], [20, 0], [0, 50]])
SECOND = 1_000_000_000


def people(*places: Sequence[float], jitter: np.random.Generator | None = None) -> Poses:
    keypoints = np.float32([SHAPE + np.float32(p) for p in places]).reshape(-1, 4, 2)
    if jitter is not None:
        keypoints = keypoints + jitter.normal(0, 1.5, keypoints.shape)
    return Poses(BODY, keypoints, np.ones((len(places), 4)))


def ids_over_time(tracker: Tracker, frames: Sequence[Poses], step_s: float = 1 / 30) -> list[list[int]]:
    return [tracker.update(p, round(i * step_s * SECOND))[0].ids.tolist() for i, p in enumerate(frames)]


def test_a_new_subject_is_new_once_and_grows_older():
    tracker = Tracker()
    states, ages = [], []
    for i in range(3):
        poses, ended = tracker.update(people((100 + i, 100)), i * SECOND // 10)
        states.append(poses.states[0])
        ages.append(int(poses.ages_ns[0]))
        assert poses.ids.tolist() == [1]
        assert list(ended) == []
    assert states == [TrackState.NEW, TrackState.TRACKED, TrackState.TRACKED]
    assert ages == [0, SECOND // 10, SECOND // 5]


def test_ids_follow_people_and_not_rows():
    tracker = Tracker()
    assert ids_over_time(tracker, [people((100, 100), (300, 100)), people((302, 100), (101, 100))]) == [[1, 2], [2, 1]]


@pytest.mark.parametrize("fps", [10, 30])
def test_people_who_cross_keep_their_ids(fps, rng):
    steps = np.linspace(0, 1, 2 * fps)
    frames = [people((100 + 300 * t, 100), (400 - 300 * t, 110), jitter=rng) for t in steps]
    ids = ids_over_time(Tracker(), frames, 1 / fps)
    assert all(row == [1, 2] for row in ids)


def test_people_who_meet_and_turn_back_keep_their_ids():
    """Velocity says that they cross; their sizes say that they do not."""
    apart = [3 * abs(i - 15) for i in range(31)]
    tall = [Poses(BODY, (SHAPE * 1.6 + np.float32([200 + x, 100]))[None], np.ones((1, 4))) for x in apart]
    frames = [concatenate([t, people((200 - x, 100))]) for t, x in zip(tall, apart, strict=True)]
    assert all(row == [1, 2] for row in ids_over_time(Tracker(), frames))


def test_people_in_the_same_box_are_told_by_their_limbs():
    other = SHAPE[[3, 1, 2, 0]]
    both = Poses(BODY, np.float32([SHAPE, other]) + 100, np.ones((2, 4)))
    swapped = both.select(np.array([1, 0]))
    assert ids_over_time(Tracker(), [both, swapped, both]) == [[1, 2], [2, 1], [1, 2]]


def test_a_gap_shorter_than_max_lost_keeps_the_id():
    tracker = Tracker(TrackerOptions(max_lost=1.0))
    walk = [people((100 + 6 * i, 100)) for i in range(40)]
    for i in range(10, 30):
        walk[i] = people()
    ids = ids_over_time(tracker, walk)
    assert ids[9] == [1]
    assert ids[10:30] == [[]] * 20
    assert ids[30:] == [[1]] * 10


def test_a_longer_gap_ends_the_id_exactly_once():
    tracker = Tracker(TrackerOptions(max_lost=0.5))
    tracker.update(people((100, 100), (300, 100)), 0)
    ended = [list(tracker.update(people((100, 100)), round(t * SECOND))[1]) for t in (0.1, 0.4, 0.5, 0.6, 0.7)]
    assert ended == [[], [], [], [2], []]
    poses, gone = tracker.update(people((100, 100), (300, 100)), SECOND)
    assert poses.ids.tolist() == [1, 3]
    assert list(gone) == []


def test_nobody_ends_while_no_image_comes():
    tracker = Tracker(TrackerOptions(max_lost=0.5, max_stall=4.0))
    for t in (0.0, 0.1, 3.9):
        poses, ended = tracker.update(people((100, 100), (300, 100)), round(t * SECOND))
        assert (poses.ids.tolist(), list(ended)) == ([1, 2], [])
    # One is missing from the first image after the next pause: it may be in the second one, but not much later.
    found = [tracker.update(people((100, 100)), round(t * SECOND)) for t in (6.0, 6.1)]
    assert [(poses.ids.tolist(), list(ended)) for poses, ended in found] == [([1], []), ([1], [2])]


def test_a_very_long_pause_ends_everybody():
    tracker = Tracker(TrackerOptions(max_stall=4.0))
    tracker.update(people((100, 100)), 0)
    poses, ended = tracker.update(people((100, 100)), 4 * SECOND + 1)
    assert (poses.ids.tolist(), list(ended)) == ([2], [1])


def test_enter_and_leave():
    tracker = Tracker(TrackerOptions(max_lost=0.2))
    counts = [0, 1, 3, 1, 0, 0, 0, 0, 2]
    spots = [(100, 100), (300, 100), (500, 100)]
    ids, ended = [], []
    for i, count in enumerate(counts):
        poses, gone = tracker.update(people(*spots[:count]), i * SECOND // 10)
        assert len(poses) == count
        ids.append(poses.ids.tolist())
        ended += gone
    assert ids == [[], [1], [1, 2, 3], [1], [], [], [], [], [4, 5]]
    assert sorted(ended) == [1, 2, 3]


def test_ids_are_never_given_twice():
    tracker = Tracker(TrackerOptions(max_lost=0.0))
    seen: list[int] = []
    for i in range(20):
        poses, _ = tracker.update(people((100 + 200 * (i % 2), 100 + 150 * (i % 3))), i * SECOND)
        seen += poses.ids.tolist()
        if i % 7 == 6:
            tracker.reset()
    assert len(set(seen)) == len(seen)


def test_a_jump_back_in_time_starts_over():
    tracker = Tracker()
    tracker.update(people((100, 100)), 10 * SECOND)
    poses, ended = tracker.update(people((100, 100)), 9 * SECOND)
    assert list(ended) == [1]
    assert poses.ids.tolist() == [2]
    assert poses.states.tolist() == [TrackState.NEW]
    assert poses.ages_ns.tolist() == [0]


def test_reset_ends_all_ids_once():
    tracker = Tracker()
    tracker.update(people((100, 100), (300, 100)), 0)
    assert sorted(tracker.reset()) == [1, 2]
    assert list(tracker.reset()) == []


def test_time_may_pass_unevenly_or_not_at_all():
    tracker = Tracker()
    for t in (0, 0.03, 0.03, 0.04, 0.2, 0.21, 0.6):
        poses, _ = tracker.update(people((100 + 200 * t, 100)), round(t * SECOND))
        assert poses.ids.tolist() == [1]
        assert np.isfinite(poses.keypoints).all()


def test_the_same_input_gives_the_same_ids():
    def run() -> list[list[int]]:
        r = np.random.default_rng(3)
        return ids_over_time(Tracker(), [people(*r.uniform(0, 300, (r.integers(0, 6), 2))) for _ in range(60)])

    assert run() == run()


def test_a_subject_without_a_place_has_no_id_and_disturbs_nobody():
    tracker = Tracker()
    for i in range(3):
        poses = people((100, 100), (300, 100))
        poses.keypoints[1] = np.nan
        tracked, _ = tracker.update(poses, i * SECOND // 30)
        assert tracked.ids.tolist() == [1, 0]
        assert tracked.states[1] == TrackState.UNTRACKED
    assert tracker.update(people((100, 100), (300, 100)), SECOND)[0].ids.tolist() == [1, 2]


def test_missing_keypoints_are_bridged():
    tracker = Tracker()
    tracker.update(people((100, 100)), 0)
    for i, missing in enumerate(([0], [1, 2], [0, 1, 2], [3])):
        poses = people((100 + i, 100))
        poses.keypoints[0, missing] = np.nan
        poses = poses.replace(boxes=np.float32([[80 + i, 50, 120 + i, 150]]))
        assert tracker.update(poses, (i + 1) * SECOND // 30)[0].ids.tolist() == [1], missing


def test_boxes_alone_are_enough():
    tracker = Tracker()
    for i in range(5):
        poses = Poses(BODY, np.full((1, 4, 2), np.nan), np.zeros((1, 4)), boxes=[[100 + 9 * i, 50, 140 + 9 * i, 150]])
        assert tracker.update(poses, i * SECOND // 30)[0].ids.tolist() == [1]


def test_what_came_is_published_as_it_came():
    poses = people((100, 100)).replace(regions=np.ones((1, 5)), local_points=np.ones((1, 4, 3)))
    tracked, _ = Tracker().update(poses, 0)
    for name in ("keypoints", "scores", "boxes", "sources", "regions", "local_points"):
        np.testing.assert_array_equal(getattr(tracked, name), getattr(poses, name))
    assert poses.ids.tolist() == [0]


def test_predicted_subjects_follow_on_request():
    tracker = Tracker(TrackerOptions(predict=0.5, max_lost=1.0))
    for i in range(10):
        tracker.update(people((100 + 3 * i, 100), (400, 100)).replace(points=np.ones((2, 4, 3))), i * SECOND // 30)
    poses, ended = tracker.update(people((400, 100)), 19 * SECOND // 30)
    assert poses.ids.tolist() == [2, 1]
    assert poses.states.tolist() == [TrackState.TRACKED, TrackState.PREDICTED]
    np.testing.assert_allclose(poses.keypoints[1], SHAPE + np.float32([100 + 3 * 19, 100]), atol=0.5)
    assert (poses.sources[1] == Source.HELD).all()
    assert 0 < poses.scores[1, 0] < 1
    assert poses.ages_ns[1] == 19 * SECOND // 30
    assert poses.points is None, "a place in metres is not carried on"
    assert list(ended) == []
    poses, ended = tracker.update(people((400, 100)), 25 * SECOND // 30)
    assert poses.ids.tolist() == [2], "beyond 'predict' it is kept in mind and not published"
    assert list(ended) == []
    ended = [list(tracker.update(people((400, 100)), t * SECOND // 30)[1]) for t in (39, 40, 41)]
    assert ended == [[], [1], []]


def test_another_skeleton_starts_over():
    tracker = Tracker()
    tracker.update(people((100, 100)), 0)
    other = Skeleton("other", ("a",))
    poses, ended = tracker.update(Poses(other, np.float32([[[100, 100]]]), np.ones((1, 1))), 1)
    assert list(ended) == [1]
    assert poses.ids.tolist() == [2]


def test_parts_are_the_same_only_on_the_same_side_of_the_same_subject():
    """Hands that change places between two images are told by whose they are, not by where they were."""
    tracker = Tracker()
    hands = people((100, 100), (112, 100)).replace(parents=np.array([1, 1]), sides=np.array([1, 2]))
    assert tracker.update(hands, 0)[0].ids.tolist() == [1, 2]
    assert tracker.update(hands.replace(sides=np.array([2, 1])), SECOND // 30)[0].ids.tolist() == [2, 1]
    others = hands.replace(parents=np.array([2, 2]))
    assert tracker.update(others, SECOND // 15)[0].ids.tolist() == [3, 4]
    # Nobody knows whose these are.
    assert tracker.update(others.replace(parents=np.array([0, 0])), SECOND // 10)[0].ids.tolist() == [3, 4]


def test_a_subject_is_called_what_it_was_called_most_often():
    tracker = Tracker()
    heard = [tracker.update(people((100, 100)).replace(labels=np.array([label])), i * SECOND // 30)[0].labels[0]
             for i, label in enumerate(["dog", "dog", "cat", "dog", "cat", "cat", "cat"])]
    assert heard == ["dog"] * 6 + ["cat"]
