# SPDX-License-Identifier: Apache-2.0
"""Bags of skeletons are the same, or where they first differ is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from pose_ros.msg import Skeleton, SkeletonArray
from rclpy.serialization import serialize_message

from pose_ros.ros.bag import BagWriter


def array(second, **changes):
    one = Skeleton(track_id=3, score=0.5, keypoints=np.array([1.5, np.nan], np.float32), label="dog")
    one.box = np.array([0, 0, 1, 0.1], np.float32)
    message = SkeletonArray(schema="two", skeletons=[one], stage_names=["detect"], stage_ms=[second * 0.1])
    message.header.stamp.sec, message.header.stamp.nanosec = second, 5
    for name, value in changes.items():
        setattr(one if hasattr(one, name) else message, name, value)
    return message


def bag(folder, messages, topic="/pose/skeletons", at_ns=0):
    with BagWriter(folder) as writer:
        writer.add(topic, SkeletonArray)
        for number, message in enumerate(messages):
            writer.write(topic, serialize_message(message), at_ns + number)
    return folder


def diff(cli, one, other, *more):
    ran = cli("bag", "diff", str(one), str(other), "--json", *more)
    return ran.code, json.loads(ran.out)["topics"]


def test_when_messages_came_and_how_long_they_took_does_not_count(cli, tmp_path):
    one = bag(tmp_path / "a", [array(1), array(2)])
    other = bag(tmp_path / "b", [array(2, stage_ms=[7.0]), array(1, stage_names=[], stage_ms=[])], at_ns=9)
    assert diff(cli, one, other) == (0, [{"topic": "/pose/skeletons", "a": 2, "b": 2, "differ": 0, "first": None}])
    assert "the same, bit for bit" in cli("bag", "diff", str(one), str(other)).out


@pytest.mark.parametrize(
    ("changes", "field", "a", "b"),
    [
        ({"keypoints": np.array([1.5000001, np.nan], np.float32)}, "skeletons[0].keypoints[0]", "1.5", "1.5000001"),
        ({"keypoints": np.array([1.5], np.float32)}, "number of skeletons[0].keypoints", "2", "1"),
        ({"box": np.array([-0.0, 0, 1, 0.1], np.float32)}, "skeletons[0].box[0]", "0.0", "-0.0"),
        ({"track_id": 4}, "skeletons[0].track_id", "3", "4"),
        ({"score": 0.25}, "skeletons[0].score", "0.5", "0.25"),
        ({"label": "cat"}, "skeletons[0].label", "'dog'", "'cat'"),
        ({"skeletons": []}, "number of skeletons", "1", "0"),
        ({"ended_ids": [3]}, "number of ended_ids", "0", "1"),
    ],
)
def test_the_first_difference_is_named(cli, tmp_path, changes, field, a, b):
    one = bag(tmp_path / "a", [array(1), array(2), array(3)])
    other = bag(tmp_path / "b", [array(1), array(2, **changes), array(3, **changes)])
    code, (topic,) = diff(cli, one, other)
    assert code == 1
    assert topic["differ"] == 2
    assert topic["first"] == {"stamp": "2.000000005", "field": field, "a": a, "b": b}
    said = cli("bag", "diff", str(one), str(other)).out
    assert f"/pose/skeletons, stamp 2.000000005: {field}: {a} in {one}, {b} in {other}" in " ".join(said.split())


def test_messages_that_only_one_bag_has_are_named(cli, tmp_path):
    code, (topic,) = diff(cli, bag(tmp_path / "a", [array(1), array(3)]), bag(tmp_path / "b", [array(1), array(2)]))
    assert (code, topic["differ"]) == (1, 2)
    assert topic["first"] == {"stamp": "2.000000005", "field": "the message", "a": "none", "b": "there"}


def test_topics(cli, tmp_path):
    one, other = bag(tmp_path / "a", [array(1)]), bag(tmp_path / "b", [array(1)], topic="/hands/skeletons")
    code, topics = diff(cli, one, other)
    assert (code, [(t["topic"], t["a"], t["b"]) for t in topics]) == (
        1, [("/hands/skeletons", 0, 1), ("/pose/skeletons", 1, 0)])  # fmt: skip
    ran = cli("bag", "diff", str(one), str(one), "--topic", "/pose/skeleton")
    assert (ran.code, "did you mean '/pose/skeletons'" in ran.err) == (2, True)
    with BagWriter(tmp_path / "empty"):
        pass
    ran = cli("bag", "diff", str(tmp_path / "empty"), str(tmp_path / "empty"))
    assert (ran.code, "expected results in it" in ran.err) == (1, True)
