# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode import yolox
from pose_ros.detectors.boxes import BoxOptions
from pose_ros.detectors.yolox import YoloxDetector
from pose_ros.errors import CardError, ShapeError, UnknownNameError
from pose_ros.models.card import Licence, ModelCard, ModelFile, Preprocess
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CLASSES = ("person", "bicycle", "cat")
SIZE = (416, 416)


def output_of(*found: tuple[tuple[float, float, float, float], float, str]) -> np.ndarray:
    """Return what the network says when it sees these boxes (xyxy in input pixels from the edge), by its own rule."""
    output = np.zeros((3549, 5 + len(CLASSES)), np.float32)
    for (x0, y0, x1, y1), score, name in found:
        centre, size = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0])
        column, row = centre // 16
        cell = 52 * 52 + int(row * 26 + column)
        while output[cell, 4]:
            cell += 1
            column += 1
        output[cell, :2] = centre / 16 - [column, row]
        output[cell, 2:4] = np.log(size / 16)
        output[cell, 4], output[cell, 5 + CLASSES.index(name)] = np.sqrt(score), np.sqrt(score)
    return output


def detector(output: np.ndarray, **options: object) -> YoloxDetector:
    card = ModelCard("tiny", "detector", "yolox", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     Preprocess(color="bgr"), classes=CLASSES, params={"find": "person"})
    seen: list[np.ndarray] = []
    session = FakeSession(Tensor("images", (-1, 3, 416, 416)), [Tensor("output", (-1, *output.shape))],
                          lambda batch: seen.append(batch) or {"output": output[None]})  # type: ignore[func-returns-value]
    made = YoloxDetector(Model(card, session), BoxOptions(**options))  # type: ignore[arg-type]
    made.seen = seen  # type: ignore[attr-defined]
    return made


def image(width: int = 832, height: int = 416) -> np.ndarray:
    return np.full((height, width, 3), (10, 20, 30), np.uint8)


def test_boxes_come_back_to_the_image():
    """Edges at 100 .. 300 of the input are edges at 200 .. 600 of an image twice as large, half a pixel less."""
    found = detector(output_of(((100, 50, 300, 200), 0.81, "person"))).detect(image())
    np.testing.assert_allclose(found.boxes, [[199.5, 99.5, 599.5, 399.5]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.81], atol=1e-6)
    assert found.classes.tolist() == [0]


def test_the_network_sees_bgr_with_grey_below():
    made = detector(output_of())
    made.detect(image())
    (batch,) = made.seen
    assert batch[0, :, 100, 200].tolist() == [30, 20, 10]
    assert batch[0, :, 400, 200].tolist() == [114, 114, 114]


def test_only_wanted_classes():
    output = output_of(((100, 50, 300, 200), 0.9, "person"), ((10, 10, 60, 60), 0.8, "cat"))
    assert detector(output).detect(image()).classes.tolist() == [0]
    assert detector(output, classes=("cat",)).detect(image()).classes.tolist() == [2]
    assert detector(output, classes=("cat", "person")).detect(image()).classes.tolist() == [0, 2]


def test_the_better_of_two_boxes_of_one_subject_stays():
    output = output_of(((100, 50, 300, 200), 0.6, "person"), ((101, 52, 303, 200), 0.9, "cat"))
    found = detector(output, classes=("cat", "person")).detect(image())
    assert found.classes.tolist() == [2]
    assert len(detector(output, classes=("cat", "person"), nms_iou=0.99).detect(image())) == 2


def test_thresholds():
    output = output_of(*(((40 * i, 10, 40 * i + 30, 60), 0.1 * (i + 1), "person") for i in range(9)))
    assert len(detector(output, score_threshold=0.45).detect(image())) == 5
    best = detector(output, max_detections=2).detect(image())
    np.testing.assert_allclose(best.scores, [0.9, 0.8], atol=1e-6)


def test_the_best_is_found_among_many_doubtful_ones():
    output = output_of()
    output[:, 2:4] = -3.0
    output[:, 4:6] = 0.6
    output[-1, 4:6] = 1.0
    assert detector(output, max_detections=1).detect(image()).scores.tolist() == [1.0]


def test_nobody_there():
    assert len(detector(output_of()).detect(image())) == 0


def test_unknown_classes_are_refused_with_near_names():
    with pytest.raises(UnknownNameError, match="unknown class of 'tiny' 'persn'; did you mean 'person'"):
        detector(output_of(), classes=("persn",))


def test_a_card_without_classes_is_refused():
    card = ModelCard("tiny", "detector", "yolox", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE)
    session = FakeSession(Tensor("images", (-1, 3, 416, 416)), [], lambda batch: {})
    with pytest.raises(CardError, match="model 'tiny': classes: expected"):
        YoloxDetector(Model(card, session))


def test_a_network_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"output: expected \(3549, 5 \+ C\) for an input of \(416, 416\)"):
        yolox.decode(np.zeros((8400, 85)), SIZE, classes=np.array([0]), min_score=0.1)
