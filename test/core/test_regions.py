# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_ros.core import regions as r
from pose_ros.errors import ShapeError

_whole = st.integers(0, 12).map(float)
_boxes = st.integers(0, 7).flatmap(lambda n: arrays(np.float64, (n, 4), elements=_whole)).map(
    lambda b: np.concatenate([np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])], axis=1)
)


def counted_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Count the cells of a grid that both boxes cover."""
    cells = [{(x, y) for x in range(int(c[0]), int(c[2])) for y in range(int(c[1]), int(c[3]))} for c in (a, b)]
    either = len(cells[0] | cells[1])
    return len(cells[0] & cells[1]) / either if either else 0.0


@given(_boxes, _boxes)
def test_iou_is_counted_cells(a, b):
    expected = [[counted_iou(x, y) for y in b] for x in a]
    np.testing.assert_allclose(r.iou(a, b), np.array(expected).reshape(len(a), len(b)))


def test_iou_with_nan_is_none():
    assert r.iou(np.array([[np.nan] * 4]), np.array([[0, 0, 1, 1.0]])) == 0


@given(_boxes, st.data(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_nms_keeps_the_best_and_nothing_that_overlaps_it(boxes, data, limit):
    scores = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(boxes), max_size=len(boxes))), float)
    kept = r.nms(boxes, scores, limit)
    slow: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(counted_iou(boxes[i], boxes[j]) <= limit for j in slow):
            slow.append(i)
    assert kept.tolist() == slow


@given(_boxes, st.data(), st.sampled_from([0.1, 0.5, 2.0]))
def test_soft_nms_is_the_rule_of_its_paper(boxes, data, sigma):
    """Bodla et al., figure 2, line by line, with equation 3 as the rescoring function."""
    scores = [0.05 * i for i in data.draw(st.lists(st.integers(1, 20), min_size=len(boxes), max_size=len(boxes)))]
    lowered, rest = list(scores), list(range(len(boxes)))
    while rest:
        best = max(rest, key=lambda i: lowered[i])
        rest.remove(best)
        for i in rest:
            lowered[i] *= np.exp(-(counted_iou(boxes[best], boxes[i]) ** 2) / sigma)
    np.testing.assert_allclose(r.soft_nms(boxes, np.array(scores), sigma), lowered, rtol=1e-5)


def test_soft_nms_keeps_who_stands_apart_and_lowers_doubles():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10.0]])
    scores = np.array([0.8, 0.9, 0.7])
    np.testing.assert_allclose(r.soft_nms(boxes, scores), [0.8 * np.exp(-2), 0.9, 0.7], rtol=1e-6)
    np.testing.assert_array_equal(scores, [0.8, 0.9, 0.7])
    assert r.soft_nms(np.empty((0, 4)), np.empty(0)).shape == (0,)


def test_boxes_and_regions_are_the_same_upright():
    boxes = np.float32([[1, 2, 5, 10], [-3, 0, 7, 1]])
    regions = r.boxes_to_regions(boxes)
    np.testing.assert_array_equal(regions, [[3, 6, 4, 8, 0], [2, 0.5, 10, 1, 0]])
    np.testing.assert_array_equal(r.regions_to_boxes(regions), boxes)


def test_a_turned_region_just_fits_its_box():
    quarter, eighth = r.regions_to_boxes(np.float32([[10, 20, 4, 8, np.pi / 2], [0, 0, 2, 2, np.pi / 4]]))
    np.testing.assert_allclose(quarter, [6, 18, 14, 22], atol=1e-5)
    np.testing.assert_allclose(eighth, [-np.sqrt(2), -np.sqrt(2), np.sqrt(2), np.sqrt(2)], atol=1e-5)


def test_keypoints_give_the_box_around_those_that_are_known():
    nan = np.nan
    boxes = r.keypoints_to_boxes(np.float32([
        [[1, 9], [5, 2], [nan, nan]], [[nan, nan]] * 3, [[4, 4], [nan, 100], [nan, nan]],
    ]))
    np.testing.assert_array_equal(boxes, [[1, 2, 5, 9], [nan] * 4, [4, 4, 4, 4]])
    assert r.keypoints_to_boxes(np.empty((0, 17, 2))).shape == (0, 4)
    assert r.keypoints_to_boxes(np.empty((2, 0, 2))).shape == (2, 4)


def test_detections_fill_what_is_left_out():
    found = r.Detections(np.array([[0, 0, 2, 4], [1, 1, 3, 3]]), np.array([0.9, 0.8]))
    assert found.classes.tolist() == [0, 0]
    np.testing.assert_array_equal(found.regions[0], [1, 2, 2, 4, 0])
    assert found.boxes.dtype == found.scores.dtype == np.float32
    swapped = found.select(np.array([1, 0]))
    assert swapped.scores.tolist() == pytest.approx([0.8, 0.9])
    assert len(found.select(np.array([False, False]))) == len(r.Detections.empty()) == 0


@pytest.mark.parametrize(("columns", "message"), [
    ({"boxes": np.zeros((2, 5)), "scores": np.zeros(2)}, r"boxes: expected \(N, 4\), got \(2, 5\)"),
    ({"boxes": np.zeros((2, 4)), "scores": np.zeros(3)}, r"scores: expected \(2,\), got \(3,\)"),
    ({"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "classes": np.zeros(1)}, r"classes: expected \(2,\)"),
    ({"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "regions": np.zeros((2, 4))}, r"regions: expected \(2, 5\)"),
])
def test_detections_refuse_what_does_not_fit(columns, message):
    with pytest.raises(ShapeError, match=message):
        r.Detections(**columns)


def test_check_regions():
    assert r.check_regions(np.zeros((3, 5))).dtype == np.float32
    with pytest.raises(ShapeError, match=r"regions: expected \(N, 5\), got \(5,\)"):
        r.check_regions(np.zeros(5))
