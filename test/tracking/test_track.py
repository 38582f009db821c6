# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pose_ros.core.poses import Poses, Source, TrackState, concatenate
from pose_ros.core.skeleton import Skeleton
from pose_ros.tracking.track import Numbers, Tracker, TrackerOptions

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
    # Of two, one was missing before the pause: only that one ends.
    assert tracker.update(people((100, 100), (300, 100)), round(6.2 * SECOND))[0].ids.tolist() == [1, 3]
    tracker.update(people((300, 100)), round(6.3 * SECOND))
    poses, ended = tracker.update(people((300, 100)), 9 * SECOND)
    assert (poses.ids.tolist(), list(ended)) == ([3], [1])


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


def test_who_is_predicted_is_called_so_as_well():
    tracker = Tracker(TrackerOptions(predict=0.5))
    for i, label in enumerate(["dog", "dog", "cat"]):
        tracker.update(people((100, 100)).replace(labels=np.array([label])), i * SECOND // 30)
    assert tracker.update(people(), 3 * SECOND // 30)[0].labels.tolist() == ["dog"]


def test_who_stays_away_is_predicted_and_then_lost_and_then_has_ended():
    tracker = Tracker(TrackerOptions(predict=0.3, max_lost=0.6, report_lost=True))
    dogs = people((100, 100), (400, 100)).replace(labels=np.array(["dog", "cat"]))
    for t in (0.0, 0.1):
        tracker.update(dogs, round(t * SECOND))
    story = []
    for t in (0.2, 0.3, 0.4, 0.5, 0.7, 0.8):
        poses, ended = tracker.update(dogs.select(np.array([0])), round(t * SECOND))
        assert poses.ids[0] == 1
        story.append((poses.states[1:].tolist(), list(ended)))
        if t == 0.5:
            lost = poses
    predicted, gone = ([TrackState.PREDICTED], []), ([TrackState.LOST], [])
    assert story == [predicted, predicted, gone, gone, gone, ([], [2])]
    assert (lost.ids[1], lost.labels[1], lost.ages_ns[1]) == (2, "cat", SECOND // 2)
    assert np.isnan(lost.keypoints[1]).all()
    assert (lost.scores[1] == 0).all()
    assert (lost.sources[1] == Source.MISSING).all()
    np.testing.assert_array_equal(lost.boxes[1], [380, 50, 420, 150])


def test_lost_subjects_are_left_out_unless_asked_for():
    tracker = Tracker()
    tracker.update(people((100, 100)), 0)
    assert len(tracker.update(people(), SECOND // 10)[0]) == 0


def test_all_states_are_told_where_nothing_is_predicted():
    tracker = Tracker(TrackerOptions(report_lost=True))
    states = [tracker.update(p, i * SECOND // 10)[0].states.tolist()
              for i, p in enumerate([people((100, 100)), people((100, 100)), people(), people((100, 100))])]
    assert states == [[TrackState.NEW], [TrackState.TRACKED], [TrackState.LOST], [TrackState.TRACKED]]


def test_ids_restart_on_request():
    def played_twice(restart: bool) -> list[list[int]]:
        tracker = Tracker(TrackerOptions(restart_ids=restart))
        frames = [people((100, 100), (300, 100)), people((100, 100), (300, 100), (500, 100))]
        return [tracker.update(frames[t], t * SECOND)[0].ids.tolist() for t in (0, 1, 0, 1)]

    assert played_twice(True) == [[1, 2], [1, 2, 3]] * 2
    assert played_twice(False) == [[1, 2], [1, 2, 3], [4, 5], [4, 5, 6]]


def test_trackers_that_share_numbers_restart_them_once():
    numbers, options = Numbers(), TrackerOptions(restart_ids=True)
    bodies, hands = Tracker(options, numbers), Tracker(options, numbers)
    for _ in range(3):
        for t in (1, 2):
            found = [tracker.update(people((100, 100)), t * SECOND)[0].ids.tolist() for tracker in (bodies, hands)]
            assert found == [[1], [2]]
    for tracker in (bodies, hands):
        tracker.reset()
    assert [tracker.update(people((100, 100)), 0)[0].ids.tolist() for tracker in (bodies, hands)] == [[1], [2]]


def test_the_speed_of_playing_does_not_matter():
    """All comes from stamps: any clock may pass between two calls, and stamps may be of any epoch."""
    r = np.random.default_rng(5)
    frames = [people(*r.uniform(0, 400, (4, 2))) for _ in range(3)] * 4
    early = ids_over_time(Tracker(), frames)
    tracker = Tracker()
    late = [tracker.update(p, 10**18 + round(i / 30 * SECOND))[0].ids.tolist() for i, p in enumerate(frames)]
    assert early == late


def in_a_room(*places: Sequence[float]) -> Poses:
    """Return people without an image, metres."""
    shape = np.float32([[0, 0, 1.7], [-0.2, 0, 1.4], [0.2, 0, 1.4], [0, 0, 0]])
    points = np.float32([shape + np.float32([*p, 0]) for p in places]).reshape(-1, 4, 3)
    n = len(points)
    return Poses(BODY, np.full((n, 4, 2), np.nan), np.ones((n, 4)), points=points, covariances=np.ones((n, 4, 3, 3)),
                 sources=np.full((n, 4), Source.MEASURED), views=np.full((n, 4), 3))  # fmt: skip


@pytest.mark.parametrize(("fps", "speed"), [(5, 1.2), (30, 1.2), (10, 5.0)])
def test_people_in_a_room_have_ids_without_pixels(fps, speed):
    tracker = Tracker()
    for i in range(3 * fps):
        walked = speed * min(i / fps, 0.5) ** 2 + speed * max(i / fps - 0.5, 0)  # nobody runs at once
        both = in_a_room((walked, 0), (3 - walked, 0.4)).select(np.array([i % 2, 1 - i % 2]))
        assert tracker.update(both, round(i / fps * SECOND))[0].ids.tolist() == [1 + i % 2, 2 - i % 2]


def test_people_in_a_room_are_predicted_in_metres():
    tracker = Tracker(TrackerOptions(predict=0.5))
    for i in range(20):
        both = in_a_room((0.04 * i, 0), (3, 0.5))
        seen = both if i < 12 else both.select(np.array([1]))
        poses, _ = tracker.update(seen, i * SECOND // 30)
    assert poses.ids.tolist() == [2, 1]
    assert poses.states.tolist() == [TrackState.TRACKED, TrackState.PREDICTED]
    np.testing.assert_allclose(poses.points[1], both.points[0], atol=0.01)
    assert (poses.sources[1] == Source.HELD).all()
    assert np.isnan(poses.covariances[1]).all()
    assert poses.views[:, 0].tolist() == [3, 0]


def test_who_has_neither_pixels_nor_metres_has_no_id():
    poses = in_a_room((0, 0), (2, 0))
    poses.points[0] = np.nan
    assert Tracker().update(poses, 0)[0].ids.tolist() == [0, 1]


def test_colours_tell_people_who_come_out_where_they_cannot_be_told_by_place():
    """Two who go behind a pillar at the same place and come out turned round."""
    red, blue = np.eye(2)
    both = people((100, 100), (104, 100))
    looks = np.float64([red, blue])

    def after(weight: float) -> list[int]:
        tracker = Tracker(TrackerOptions(appearance=weight))
        for i in range(10):
            tracker.update(both, i * SECOND // 30, looks)
        tracker.update(people(), 11 * SECOND // 30, np.empty((0, 2)))
        return tracker.update(both, 15 * SECOND // 30, looks[::-1])[0].ids.tolist()

    assert after(0.0) == [1, 2]
    assert after(0.5) == [2, 1]


def test_colours_that_are_not_known_say_nothing_and_may_come_later():
    tracker = Tracker(TrackerOptions(appearance=0.5))
    both, unknown = people((100, 100), (300, 100)), np.full((2, 3), np.nan)
    for i, looks in enumerate((None, unknown, np.eye(3)[:2], unknown, None, np.eye(3)[:2])):
        assert tracker.update(both, i * SECOND // 30, looks)[0].ids.tolist() == [1, 2]


def test_somebody_who_comes_out_on_the_other_side_of_a_pillar_is_known_by_the_hidden_half():
    """Only the left is seen before, only the right afterwards, further away than that is wide."""
    tracker = Tracker()
    for i in range(30):
        poses = people((100 + 4 * i, 100))
        poses.keypoints[0, [0, 2, 3] if 12 <= i < 18 else []] = np.nan
        if 18 <= i < 24:
            poses.keypoints[0, [0, 1, 3]] = np.nan
        if i >= 12:
            poses = poses.replace(boxes=np.full((1, 4), np.nan), scores=np.isfinite(poses.keypoints[..., 0]))
        assert tracker.update(poses, i * SECOND // 30)[0].ids.tolist() == [1], i


def test_somebody_who_starts_to_run_keeps_the_id():
    tracker = Tracker()
    for i, x in enumerate((100, 100, 100, 150, 200, 250)):  # a person is 40 wide
        assert tracker.update(people((x, 100)), i * SECOND // 10)[0].ids.tolist() == [1]
    assert tracker.update(people((500, 100)), 6 * SECOND // 10)[0].ids.tolist() == [2], "nobody runs that fast"


@pytest.mark.parametrize("parts", [("parents",), ("parents", "sides")])
def test_who_is_left_over_is_not_taken_for_the_part_of_somebody_else(parts):
    tracker = Tracker()
    columns = {"parents": np.array([1]), "sides": np.array([1])}
    tracker.update(people((100, 100)).replace(**columns), 0)
    other = {**columns, **{parts[-1]: np.array([2])}}
    assert tracker.update(people((103, 100)).replace(**other), SECOND // 30)[0].ids.tolist() == [2]
