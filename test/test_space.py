# SPDX-License-Identifier: Apache-2.0
"""Which of all that knows of metres is believed, and how points go on over time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scenes import EPOCH_NS, Person, at, line, posed, stand
from scenes.depth import DepthFaults, render

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses, Source
from pose_ros.core.stages import Stages
from pose_ros.skeletons import catalogue
from pose_ros.space import Moment, Space
from pose_ros.tracking.point_filter import FilterOptions, PointFilter

COCO = catalogue.get("coco17")
VIEW = posed("camera", (0, 0, 1.2), (4, 0, 0.95), (320, 240))
BODY = slice(5, 17)
STEP_NS = 33_333_333
STANDS = [Person(stand((2.6, 0.0), np.pi), 1.75, 0.0, gait=0.0)]
GLIDES = [Person(line((3.4, 0.0), (2.0, 0.0)), 1.75, 1.2, gait=0.0)]


class Lifts:
    """In place of a lifter and all around it: everybody is 5 m away."""

    def reset(self) -> None:
        pass

    def __call__(self, poses: Poses, frame: Frame) -> Poses:
        far = np.concatenate([np.zeros_like(poses.keypoints), np.full((*poses.scores.shape, 1), 5.0)], axis=2)
        return poses.replace(points=far, covariances=np.broadcast_to(np.eye(3), (*poses.scores.shape, 3, 3)),
                             sources=np.full(poses.scores.shape, Source.INFERRED))


def moment(
    number: int = 0, people: list[Person] = STANDS, view: Any = VIEW, *, depth: bool = True, camera: bool = True,
    local: bool = True, ids: int = 1,
) -> tuple[Poses, Frame, np.ndarray]:
    """Return what is seen, the frame, and where the joints are in the camera's frame, (N, K, 3)."""
    stamp = EPOCH_NS + number * STEP_NS
    truth = at(people, number * STEP_NS * 1e-9)
    joints = truth.points("coco17")[0] @ view.rotation.T + view.translation
    columns = {"local_points": joints - joints[:, [0]]} if local else {}
    poses = Poses(COCO, view.camera.project(joints), np.full(joints.shape[:2], 0.9), ids=ids * truth.ids, **columns)
    faults = DepthFaults(noise_m=0.0015)
    rendered = render(truth, 0, view, wall_m=3.9, faults=faults, seed=number).depth if depth else None
    image = np.zeros((240, 320, 3), np.uint8)
    return poses, Frame(image, stamp, "camera", view.camera if camera else None, rendered), joints


def error(poses: Poses, joints: np.ndarray) -> float:
    assert poses.points is not None
    return float(np.median(np.linalg.norm(poses.points - joints, axis=2)[:, BODY]))


def kalman(**options: Any) -> PointFilter:
    return PointFilter(FilterOptions(fit_bones=False, **options))


@pytest.mark.parametrize(
    ("depth", "lifter", "local", "stage"),
    [(True, True, True, "depth"), (False, True, True, "lift"), (False, False, True, "place"),
     (True, False, False, "depth"), (False, False, False, "")],
)
def test_depth_wins_over_lifting_and_that_over_placing(depth, lifter, local, stage):
    poses, frame, joints = moment(depth=depth, local=local)
    stages = Stages()
    found, stamp = Space(lifting=Lifts() if lifter else None)(poses, frame, stages)
    assert (list(stages.ms), stamp) == ([stage] if stage else [], frame.stamp_ns)
    if stage == "":
        assert found.points is None
    elif stage == "lift":
        np.testing.assert_array_equal(found.points[..., 2], 5)
    else:
        assert error(found, joints) < 0.03
        assert np.isfinite(found.covariances[:, BODY]).all()


@pytest.mark.parametrize("lifter", [False, True])
def test_without_a_camera_depth_is_of_no_use(lifter):
    poses, frame, _ = moment(camera=False)
    stages = Stages()
    Space(lifting=Lifts() if lifter else None, filter=kalman())(poses, frame, stages)
    assert list(stages.ms) == (["lift"] if lifter else [])


def test_the_filter_calms_those_who_have_ids():
    space, points = Space(filter=kalman()), []
    for number in range(12):
        poses, frame, joints = moment(number)
        found, _ = space(poses, frame, Stages())
        points.append(found.points[0, BODY])
    alone = [Space()(*moment(n)[:2], Stages())[0].points[0, BODY] for n in range(8, 12)]
    assert error(found, joints) < 0.03
    assert np.std(points[8:], axis=0).mean() < 0.7 * np.std(alone, axis=0).mean()


def test_those_without_ids_pass_as_they_are():
    space = Space(filter=kalman())
    for number in range(3):
        poses, frame, _ = moment(number, ids=0)
        found, _ = space(poses, frame, Stages())
        plain, _ = Space()(poses, frame, Stages())
        np.testing.assert_array_equal(found.points, plain.points)
        np.testing.assert_array_equal(found.covariances, plain.covariances)


def turned(number: int) -> Any:
    """Return a camera that shakes its head."""
    return posed("camera", (0, 0, 1.2), (4, 0.6 * np.sin(number / 2), 0.95), (320, 240))


