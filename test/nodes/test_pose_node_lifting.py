# SPDX-License-Identifier: Apache-2.0
"""The pose node with a lifter: from the start, while it runs, beside depth, and lifters that do not exist."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from depth_room import BODY, DepthRoom, points

from pose_ros.core.poses import Source


@pytest.fixture
def room(scene):
    return lambda **arguments: DepthRoom(scene, **{"topic": "", **arguments})


def is_lifted(array):
    return "lift" in array.stage_names


def lifter(room):
    return room.scene.node._switch.worker.pipeline.space.lifting


def test_a_lifter_from_the_start(room):
    room = room(lifting__model="stub-lifter", lifting__height=1.75)
    for _ in range(2):
        array = room.moment()
    (skeleton,) = array.skeletons
    assert is_lifted(array)
    assert set(skeleton.sources) == {Source.INFERRED}
    local = np.reshape(skeleton.local_points, (17, 3))
    assert np.isfinite(local).all()
    # Upright and flat, as tall as it was told, and where the keypoints are seen.
    assert np.ptp(local[BODY, 1]) == pytest.approx(1.75 * 0.8, rel=0.15)
    assert np.abs(room.errors(array)[:, BODY]).max() < 0.6
    assert np.isfinite(np.reshape(skeleton.covariances, (-1, 9))[BODY]).all()
    assert room.scene.diagnostics()[0].level == b"\x00"


def test_without_a_camera_there_is_a_shape_and_no_place(room):
    room = room(lifting__model="stub-lifter", info=False)
    (skeleton,) = room.moment().skeletons
    assert np.isfinite(skeleton.local_points).all()
    assert len(skeleton.points) == 0


def test_a_lifter_is_chosen_and_left_while_it_runs(room, ros):
    room = room()
    array = room.moment()
    assert not is_lifted(array)
    assert np.isnan(points(array)).all()
    assert room.scene.set(lifting__model="stub-lifter")[0].successful
    assert ros.spin_until(lambda: lifter(room) is not None)
    array = room.moment()
    assert is_lifted(array)
    assert np.isfinite(points(array)).all()
    # Its own options are there now, and those that need no loading act at once.
    tall = np.ptp(np.reshape(array.skeletons[0].local_points, (17, 3))[:, 1])
    assert room.scene.set(lifting__height=1.2)[0].successful
    assert ros.spin_until(lambda: lifter(room).options.height == 1.2 and not room.scene.node._switch.loading)
    small = np.ptp(np.reshape(room.moment().skeletons[0].local_points, (17, 3))[:, 1])
    assert small == pytest.approx(tall * 1.2 / 1.65, rel=0.05)
    assert room.scene.set(lifter__tall=2.0)[0].successful
    assert lifter(room).lifter.options.tall == 2.0
    assert room.scene.set(lifting__model="")[0].successful
    assert ros.spin_until(lambda: lifter(room) is None)
    assert not is_lifted(room.moment())


@pytest.mark.parametrize(
    ("model", "expected"),
    [("stub-lifer", "did you mean 'stub-lifter'"), ("written", "expected a lifter"), ("gone", "expected a lifter")],
)
def test_what_is_no_lifter_is_refused_and_the_node_goes_on(room, ros, model, expected):
    room = room(lifting__model="stub-lifter")
    assert is_lifted(room.moment())
    result = room.scene.set(lifting__model=model)[0]
    if result.successful:  # it takes a look at the card to know
        assert ros.spin_until(lambda: room.scene.node._health.failed)
        assert expected in room.scene.node._health.last_error
    else:
        assert expected in result.reason
    assert ros.spin_until(lambda: not room.scene.node._switch.loading)
    assert is_lifted(room.moment())
    assert room.scene.node.get_parameter("lifting.model").value == "stub-lifter"


def test_a_lifter_that_cannot_lift_these_bodies_is_refused(room, ros):
    room = room()
    room.scene.set(lifting__model="hand-lifter")
    assert ros.spin_until(lambda: room.scene.node._health.failed)
    assert "'coco17' and 'hand21 to lift' have no keypoint in common" in room.scene.node._health.last_error
    assert not is_lifted(room.moment())
    assert room.scene.node.get_parameter("lifting.model").value == ""


def test_depth_wins_and_the_lifter_takes_over_when_depth_is_gone(room):
    room = room(topic="depth/image", lifting__model="stub-lifter", filter__max_gap=0.1)
    for _ in range(3):
        array = room.moment()
    assert not is_lifted(array)
    assert np.median(room.errors(array)[:, BODY]) < 0.03
    held = room.moment(depth=None)
    assert not is_lifted(held)
    assert (np.array(held.skeletons[0].sources)[BODY] == Source.HELD).all()
    for _ in range(4):
        array = room.moment(depth=None)
    assert is_lifted(array)
    assert np.isfinite(points(array)).all()
    status, values = room.scene.diagnostics()
    assert "no depth" in status.message or "the nearest depth" in status.message
    assert (values["depth_matched"], values["depth_missed"]) == ("3", "5")
