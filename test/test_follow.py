# SPDX-License-Identifier: Apache-2.0
"""Following subjects by their keypoints between two looks of the detector."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, boxes_to_regions
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.sources import TopDown, TopDownOptions
from pose_ros.tracking.framing import Framing

BODY = Skeleton("body", ("head", "left", "right", "foot"))
#: Keypoints and box of a person 100 pixels high, around the middle.
SHAPE = np.array([[0, -45], [-20, 0], [20, 0], [0, 40]], np.float32)
BOX = np.array([-25, -50, 25, 50], np.float32)
STEP = 1 / 30


class World:
    """People at places that the test moves: what a detector and an estimator see of them."""

    def __init__(self, *people: tuple[float, float]) -> None:
        self.people = [np.array(p, np.float32) for p in people]
        self.detections = self.estimates = 0
        self.card = SimpleNamespace(name="world", classes=())
        self.session = SimpleNamespace(runtime="none", device="cpu")
        self.steady, self.skeleton = True, BODY
        self.regions = np.empty((0, 5))

    def detect(self, image: np.ndarray) -> Detections:
        self.detections += 1
        boxes = np.array([BOX + np.tile(p, 2) for p in self.people], np.float32).reshape(-1, 4)
        return Detections(boxes, np.linspace(0.9, 0.8, len(boxes)))

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        """See the person nearest to the middle of each region; nobody, where that is more than 30 pixels away."""
        self.estimates, self.regions = self.estimates + len(regions), regions
        keypoints, scores = np.zeros((len(regions), 4, 2), np.float32), np.full((len(regions), 4), 0.1, np.float32)
        for row, region in enumerate(regions):
            keypoints[row] = SHAPE + region[:2]
            near = [np.linalg.norm(person - region[:2]) for person in self.people]
            if near and min(near) < 30:
                keypoints[row], scores[row] = SHAPE + self.people[int(np.argmin(near))], 0.8
        return Poses(BODY, keypoints, scores)


def look(source: TopDown, seconds: float) -> Poses:
    return source(Frame(np.zeros((480, 640, 3), np.uint8), round(seconds * 1e9)), Stages())


@pytest.fixture
def world() -> World:
    return World((100, 200), (400, 200))


def follow(world: World, **options: object) -> TopDown:
    return TopDown(world, world, TopDownOptions(**options))  # type: ignore[arg-type]


def test_the_detector_looks_now_and_then_and_the_crops_are_the_same(world):
    source = follow(world, detect_every=0.5)
    for i in range(31):
        for person in world.people:
            person += 2
        poses = look(source, i * STEP)
        assert len(poses) == 2
        np.testing.assert_allclose(poses.keypoints[:, 0], np.array(world.people) + SHAPE[0])
        np.testing.assert_allclose(poses.boxes, np.array([BOX + np.tile(p, 2) for p in world.people]), atol=1e-3)
        np.testing.assert_allclose(poses.subject_scores, [0.9, 0.8])
        np.testing.assert_allclose(world.regions[:, 2:4], [[50, 100]] * 2, atol=1e-3)
    assert world.detections == 3  # at 0, 0.5 and 1 s
    assert world.estimates == 31 * 2


def test_without_following_the_detector_looks_every_time(world):
    for options in ({"follow": False}, {"detect_every": 0.0}):
        source, before = follow(world, **options), world.detections
        for i in range(5):
            look(source, i * STEP)
        assert world.detections - before == 5


def test_who_goes_is_not_told_and_who_comes_is_found(world):
    source = follow(world, detect_every=0.5)
    look(source, 0)
    gone = world.people.pop()
    assert len(look(source, STEP)) == 1  # the detector was asked in the same image
    assert world.detections == 2
    # Who was lost is probably near: the detector looks more often for a while.
    times = []
    for i in range(2, 20):
        before = world.detections
        look(source, i * STEP)
        times += [i] if world.detections > before else []
    assert 5 <= len(times) <= 7
    world.people.append(gone)
    assert max(len(look(source, i * STEP)) for i in range(20, 25)) == 2


def test_two_that_run_into_one_are_looked_at_by_the_detector(world):
    world.people[1][:] = 150, 200
    source = follow(world, detect_every=10)
    look(source, 0)
    world.people[0][:] = 122, 200
    del world.people[1]  # hidden: the estimator sees the other one in its place
    assert len(look(source, STEP)) == 1
    assert world.detections == 2


def test_who_is_lost_all_the_time_is_not_followed_for_a_while(world):
    source = follow(world, detect_every=10)
    for i in range(60):  # a leap in every image, out of the reach of what is known
        world.people[0][:] = (100, 200 + 100 * (i % 2))
        assert len(look(source, i * STEP)) == 2
    # Tried again once a second: one image that is followed, one in which the leap is noticed.
    assert world.detections == 60
    assert world.estimates <= 60 * 2 + 2 * 4
    before = world.detections
    for i in range(60, 120):
        look(source, i * STEP)
    assert world.detections - before <= 31


def test_only_those_who_are_not_sure_are_estimated_again(world):
    source = follow(world, detect_every=10)
    look(source, 0)
    look(source, STEP)
    world.people[1] += 100
    before = world.estimates
    assert len(look(source, 5 * STEP)) == 2
    assert world.estimates - before == 3  # both where they were, and one of them where the detector sees it


def test_time_that_is_missing_is_not_followed_over(world):
    source = follow(world, detect_every=10)
    look(source, 0)
    look(source, 0.15)
    assert world.detections == 1
    look(source, 0.5)
    assert world.detections == 2


def test_the_limit_of_subjects_may_change(world):
    source = follow(world, detect_every=10)
    look(source, 0)
    source.options = TopDownOptions(max_subjects=1, detect_every=10)
    assert [len(look(source, t * STEP)) for t in (1, 2)] == [1, 1]
    assert world.detections == 2


def test_a_world_without_people_asks_the_detector_each_time():
    world = World()
    source = follow(world)
    assert [len(look(source, i * STEP)) for i in range(3)] == [0, 0, 0]
    assert world.detections == 3


class Teller(World):
    """An estimator that says where to look next, of those whom it sees."""

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        poses = super().estimate(image, regions)
        return poses.replace(regions=boxes_to_regions(poses.boxed().boxes)) if len(poses) else poses


def test_an_estimator_that_says_where_to_look_is_believed_after_images_without_anybody():
    world = Teller()
    source = follow(world, detect_every=10)
    look(source, 0)
    world.people.append(np.array([100, 200], np.float32))
    assert [len(look(source, i * STEP)) for i in range(1, 20)] == [1] * 19
    assert world.detections == 2


def test_a_box_is_framed_by_the_keypoints_that_were_sure():
    poses = Poses(BODY, SHAPE[None] + 100, np.array([[0.9, 0.8, 0.8, 0.1]]))
    framing = Framing(poses, BOX[None] + 100)
    moved = poses.keypoints + np.array([10, 0])
    moved[0, 3] = 500, 500  # the doubtful foot leaps
    np.testing.assert_allclose(framing.boxes(poses.replace(keypoints=moved))[0], BOX + 100 + [10, 0, 10, 0], atol=1e-4)
    assert np.isnan(framing.boxes(poses.replace(scores=poses.scores * 0.4))).all()
    assert np.isnan(framing.boxes(poses.replace(keypoints=poses.keypoints * 3))).all()
    assert np.isnan(framing.boxes(poses.replace(keypoints=poses.keypoints * np.nan))).all()
    none = Framing(poses.select(np.empty(0, int)), np.empty((0, 4), np.float32))
    assert none.boxes(poses.select(np.empty(0, int))).shape == (0, 4)
    assert boxes_to_regions(framing.boxes(poses))[0, 2:4].tolist() == pytest.approx([50, 100], abs=1e-3)