@pytest.mark.parametrize("fixed", [True, False])
def test_a_camera_that_moves_filters_in_a_frame_that_does_not(fixed):
    space, errors = Space(filter=kalman(acceleration=0.2)), []
    for number in range(15):
        view = turned(number)
        poses, frame, joints = moment(number, view=view)
        if fixed:
            frame = dataclasses.replace(frame, fixed=(view.rotation.T, view.centre))
        found, _ = space(poses, frame, Stages())
        errors.append(error(found, joints))
        assert np.isfinite(found.covariances[:, BODY]).all()
    assert (max(errors[5:]) < 0.03) == fixed


def glide(space: Space, last: int = 15, ahead_ns: int = 100_000_000, **options: Any) -> tuple[Poses, int, Frame]:
    """Play who comes nearer at 1.2 m/s; returns the last result."""
    for number in range(last + 1):
        poses, frame, _ = moment(number, GLIDES, **options)
        found, stamp = space(poses, frame, Stages(), lambda f: Moment(f.stamp_ns + ahead_ns, f.fixed))
    return found, stamp, frame


@pytest.mark.parametrize("kind", ["kalman", "one_euro"])
def test_prediction_to_now(kind):
    found, stamp, frame = glide(Space(filter=kalman(predict_to_now=True, kind=kind)))
    plain, at_image, _ = glide(Space(filter=kalman(kind=kind)))
    assert (stamp - frame.stamp_ns, at_image - frame.stamp_ns) == (100_000_000, 0)
    joints = at(GLIDES, (stamp - EPOCH_NS) / 1e9).points("coco17")[0] @ VIEW.rotation.T + VIEW.translation
    assert error(found, joints) < 0.05
    assert error(plain, joints) > 0.1
    np.testing.assert_array_equal(found.keypoints, plain.keypoints)
    grown = np.linalg.eigvalsh(found.covariances[0, BODY]) - np.linalg.eigvalsh(plain.covariances[0, BODY])
    assert (grown > 0).all()


def test_prediction_is_seen_from_where_the_camera_is_by_then():
    space = Space(filter=kalman(predict_to_now=True))
    for number in range(12):
        view = turned(number)
        poses, frame, _ = moment(number, view=view)
        frame = dataclasses.replace(frame, fixed=(view.rotation.T, view.centre))
        later = turned(number + 1)
        found, stamp = space(
            poses, frame, Stages(),
            lambda f, v=later: Moment(f.stamp_ns + STEP_NS, (v.rotation.T, v.centre)),
        )
    joints = at(STANDS, 0.0).points("coco17")[0] @ later.rotation.T + later.translation
    assert error(found, joints) < 0.03
    assert stamp == frame.stamp_ns + STEP_NS


@pytest.mark.parametrize(
    ("options", "ahead_ns"),
    [({"predict_to_now": False}, 10**8), ({"predict_to_now": True, "kind": "none"}, 10**8),
     ({"predict_to_now": True}, -(10**8))],
)
def test_what_is_not_predicted_holds_for_the_image(options, ahead_ns):
    _, stamp, frame = glide(Space(filter=kalman(**options)), 3, ahead_ns)
    assert stamp == frame.stamp_ns


def test_stamps_do_not_fall_back_when_nobody_is_there():
    """A time of images between times of now would look like time running backwards."""
    space = Space(filter=kalman(predict_to_now=True))
    _, frame, _ = moment(0)
    _, stamp = space(Poses.empty(COCO), frame, Stages(), lambda f: Moment(f.stamp_ns + 5, None))
    assert stamp == frame.stamp_ns + 5


@pytest.mark.parametrize("lifter", [False, True])
def test_short_gaps_of_depth_are_bridged_and_long_ones_are_not(lifter):
    space = Space(lifting=Lifts() if lifter else None, filter=kalman(max_gap=0.1))
    for number in range(6):
        poses, frame, _ = moment(number)
        space(poses, frame, Stages())
    sources, stages = [], Stages()
    for number in range(6, 12):
        poses, frame, joints = moment(number, depth=False)
        found, _ = space(poses, frame, stages)
        sources.append(found.sources[0, 11])
        if number < 9:
            assert error(found, joints) < 0.03
            assert "lift" not in stages.ms
            assert "place" not in stages.ms
    assert sources[:3] == [Source.HELD] * 3
    assert Source.HELD not in sources[-2:]
    assert ("lift" if lifter else "place") in stages.ms


def test_a_reset_forgets_everything():
    space = Space(filter=kalman(max_gap=10.0))
    poses, frame, _ = moment(0, local=False)
    space(poses, frame, Stages())
    gap = moment(1, local=False, depth=False)
    assert space(*gap[:2], Stages())[0].points is not None
    space.reset()
    assert space(*gap[:2], Stages())[0].points is None
    # And learnt limbs and depth of another run of time are not used.
    placed, _ = space(*moment(1, depth=False)[:2], Stages())
    assert placed.points is not None
    assert (placed.sources[0, BODY] != Source.HELD).all()
