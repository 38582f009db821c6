# SPDX-License-Identifier: Apache-2.0
"""Boxes planted into RTMDet's outputs come back."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode import rtmdet
from pose_ros.decode.grid import cells
from pose_ros.errors import ShapeError

SIZE = (96, 64)
#: 12 x 8 + 6 x 4 + 3 x 2.
CELLS = 126


def outputs(*planted: tuple[int, tuple[float, float, float, float], float, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network says when these cells see these boxes (from the input's edge), scores and classes."""
    distances, logits = np.zeros((CELLS, 4), np.float32), np.full((CELLS, 3), -12.0, np.float32)
    corners, _ = cells(SIZE)
    for cell, box, score, kind in planted:
        distances[cell] = [*(corners[cell] - box[:2]), *(np.array(box[2:]) - corners[cell])]
        logits[cell, kind] = np.log(score / (1 - score))
    return distances, logits


def decode(*planted, classes=(0, 1, 2), min_score=0.3):
    return rtmdet.decode(*outputs(*planted), SIZE, classes=np.array(classes), min_score=min_score)


def test_boxes_of_all_levels_come_back():
    planted = [(0, (-3, -4, 10, 20), 0.9, 0), (95, (80, 50, 96, 64), 0.5, 2), (96, (0, 0, 96, 64), 0.7, 1),
               (125, (60.25, 30.5, 99, 70), 0.8, 0)]
    boxes, scores, classes = decode(*planted)
    np.testing.assert_allclose(boxes + 0.5, [p[1] for p in planted], atol=1e-4)
    np.testing.assert_allclose(scores, [0.9, 0.5, 0.7, 0.8], atol=1e-6)
    assert classes.tolist() == [0, 2, 1, 0]


def test_only_wanted_classes_above_the_threshold():
    planted = [(1, (0, 0, 9, 9), 0.9, 0), (2, (0, 0, 9, 9), 0.6, 1), (3, (0, 0, 9, 9), 0.2, 1)]
    assert decode(*planted, classes=(1,))[2].tolist() == [1]
    assert decode(*planted, min_score=0.1)[2].tolist() == [0, 1, 1]
    assert len(decode(*planted, classes=(2,))[0]) == 0


def test_a_box_that_ends_before_it_begins_is_none():
    assert len(decode((5, (20, 20, 10, 30), 0.9, 0))[0]) == 0


@pytest.mark.parametrize(("distances", "logits", "message"), [
    (np.zeros((CELLS + 1, 4)), np.zeros((CELLS, 3)), r"distances: expected \(126, 4\) for an input of \(96, 64\)"),
    (np.zeros((CELLS, 4)), np.zeros((CELLS, 2)), r"logits: expected \(126, C\), C > 2, got \(126, 2\)"),
])
def test_outputs_of_another_network_are_refused(distances, logits, message):
    with pytest.raises(ShapeError, match=message):
        rtmdet.decode(distances, logits, SIZE, classes=np.arange(3), min_score=0.1)
