# SPDX-License-Identifier: Apache-2.0
"""What RTMO's decoder leaves of its candidates."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode import rtmo
from pose_ros.errors import ShapeError


def candidates(*people: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Return candidates at (x, score), 40 wide and 100 high; their keypoints are their corners."""
    x, scores = np.array(people, np.float32).reshape(-1, 2).T
    boxes = np.stack([x, np.zeros_like(x), x + 40, np.full_like(x, 100)], axis=1)
    return boxes, scores, boxes.reshape(-1, 2, 2), np.full((len(x), 2), 0.5, np.float32)


def decode(*people, min_score=0.3, max_iou=0.65):
    return rtmo.decode(*candidates(*people), min_score=min_score, max_iou=max_iou)


def test_doubles_and_doubts_go_and_neighbours_stay():
    """Boxes 4 apart overlap by 0.82, boxes 20 apart by 0.33."""
    found = decode((0, 0.5), (4, 0.9), (24, 0.6), (200, 0.2), (300, 0.8))
    assert found.boxes[:, 0].tolist() == [4, 300, 24]
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.6])
    np.testing.assert_array_equal(found.keypoints, found.boxes.reshape(-1, 2, 2))
    assert found.visibilities.shape == (3, 2)
    assert len(decode((0, 0.5), (4, 0.9), max_iou=0.9).scores) == 2


def test_rows_that_fill_up_are_nobody():
    assert len(decode((0, 0.0), (0, 0.0), min_score=0.0).scores) == 0
    assert decode().keypoints.shape == (0, 2, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_box_that_is_none_is_nobody(value):
    boxes, *rest = candidates((0, 0.9), (100, 0.8))
    boxes[0, 2] = value
    assert rtmo.decode(boxes, *rest, min_score=0.3, max_iou=0.65).boxes[:, 0].tolist() == [100]


@pytest.mark.parametrize(("column", "name"), [(0, "boxes"), (1, "scores"), (3, "visibilities")])
def test_columns_that_do_not_fit_are_refused(column, name):
    columns = list(candidates((0, 0.9), (100, 0.8)))
    columns[column] = columns[column][:1]
    with pytest.raises(ShapeError, match=rf"{name}: expected \(2,.*beside keypoints"):
        rtmo.decode(*columns, min_score=0.3, max_iou=0.65)
