# SPDX-License-Identifier: Apache-2.0
"""Who is detected, followed, lost and told apart. People here are points that move as the test says."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.core.stages import Stages
from pose_ros.pipeline import Pipeline
from pose_ros.skeletons import catalogue
from pose_ros.sources import TopDown, TopDownOptions

SKELETON = catalogue.get("coco17")
SECOND = 10**9
SIZE = 100.0
#: How far from the middle of its region a person may be and still be seen there, as a part of the region's size.
REACH = 0.3


class World:
    """People at x positions, and plugins that see them as real ones do."""

    def __init__(self, *people: float, offers: bool = True) -> None:
        self.people = list(people)
        self.offers = offers
        self.detections = 0
        self.looked_at: list[int] = []
        card = SimpleNamespace(name="fake", classes=("person",))
        session = SimpleNamespace(runtime="fake", device="cpu")
        self.detector = SimpleNamespace(card=card, session=session, detect=self.detect)
        self.estimator = SimpleNamespace(
            card=card, session=session, skeleton=SKELETON, steady=True, estimate=self.estimate
        )

    def detect(self, image: np.ndarray) -> Detections:
        self.detections += 1
        n = len(self.people)
        x = np.array(self.people).reshape(n)
        boxes = np.stack([x - 20, np.zeros(n), x + 20, np.full(n, 100)], axis=1)
        regions = np.stack([x, np.full(n, 50), np.full(n, SIZE), np.full(n, SIZE), np.zeros(n)], axis=1)
        return Detections(boxes, np.linspace(0.9, 0.8, n), regions=regions)

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """See in each region the person who is nearest to its middle."""
        self.looked_at.append(len(regions))
        n = len(regions)
        gap = np.abs(np.array(self.people).reshape(1, -1) - regions[:, :1])
        near = gap.argmin(axis=1) if self.people else np.zeros(n, int)
        x = np.array(self.people or [0.0])[near]
        there = (gap.min(axis=1, initial=np.inf) < REACH * SIZE) & bool(self.people)
        body = np.stack([np.linspace(-20, 20, 17), np.linspace(0, 100, 17)], axis=1)
        keypoints = body[None] + np.stack([x, np.zeros(n)], axis=1)[:, None]
        following = np.stack([x, np.full(n, 50), np.full(n, SIZE), np.full(n, SIZE), np.zeros(n)], axis=1)
        return Poses(
            SKELETON, keypoints, np.ones((n, 17)),
            subject_scores=np.where(there, 0.95, 0.1) if self.offers else None,
            regions=following if self.offers else None,
        )


def frame(seconds: float) -> Frame:
    return Frame(np.zeros((100, 1000, 3), np.uint8), int(seconds * SECOND))


def run(top_down: TopDown, seconds: float) -> list[float]:
    """Return the x positions of who is seen."""
    return top_down(frame(seconds), Stages()).keypoints[:, 8, 0].tolist()


def make(world: World, **options: object) -> TopDown:
    return TopDown(world.detector, world.estimator, TopDownOptions(**options))  # type: ignore[arg-type]


def test_detects_once_and_follows():
    world = World(200)
    top_down = make(world, detect_every=60.0)
    for step in range(20):
        world.people = [200 + 10.0 * step]
        assert run(top_down, step / 30) == world.people
    assert world.detections == top_down.detections == 1
    assert world.looked_at == [1] * 20


def test_detects_in_every_image_while_nobody_is_there():
    world = World()
    top_down = make(world)
    assert [run(top_down, step / 30) for step in range(3)] == [[], [], []]
    assert world.detections == 3


def test_finds_who_comes_later_at_the_next_turn():
    world = World(200)
    top_down = make(world, detect_every=0.5)
    run(top_down, 0)
    world.people = [200, 500]
    assert run(top_down, 0.4) == [200]
    assert run(top_down, 0.5) == [200, 500], "who is followed comes first"
    assert run(top_down, 0.6) == [200, 500]
    assert world.detections == 2


def test_looks_more_often_for_who_was_just_lost():
    world = World(200, 500)
    top_down = make(world, detect_every=60.0)
    run(top_down, 0)
    world.people = [200]
    detections = []
    for tenth in range(1, 15):
        run(top_down, tenth / 10)
        detections.append(world.detections)
    # Lost at 0.1; looked for from then on for a second, and not for ever.
    assert detections == [1, *range(2, 11), *[10] * 4]
    world.people = [200, 700]
    assert run(top_down, 1.6) == [200]


def test_a_subject_that_was_found_again_is_not_looked_for():
    world = World(200, 500)
    top_down = make(world, detect_every=60.0)
    run(top_down, 0)
    world.people = [200, 700]  # jumped
    for tenth in range(1, 10):
        run(top_down, tenth / 10)
    assert world.detections == 2


def test_looks_again_at_once_when_one_of_several_is_lost():
    world = World(200, 500)
    top_down = make(world, detect_every=60.0)
    assert run(top_down, 0) == [200, 500]
    world.people = [200, 700]  # jumped
    assert run(top_down, 0.1) == [200]
    assert run(top_down, 0.2) == [200, 700]
    assert run(top_down, 0.3) == [200, 700]
    assert world.detections == 2


def test_forgets_who_left():
    world = World(200)
    top_down = make(world)
    run(top_down, 0)
    world.people = []
    assert run(top_down, 0.1) == []
    world.people = [800]
    assert run(top_down, 0.2) == [800]


def test_two_that_run_into_one_leave_the_elder():
    world = World(200)
    top_down = make(world, detect_every=0.0)
    run(top_down, 0)
    world.people = [200, 250]
    assert run(top_down, 0.1) == [200, 250]
    elder = top_down._following._keys[0]
    world.people = [225]
    assert run(top_down, 0.2) == [225]
    assert top_down._following._keys.tolist() == [elder]


def test_doubles_are_told_by_what_both_are_sure_of():
    """One person cut off at the waist: each look guesses other legs, with low scores, and is the same person."""
    world = World(200)

    def guess_legs(image: np.ndarray, regions: np.ndarray) -> Poses:
        poses = World.estimate(world, image, regions)
        keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
        keypoints[:, 11:, 1] += np.linspace(0, 400, len(regions))[:, None]
        scores[:, 11:] = 0.05
        return poses.replace(keypoints=keypoints, scores=scores)

    world.estimator.estimate = guess_legs
    world.people = [200, 205]
    top_down = make(world)
    assert len(run(top_down, 0.0)) == 1
    world.people = [200, 245]
    top_down.reset()
    assert len(run(top_down, 0.0)) == 2


def test_people_side_by_side_are_two():
    world = World(200)
    top_down = make(world, detect_every=0.0)
    run(top_down, 0)
    world.people = [200, 235]  # regions overlap by half
    assert run(top_down, 0.1) == [200, 235]


def test_follows_no_more_than_asked_for_and_does_not_search_then():
    world = World(200, 400, 600)
    top_down = make(world, max_subjects=2, detect_every=0.0)
    assert run(top_down, 0) == [200, 400], "the best ones"
    assert run(top_down, 0.1) == [200, 400]
    assert world.detections == 1
    top_down.options = dataclasses.replace(top_down.options, max_subjects=3)
    assert run(top_down, 0.2) == [200, 400, 600]
    top_down.options = dataclasses.replace(top_down.options, max_subjects=1)
    assert run(top_down, 0.3) == [200]


def test_detects_every_time_when_told_not_to_follow():
    world = World(200, 500)
    top_down = make(world, follow=False)
    assert [run(top_down, t / 10) for t in range(3)] == [[200, 500]] * 3
    assert world.detections == 3


def test_who_is_not_there_is_not_told():
    world = World(200)
    world.detector.detect = lambda image: Detections(
        [[0, 0, 9, 9]], [0.9], regions=[[900, 50, SIZE, SIZE, 0]]
    )
    assert run(make(world), 0) == []
    assert run(make(world, min_subject_score=0.05), 0) == [200]


def test_a_detector_that_is_unsure_does_not_overrule_the_estimator():
    world = World(200)
    found = world.detect(np.empty(0))
    world.detector.detect = lambda image: Detections(found.boxes, [0.51], regions=found.regions)
    poses = make(world)(frame(0), Stages())
    np.testing.assert_allclose(poses.subject_scores, [0.95])


def test_an_estimator_that_cannot_follow_takes_boxes_and_scores_of_the_detector():
    world = World(200, 500, offers=False)
    top_down = make(world)
    for t in range(3):
        poses = top_down(frame(t), Stages())
        np.testing.assert_allclose(poses.boxes, [[180, 0, 220, 100], [480, 0, 520, 100]])
        np.testing.assert_allclose(poses.subject_scores, [0.9, 0.8])
    assert world.detections == 3


def test_a_region_that_is_undefined_is_not_followed():
    world = World(200)
    whole = world.estimator.estimate

    def estimate(image: np.ndarray, regions: np.ndarray) -> Poses:
        poses = whole(image, regions)
        return poses.replace(regions=np.full_like(poses.regions, np.nan))

    world.estimator.estimate = estimate
    top_down = make(world)
    assert run(top_down, 0) == run(top_down, 0.1) == [200]
    assert world.detections == 2


def test_time_that_runs_backwards_starts_over():
    world = World(200)
    pipeline = Pipeline(make(world, detect_every=60.0))
    pipeline(frame(5))
    world.people = [800]
    assert pipeline(frame(1)).poses.keypoints[:, 8, 0].tolist() == [800]
    assert pipeline.time_jumps == 1


def test_names_its_stages_in_the_order_of_the_work():
    stages = Stages()
    top_down = make(World(200))
    top_down(frame(0), stages)
    assert list(stages.ms) == ["detect", "estimate"]
    stages = Stages()
    top_down(frame(0.1), stages)
    assert list(stages.ms) == ["estimate"]


@pytest.mark.parametrize("n", [1, 4])
def test_a_tremble_of_the_region_is_smoothed(n, rng):
    world = World(*(200.0 * (i + 1) for i in range(n)))
    top_down = make(world, detect_every=60.0)
    looked_at, still = [], list(world.people)
    for step in range(60):
        world.people = [x + rng.normal(0, 2) for x in still]
        run(top_down, step / 30)
        looked_at.append(top_down._following._regions[:, 0])
    assert np.std(looked_at[20:], axis=0).max() < 1.4
