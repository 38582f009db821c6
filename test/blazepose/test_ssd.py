# SPDX-License-Identifier: Apache-2.0
"""Anchors, decoding and weighted suppression of MediaPipe's detectors."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode.ssd import anchors, decode, weighted_nms
from pose_ros.errors import ShapeError

POSE = ((224, 224), (8, 16, 32, 32, 32))


@pytest.mark.parametrize(
    ("size", "strides", "per_layer", "count"),
    [
        (224, (8, 16, 32, 32, 32), 2, 2254),  # pose
        (192, (8, 16, 16, 16), 2, 2016),  # palm
        (128, (8, 16, 16, 16), 2, 896),  # face, short range
        (192, (4,), 1, 2304),  # face, full range
    ],
)
def test_number_of_anchors_is_that_of_the_network(size, strides, per_layer, count):
    found = anchors((size, size), strides, per_layer)
    assert found.shape == (count, 2)
    assert found.dtype == np.float32


def test_anchors_stand_row_by_row_in_the_middle_of_their_cells():
    found = anchors(*POSE)
    np.testing.assert_allclose(found[[0, 1]], [[0.5 / 28] * 2] * 2, rtol=1e-6)
    np.testing.assert_allclose(found[2], [1.5 / 28, 0.5 / 28], rtol=1e-6)
    np.testing.assert_allclose(found[56], [0.5 / 28, 1.5 / 28], rtol=1e-6)
    np.testing.assert_allclose(found[28 * 28 * 2], [0.5 / 14] * 2, rtol=1e-6)
    # The three layers of stride 32 share one grid with six anchors in each cell.
    np.testing.assert_allclose(found[-6:], [[6.5 / 7] * 2] * 6, rtol=1e-6)
    np.testing.assert_allclose(found[-7], [5.5 / 7, 6.5 / 7], rtol=1e-6)


def test_a_size_that_the_stride_does_not_divide_has_one_more_cell():
    assert len(anchors((100, 60), (32,), 1)) == 4 * 2


def plant(rows: dict[int, tuple[list[float], list[list[float]], float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return network outputs that hold boxes (xyxy) and keypoints, both in pixels, with logits, at given anchors."""
    centres = anchors(*POSE)
    values, logits = np.zeros((len(centres), 12), np.float32), np.full((len(centres), 1), -100.0, np.float32)
    for row, (box, keypoints, logit) in rows.items():
        low, high = np.array(box[:2]), np.array(box[2:])
        values[row, :2] = (low + high) / 2 - centres[row] * 224
        values[row, 2:4] = high - low
        values[row, 4:] = (np.array(keypoints) - centres[row] * 224).reshape(-1)
        logits[row] = logit
    return values, logits, centres


def test_finds_planted_boxes_with_their_keypoints():
    points = [[50, 60], [52, 20], [49, 40], [48, 30]]
    planted = {5: ([10, 20, 60, 80], points, 2.0), 2000: ([100, 90, 220, 230], points[::-1], 0.0)}
    boxes, keypoints, scores = decode(*plant(planted), POSE[0], 0.5)
    np.testing.assert_allclose(boxes * 224, [planted[5][0], planted[2000][0]], atol=1e-3)
    np.testing.assert_allclose(keypoints * 224, [points, points[::-1]], atol=1e-3)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2)), 0.5], rtol=1e-6)


def test_nothing_planted_nothing_found():
    boxes, keypoints, scores = decode(*plant({}), POSE[0], 0.5)
    assert (boxes.shape, keypoints.shape, scores.shape) == ((0, 4), (0, 4, 2), (0,))
    merged = weighted_nms(boxes, keypoints, scores, 0.3)
    assert [m.shape for m in merged] == [(0, 4), (0, 4, 2), (0,)]


@pytest.mark.parametrize("size", [-5.0, 0.0, np.nan, np.inf])
def test_leaves_out_boxes_without_a_size(size):
    values, logits, centres = plant({5: ([10, 20, 60, 80], [[1, 1]] * 4, 2.0)})
    values[5, 3] = size
    assert len(decode(values, logits, centres, POSE[0], 0.5)[0]) == 0


def test_extreme_logits_are_certain_and_do_not_overflow():
    scores = decode(*plant({5: ([10, 20, 60, 80], [[1, 1]] * 4, 1e9)}), POSE[0], 0.5)[2]
    assert scores.tolist() == [1.0]


def test_refuses_outputs_of_another_network():
    values, logits, centres = plant({})
    with pytest.raises(ShapeError, match=r"values: expected \(2254, 4 \+ 2P\), got \(2016, 18\)"):
        decode(np.zeros((2016, 18)), logits, centres, POSE[0], 0.5)
    with pytest.raises(ShapeError, match=r"logits: expected \(2254,\)"):
        decode(values, logits[1:], centres, POSE[0], 0.5)


def test_overlapping_boxes_become_their_mean_by_score():
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [1, 0, 11, 10]], float)
    keypoints = np.array([[[0, 0]], [[5, 5]], [[4, 8]]], float)
    scores = np.array([0.6, 0.8, 0.9])
    merged, points, best = weighted_nms(boxes, keypoints, scores, 0.3)
    # Best first: 0.9 takes 0.6 in, and keeps its own score.
    np.testing.assert_allclose(merged, [[0.6, 0, 10.6, 10], [50, 50, 60, 60]], rtol=1e-6)
    np.testing.assert_allclose(points[:, 0], [[4 * 0.6, 8 * 0.6], [5, 5]], rtol=1e-6)
    np.testing.assert_allclose(best, [0.9, 0.8])


def test_boxes_that_touch_too_little_stay_apart():
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10]], float)  # IoU 0.25
    assert len(weighted_nms(boxes, np.zeros((2, 1, 2)), np.array([0.9, 0.8]), 0.3)[0]) == 2
    assert len(weighted_nms(boxes, np.zeros((2, 1, 2)), np.array([0.9, 0.8]), 0.2)[0]) == 1


def test_a_box_of_no_area_is_a_group_of_its_own():
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5]], float)
    assert len(weighted_nms(boxes, np.zeros((2, 1, 2)), np.array([0.9, 0.8]), 0.3)[0]) == 2
