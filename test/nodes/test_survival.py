# SPDX-License-Identifier: Apache-2.0
"""What a pose node lives through: plugins that fail, and files that vanish."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.msg import SkeletonArray
from pose_ros.srv import SetModel

HANDS = "/pose/hands/skeletons"


def test_hands_that_fail_cost_no_bodies_and_are_tried_again(scene, ros, monkeypatch, capfd):
    """Somebody else's plugin raises: bodies go on with every image, hands come back after a while."""
    made = scene(hands__model="stub-hand")
    hands: list[SkeletonArray] = []
    made.other.create_subscription(SkeletonArray, HANDS, hands.append, 100)
    assert ros.spin_until(lambda: made.other.count_publishers(HANDS))
    made.send(made.image())
    assert ros.spin_until(lambda: hands and hands[-1].skeletons)
    before = {s.track_id for s in hands[-1].skeletons}

    import stub_pose

    calls = []

    def broken(*_, **__):
        calls.append(1)
        raise ZeroDivisionError("the hand plugin is broken")

    working = stub_pose.StubHand.estimate
    monkeypatch.setattr(stub_pose.StubHand, "estimate", broken)
    for _ in range(60):  # two seconds of images
        array = made.send(made.image())
        assert len(array.skeletons) == 1
        assert array.skeletons[0].track_id == 1
    assert ros.spin_until(lambda: hands[-1].header == array.header)
    assert not hands[-1].skeletons
    assert set().union(*(h.ended_ids for h in hands)) == before
    # At once, and after 0.5 and 1.5 s by the stamps of the images.
    assert len(calls) == 3
    status, values = made.diagnostics()
    assert status.level == status.WARN
    assert "hands: 'stub-hand' failed and is tried again after" in values["last_error"]
    said = capfd.readouterr().err
    assert "ZeroDivisionError: the hand plugin is broken" in said
    assert ", in broken\n" in said  # the way that led to it

    monkeypatch.setattr(stub_pose.StubHand, "estimate", working)
    for _ in range(70):
        made.send(made.image())
    assert ros.spin_until(lambda: bool(hands[-1].skeletons))


def test_a_whole_that_fails_is_reported_and_goes_on_with_the_next_image(scene, ros):
    made = scene()
    made.send(made.image(subjects=2))
    for _ in range(3):
        made._camera.publish(made.image(subjects=255))  # the stub breaks
        ros.spin_for(0.3)
    assert len(made.send(made.image(subjects=2)).skeletons) == 2
    _, values = made.diagnostics()
    assert values["failed"] == "3"
    assert "RuntimeError: the stub was told to break" in values["last_error"]


def test_the_file_of_a_model_may_be_deleted_under_way(scene, ros, stub_package, tmp_path, monkeypatch):
    """What runs goes on; what needs the file says so and changes nothing; when it is back, all works."""
    mine = tmp_path / "models"
    shutil.copytree(stub_package, mine)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(mine))
    made = scene()
    assert made.send(made.image()).model == "stub"
    (mine / "tiny.onnx").unlink()
    assert made.send(made.image()).skeletons[0].track_id == 1

    response = made.call(SetModel, "set_model", model="stub33")
    assert not response.success
    assert "tiny.onnx" in response.message
    assert response.model == "stub"
    assert made.send(made.image()).skeletons[0].track_id == 1

    shutil.copy(stub_package / "tiny.onnx", mine / "tiny.onnx")
    response = made.call(SetModel, "set_model", model="stub33")
    assert response.success, response.message
    assert made.send(made.image()).schema == "mediapipe33"
