# SPDX-License-Identifier: Apache-2.0
"""Detections: boxes, classes and ids of all subjects."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("vision_msgs", reason="vision_msgs is not installed")
pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from pose_ros.core.poses import Poses, TrackState
from pose_ros.ros.detections import poses_to_detections, poses_to_detections_3d
from pose_ros.skeletons import catalogue

HEADER = Header(frame_id="camera")


def of(skeleton: str, n: int, **columns) -> Poses:
    kind = catalogue.get(skeleton)
    keypoints = np.full((n, len(kind), 2), np.nan)
    keypoints[:, 0], keypoints[:, 1] = (10, 20), (30, 60)
    scores = np.zeros((n, len(kind)))
    scores[:, :2] = 0.9
    tracked = {"ids": np.arange(1, n + 1), "states": np.full(n, TrackState.TRACKED)}
    return Poses(kind, keypoints, scores, **{**tracked, **columns})


def test_boxes_are_told_with_class_score_and_id() -> None:
    boxes = np.array([[0, 10, 20, 50], *[[np.nan] * 4] * 2])
    bodies = of("coco17", 3, subject_scores=np.array([0.5, 1, 1]), boxes=boxes,
                states=np.array([TrackState.TRACKED, TrackState.PREDICTED, TrackState.LOST]))
    made = poses_to_detections([("person one", bodies), ("hand", of("hand21", 1))], HEADER)
    msg = deserialize_message(serialize_message(made), Detection2DArray)
    assert msg.header == HEADER
    assert [d.id for d in msg.detections] == ["person_one_1", "person_one_2", "hand_1"]
    first, second, hand = msg.detections
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (10, 30)
    assert (first.bbox.size_x, first.bbox.size_y, first.header) == (20, 40, HEADER)
    assert (first.results[0].hypothesis.class_id, first.results[0].hypothesis.score) == ("person", 0.5)
    assert (second.bbox.size_x, second.bbox.size_y) == pytest.approx((20, 40), rel=0.5)  # around its keypoints
    assert hand.results[0].hypothesis.class_id == "hand"


def test_detectors_name_their_classes_and_without_a_tracker_there_is_no_id() -> None:
    animals = of("ap10k17", 1, labels=np.array(["dog"]), states=np.array([TrackState.UNTRACKED]))
    (one,) = poses_to_detections([("animal", animals)], HEADER).detections
    assert (one.id, one.results[0].hypothesis.class_id) == ("", "dog")


def test_boxes_in_space_are_around_points_that_are_sure() -> None:
    bodies = of("coco17", 2)
    points = np.full((2, 17, 3), np.nan)
    points[0, :3] = (0, 0, 2), (1, -1, 2.5), (9, 9, 9)  # the third has no score
    points[1, 0] = (0, 0, 1)
    made = poses_to_detections_3d([("body", bodies.replace(points=points)), ("hand", of("hand21", 1))], HEADER)
    msg = deserialize_message(serialize_message(made), Detection3DArray)
    (one,) = msg.detections
    centre, size = one.bbox.center.position, one.bbox.size
    assert (centre.x, centre.y, centre.z) == (0.5, -0.5, 2.25)
    assert (size.x, size.y, size.z) == (1, 1, 0.5)
    assert (one.id, one.results[0].pose.pose.position) == ("body_1", centre)
    assert one.bbox.center.orientation.w == 1


def test_nobody_is_an_empty_array() -> None:
    assert not poses_to_detections([("body", of("coco17", 0))], HEADER).detections
    empty = of("coco17", 0, points=np.empty((0, 17, 3)))
    assert not poses_to_detections_3d([("body", empty)], HEADER).detections
