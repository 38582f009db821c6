# SPDX-License-Identifier: Apache-2.0
"""Frame -> Poses over time: the order of the work, ids, places in metres, and what a jump in time does."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.regions import Detections
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError
from pose_ros.pipeline import Pipeline
from pose_ros.sources import OneStage, OneStageOptions, TopDown, TopDownOptions
from pose_ros.tracking.smooth import PoseSmoother
from pose_ros.tracking.track import Tracker, TrackerOptions

SECOND = 1_000_000_000
BODY = Skeleton("body", ("head", "left", "right", "foot"))
ENDS = Skeleton("ends", ("foot", "head"))
CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), (640, 480))
#: Metres around the middle of the body.
SHAPE = np.array([[0, -0.8, 0.05], [-0.3, 0, -0.1], [0.3, 0, 0.1], [0, 0.8, 0]])


class Stage:
    """A source of poses: people at the places (metres, optical frame) that the test names for each frame."""

    skeleton = BODY
    name = "stage"
    device = "fake on cpu"

    def __init__(self, *frames: list[tuple[float, float, float]], metric: bool = True) -> None:
        self.frames, self.metric, self.resets = iter(frames), metric, 0

    def __call__(self, frame: Frame, stages: Stages, whole: Poses | None = None) -> Poses:
        places = next(self.frames)
        points = np.array([SHAPE + place for place in places]).reshape(-1, 4, 3)
        with stages("estimate"):
            return Poses(
                BODY, CAMERA.project(points), np.ones(points.shape[:2]),
                local_points=np.broadcast_to(SHAPE, points.shape) if self.metric else None,
            )

    def reset(self) -> None:
        self.resets += 1


def frame(seconds: float, camera: Camera | None = None) -> Frame:
    return Frame(np.zeros((480, 640, 3), np.uint8), round(seconds * SECOND), camera=camera)


def test_without_a_tracker_nobody_has_an_id():
    result = Pipeline(Stage([(0, 0, 3)]))(frame(0))
    assert result.poses.ids.tolist() == [0]
    assert result.poses.states.tolist() == [TrackState.UNTRACKED]
    assert result.ended_ids == ()


def test_ids_ends_and_states():
    stage = Stage([(0, 0, 3), (1, 0, 3)], [(0.02, 0, 3)], [], [])
    pipeline = Pipeline(stage, Tracker(TrackerOptions(max_lost=0.15)))
    results = [pipeline(frame(t / 10)) for t in range(4)]
    assert [r.poses.ids.tolist() for r in results] == [[1, 2], [1], [], []]
    assert [list(r.ended_ids) for r in results] == [[], [], [2], [1]]


def test_stages_in_the_order_of_the_work():
    pipeline = Pipeline(Stage(*[[(0, 0, 3)]] * 2), Tracker(), smoother=PoseSmoother())
    stages = Stages()
    stages.add("transport", 1.0)
    assert pipeline(frame(0, CAMERA), stages).stages is stages
    assert list(stages.ms) == ["transport", "estimate", "track", "place"]
    assert list(pipeline(frame(0.1)).stages.ms) == ["estimate", "track"]


def test_a_calibrated_camera_puts_people_where_they_are():
    places = [(0.2, 0.1, 3), (-1, 0, 5)]
    result = Pipeline(Stage(places))(frame(0, CAMERA))
    np.testing.assert_allclose(result.poses.points, np.array([SHAPE + p for p in places]), atol=1e-3)
    assert result.poses.covariances.shape == (2, 4, 3, 3)


def test_no_camera_or_no_metres_is_no_place():
    assert Pipeline(Stage([(0, 0, 3)]))(frame(0)).poses.points is None
    assert Pipeline(Stage([(0, 0, 3)], metric=False))(frame(0, CAMERA)).poses.points is None


def test_points_that_the_estimator_knows_are_not_replaced():
    stage = Stage([(0, 0, 3)])
    known = np.full((1, 4, 3), 7.0, np.float32)
    pipeline = Pipeline(stage)
    pipeline.source = lambda frame, stages, whole: stage(frame, stages).replace(points=known)
    result = pipeline(frame(0, CAMERA))
    np.testing.assert_array_equal(result.poses.points, known)
    assert "place" not in result.stages.ms


def test_results_in_another_skeleton_are_placed_by_all_keypoints():
    result = Pipeline(Stage([(0, 0, 3)]), Tracker(), ENDS)(frame(0, CAMERA))
    assert result.poses.skeleton is ENDS
    np.testing.assert_allclose(result.poses.points[0], SHAPE[[3, 0]] + [0, 0, 3], atol=1e-3)


def test_a_skeleton_without_a_map_is_refused():
    with pytest.raises(ConfigError, match="'body' and 'other' have no keypoint in common"):
        Pipeline(Stage([(0, 0, 3)]), skeleton=Skeleton("other", ("a",)))(frame(0))


def test_a_jump_back_in_time_starts_everything_over():
    stage = Stage(*[[(0, 0, 3)]] * 4)
    pipeline = Pipeline(stage, Tracker(), smoother=PoseSmoother())
    results = [pipeline(frame(t)) for t in (10, 10.1, 3, 3.1)]
    assert [r.poses.ids.tolist() for r in results] == [[1], [1], [2], [2]]
    assert [list(r.ended_ids) for r in results] == [[], [], [1], []]
    assert (pipeline.time_jumps, stage.resets) == (1, 1)


def test_a_stamp_that_stands_still_is_no_jump():
    pipeline = Pipeline(Stage(*[[(0, 0, 3)]] * 3), Tracker(), smoother=PoseSmoother())
    assert [pipeline(frame(5)).poses.ids.tolist() for _ in range(3)] == [[1]] * 3
    assert pipeline.time_jumps == 0


def test_what_a_reset_ends_is_said_with_the_next_frame_once():
    pipeline = Pipeline(Stage(*[[(0, 0, 3)]] * 3), Tracker())
    pipeline(frame(0))
    pipeline.reset()
    result = pipeline(frame(0))
    assert (result.poses.ids.tolist(), result.ended_ids) == ([2], (1,))
    assert pipeline(frame(0.1)).ended_ids == ()


def test_an_image_without_people_is_an_empty_result_of_k_keypoints():
    result = Pipeline(Stage([]), Tracker(), ENDS, PoseSmoother())(frame(0, CAMERA))
    assert result.poses.keypoints.shape == (0, 2, 2)


def test_people_come_and_go():
    counts = [1, 3, 0, 2, 5, 0, 1]
    spots = [(-2, 0, 5), (-1, 0, 5), (0, 0, 5), (1, 0, 5), (2, 0, 5)]
    pipeline = Pipeline(Stage(*(spots[:n] for n in counts)), Tracker(), smoother=PoseSmoother())
    results = [pipeline(frame(t / 30, CAMERA)) for t in range(len(counts))]
    assert [len(r.poses) for r in results] == counts
    assert [r.poses.ids.tolist() for r in results] == [[1], [1, 2, 3], [], [1, 2], [1, 2, 3, 4, 5], [], [1]]


def test_what_was_seen_before_stays_as_it_was():
    """Results of earlier frames are not changed by later ones."""
    pipeline = Pipeline(Stage(*[[(0.01 * t, 0, 3)] for t in range(5)]), Tracker(TrackerOptions(predict=1.0)))
    results = [pipeline(frame(t / 30)).poses for t in range(5)]
    for before, after in itertools.pairwise(results):
        assert after.keypoints[0, 0, 0] > before.keypoints[0, 0, 0]
        assert after.ages_ns[0] > before.ages_ns[0]


def one_stage(seen: Poses, **options: object) -> OneStage:
    estimator = SimpleNamespace(
        skeleton=BODY, card=SimpleNamespace(name="rtmo"), session=SimpleNamespace(runtime="fake", device="cpu"),
        estimate=lambda image: seen,
    )
    return OneStage(estimator, OneStageOptions(**options))  # type: ignore[arg-type]


def crowd(*people: tuple[float, float]) -> Poses:
    """Return people at (x, subject score), each 100 high."""
    x, score = np.array(people, np.float32).reshape(-1, 2).T
    points = np.stack([x[:, None] + [0, -20, 20, 0], np.broadcast_to([0, 50, 50, 100], (len(x), 4))], axis=2)
    return Poses(BODY, points, np.full((len(x), 4), 0.8), subject_scores=score)


def test_a_one_stage_estimator_is_a_source():
    source = one_stage(crowd((50, 0.9), (200, 0.8)))
    assert (source.name, source.device) == ("rtmo", "fake on cpu")
    result = Pipeline(source)(frame(0))
    assert list(result.stages.ms) == ["estimate"]
    np.testing.assert_array_equal(result.poses.keypoints, crowd((50, 0), (200, 0)).keypoints)


def test_boxes_that_an_estimator_does_not_give_are_those_of_the_keypoints():
    np.testing.assert_array_equal(one_stage(crowd((50, 0.9)))(frame(0), Stages()).boxes, [[30, 0, 70, 100]])
    known = crowd((50, 0.9)).replace(boxes=np.float32([[20, -10, 80, 110]]))
    np.testing.assert_array_equal(one_stage(known)(frame(0), Stages()).boxes, known.boxes)


def test_the_best_subjects_and_no_doubtful_ones():
    seen = crowd((50, 0.3), (200, 0.9), (350, 0.6), (500, 0.1))
    kept = one_stage(seen, max_subjects=2)(frame(0), Stages())
    assert kept.keypoints[:, 0, 0].tolist() == [200, 350]
    kept = one_stage(seen, min_subject_score=0.3)(frame(0), Stages())
    assert kept.keypoints[:, 0, 0].tolist() == [200, 350, 50]
    assert len(one_stage(crowd())(frame(0), Stages())) == 0


def test_doubles_of_a_one_stage_estimator_are_one_subject():
    seen = crowd((50, 0.6), (50.5, 0.9), (200, 0.8))
    assert one_stage(seen)(frame(0), Stages()).keypoints[:, 0, 0].tolist() == [50.5, 200]
    assert len(one_stage(seen, max_oks=1.0)(frame(0), Stages())) == 3
    soft = one_stage(seen, soft_oks=True)(frame(0), Stages())
    assert soft.keypoints[:, 0, 0].tolist() == [50.5, 200, 50]
    assert soft.subject_scores[2] < 0.3


def test_subjects_of_a_one_stage_estimator_are_tracked():
    people = [crowd((50 + 2.0 * t, 0.9), (200 - 2.0 * t, 0.8)) for t in range(5)]
    source = one_stage(crowd())
    source.estimator = SimpleNamespace(estimate=lambda image: people.pop(0))
    pipeline = Pipeline(source, Tracker())
    assert [pipeline(frame(t / 30)).poses.ids.tolist() for t in range(5)] == [[1, 2]] * 5


@pytest.mark.parametrize(("classes", "labels"), [
    (("cat", "dog"), ["dog", ""]), (("cat", "dog", "cow"), ["dog", "cow"]), (("dog",), ["", ""]), ((), ["", ""]),
])
def test_only_who_can_choose_a_class_says_what_a_subject_is(classes, labels):
    boxes = np.float32([[30, 0, 70, 100], [180, 0, 220, 100]])
    found = Detections(boxes, np.float32([0.9, 0.8]), np.array([1, 2]))
    part = SimpleNamespace(
        skeleton=BODY, steady=True, card=SimpleNamespace(name="a", classes=classes),
        session=SimpleNamespace(runtime="fake", device="cpu"),
        estimate=lambda image, regions: crowd((50, 1), (200, 1)), detect=lambda image: found,
    )
    assert TopDown(part, part)(frame(0), Stages()).labels.tolist() == labels  # type: ignore[arg-type]


def test_doubles_of_boxes_that_overlap_are_one_subject():
    poses = crowd((50, 1), (50.5, 1), (200, 1))
    boxes = np.float32([[30, 0, 70, 100], [31, 0, 71, 100], [180, 0, 220, 100]])
    found = Detections(boxes, np.float32([0.5, 0.9, 0.4]))
    part = SimpleNamespace(
        skeleton=BODY, steady=True, card=SimpleNamespace(name="a", classes=("person",)),
        session=SimpleNamespace(runtime="fake", device="cpu"),
        estimate=lambda image, regions: poses, detect=lambda image: found,
    )
    seen = TopDown(part, part)(frame(0), Stages())  # type: ignore[arg-type]
    assert seen.keypoints[:, 0, 0].tolist() == [50.5, 200]
    np.testing.assert_array_equal(seen.subject_scores, np.float32([0.9, 0.4]))
    all_of_them = TopDown(part, part, TopDownOptions(max_oks=1.0))  # type: ignore[arg-type]
    assert len(all_of_them(frame(0), Stages())) == 3
