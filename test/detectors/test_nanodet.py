# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pose_ros.decode import nanodet
from pose_ros.detectors.boxes import BoxOptions
from pose_ros.detectors.nanodet import NanoDetDetector
from pose_ros.errors import CardError, ShapeError
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD = cards.get("nanodet-plus-m-416")
#: Strides 8, 16, 32, 64 of 416 pixels; the last one has a cell that reaches beyond.
CELLS = 52**2 + 26**2 + 13**2 + 7**2
REG_MAX = 7


def formula(output: np.ndarray, size_wh: tuple[int, int], strides: tuple[int, ...], centre: float) -> np.ndarray:
    """Return the boxes of all cells by the formulas of the paper, cell by cell, in pixels from the edge."""
    boxes, row = [], 0
    for stride in strides:
        for y in range(-(-size_wh[1] // stride)):
            for x in range(-(-size_wh[0] // stride)):
                sides = output[row, -4 * (REG_MAX + 1) :].reshape(4, -1).astype(np.float64)
                p = np.exp(sides) / np.exp(sides).sum(axis=1, keepdims=True)
                left, top, right, bottom = stride * sum(i * p[:, i] for i in range(REG_MAX + 1))
                cx, cy = (x + centre) * stride, (y + centre) * stride
                boxes.append([max(cx - left, 0), max(cy - top, 0), min(cx + right, size_wh[0]),
                              min(cy + bottom, size_wh[1])])
                row += 1
    return np.array(boxes)


def planted(*found: tuple[tuple[float, float, float, float], float, str]) -> np.ndarray:
    """Return what the network says when it sees these boxes (xyxy in pixels from the edge): two sure distances."""
    output = np.zeros((CELLS, 80 + 32), np.float32)
    for (x0, y0, x1, y1), score, name in found:
        level = next(i for i in range(4) if max(x1 - x0, y1 - y0) < 1.8 * REG_MAX * (8 << i))
        stride, columns = 8 << level, (52, 26, 13, 7)[level]
        x, y = int((x0 + x1) / 2 // stride), int((y0 + y1) / 2 // stride)
        cell = sum(n * n for n in (52, 26, 13, 7)[:level]) + y * columns + x
        output[cell, CARD.classes.index(name)] = score
        sides = np.array([x * stride - x0, y * stride - y0, x1 - x * stride, y1 - y * stride]) / stride
        logits = np.full((4, REG_MAX + 1), -50.0)
        for i, side in enumerate(sides):
            whole = int(side)
            logits[i, whole], logits[i, whole + 1] = np.log(max(1 - side % 1, 1e-9)), np.log(max(side % 1, 1e-9))
        output[cell, 80:] = logits.ravel()
    return output


def detector(output: np.ndarray, card: Any = CARD, **options: object) -> NanoDetDetector:
    session = FakeSession(Tensor("data", (-1, 3, 416, 416)), [Tensor("output", (-1, *output.shape))],
                          lambda batch: {"output": output[None]})
    return NanoDetDetector(Model(card, session), BoxOptions(**options))  # type: ignore[arg-type]


def test_planted_boxes_come_back():
    """Also at the border, small and large, and overlapping; the image is twice as wide and as high as the input."""
    truth = [(100, 50, 130, 70), (0, 300, 100, 416), (20, 10, 400, 400), (115, 60, 150, 90)]
    found = detector(planted(*((box, 0.9 - 0.1 * i, "person") for i, box in enumerate(truth)))).detect(
        np.zeros((832, 832, 3), np.uint8)
    )
    np.testing.assert_allclose(found.boxes, 2 * np.array(truth) - 0.5, atol=0.01)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7, 0.6], atol=1e-6)


@pytest.mark.parametrize(("strides", "centre"), [((8, 16, 32, 64), 0.0), ((8, 16, 32), 0.5)])
@pytest.mark.parametrize("size_wh", [(416, 416), (320, 200)])
def test_agrees_with_the_formulas(rng, size_wh, strides, centre):
    cells = sum(int(np.prod([-(-s // stride) for s in size_wh])) for stride in strides)
    output = rng.normal(0, 2, (cells, 3 + 32)).astype(np.float32)
    output[:, :3] = rng.random((cells, 3))
    boxes, scores, classes = nanodet.decode(
        output, size_wh, levels=len(strides), reg_max=REG_MAX, centre=centre, classes=np.array([0, 2]), min_score=0.0
    )
    np.testing.assert_allclose(boxes, formula(output, size_wh, strides, centre) - 0.5, atol=2e-3)
    np.testing.assert_array_equal(scores, output[:, [0, 2]].max(axis=1))
    np.testing.assert_array_equal(classes, np.where(output[:, 0] >= output[:, 2], 0, 2))


def test_only_wanted_classes():
    output = planted(((100, 50, 130, 70), 0.9, "person"), ((10, 10, 60, 60), 0.8, "cat"))
    assert detector(output).detect(np.zeros((9, 9, 3), np.uint8)).classes.tolist() == [0]
    assert detector(output, classes=("cat",)).detect(np.zeros((9, 9, 3), np.uint8)).classes.tolist() == [15]


def test_another_network_is_refused():
    with pytest.raises(ShapeError, match=rf"output: expected \({CELLS}, C \+ 32\) for an input of \(416, 416\)"):
        detector(np.zeros((2125, 112), np.float32)).detect(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ShapeError, match="output: expected"):
        detector(np.zeros((CELLS, 32), np.float32)).detect(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(CardError, match=r"params\.levels: expected 1 \.\. 5, got 9"):
        detector(np.zeros((CELLS, 112)), dataclasses.replace(CARD, params={"levels": 9}))
