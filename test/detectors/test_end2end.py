# SPDX-License-Identifier: Apache-2.0
"""Files with the suppression of doubles inside, run by the libraries that read them."""

from __future__ import annotations

from pathlib import Path

import end2end_file
import numpy as np
import pytest

from pose_ros.detectors.end2end import End2EndDetector, End2EndOptions
from pose_ros.errors import CardError, ShapeError
from pose_ros.models.card import Licence, ModelCard, ModelFile, Preprocess
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

CLASSES = ("person", "bicycle", "cat", "dog")
#: From the input's edge; the second one is a double of the first one.
BOXES = np.float32([[10, 10, 30, 50], [11, 10, 31, 50], [40, 5, 60, 30], [2, 40, 8, 60]])
CARD = ModelCard("tiny", "detector", "end2end", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), (64, 64),
                 Preprocess(color="bgr"), classes=CLASSES, outputs=("dets", "labels"))


@pytest.fixture(params=["onnxruntime", "openvino"])
def session(request: pytest.FixtureRequest, tmp_path: Path):
    end2end_file.write(tmp_path / "end2end.onnx", BOXES)
    return open_session(tmp_path / "end2end.onnx", device="cpu", runtime=request.param, outputs=CARD.outputs)


def detect(session, value: int = 255, **options):
    return End2EndDetector(Model(CARD, session), End2EndOptions(**options)).detect(
        np.full((128, 128, 3), value, np.uint8)
    )


def test_boxes_come_back_to_the_image(session):
    """Edges at 10 .. 30 of the input are edges at 20 .. 60 of an image twice as large, half a pixel less."""
    found = detect(session)
    np.testing.assert_allclose(found.boxes, 2 * BOXES[[0, 2, 3]] - 0.5, atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6], atol=1e-6)
    assert found.classes.tolist() == [0, 2, 3]


def test_thresholds_and_classes(session):
    assert detect(session, score_threshold=0.65).classes.tolist() == [0, 2]
    assert detect(session, classes=("dog",)).classes.tolist() == [3]


def test_nobody_there_after_somebody(session):
    assert [len(detect(session, value)) for value in (255, 0, 255)] == [3, 0, 3]


def of(dets: np.ndarray, labels: np.ndarray, **options):
    outputs = {"dets": dets[None].astype(np.float32), "labels": labels[None].astype(np.float32)}
    tensors = [Tensor(name, (-1, *value.shape[1:])) for name, value in outputs.items()]
    return detect(FakeSession(Tensor("input", (-1, 3, 64, 64)), tensors, lambda batch: outputs), **options)


def test_rows_that_fill_up_are_nothing():
    dets = np.array([[10, 10, 20, 20, 0.9], [0, 0, 0, 0, 0]])
    assert len(of(dets, np.array([0, -1]), score_threshold=0.0)) == 1
    assert len(of(dets, np.array([0, 0]), score_threshold=0.0)) == 1


def test_the_networks_own_suppression_is_believed():
    close = np.array([[10, 10, 30, 30, 0.9], [11, 10, 31, 30, 0.8]])
    assert len(of(close, np.zeros(2))) == 2
    assert len(of(close, np.zeros(2), nms_iou=0.5)) == 1


def test_other_outputs_are_refused():
    with pytest.raises(ShapeError, match=r"outputs: expected \(n, 5\) and \(n,\), got \(2, 4\) and \(2,\)"):
        of(np.zeros((2, 4)), np.zeros(2))
    card = ModelCard("tiny", "detector", "end2end", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), (64, 64),
                     classes=CLASSES)
    with pytest.raises(CardError, match="outputs: expected boxes and classes"):
        End2EndDetector(Model(card, FakeSession(Tensor("input", (-1, 3, 64, 64)), [], lambda batch: {})))
