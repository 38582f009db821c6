# SPDX-License-Identifier: Apache-2.0
"""RTMDet's outputs -> boxes of the image."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode.grid import cells
from pose_ros.detectors.boxes import BoxOptions
from pose_ros.detectors.rtmdet import RtmDetDetector
from pose_ros.errors import CardError
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

SIZE = (96, 64)
CELLS = 126


def detector(*planted: tuple[tuple[float, ...], float, int], **options) -> RtmDetDetector:
    """Return a detector whose first cells see these boxes (from the input's edge), scores and classes."""
    distances, logits = np.zeros((1, CELLS, 4), np.float32), np.full((1, CELLS, 2), -12.0, np.float32)
    for cell, (box, score, kind) in enumerate(planted):
        corner = cells(SIZE)[0][cell]
        distances[0, cell] = [*(corner - box[:2]), *(np.array(box[2:]) - corner)]
        logits[0, cell, kind] = np.log(score / (1 - score))
    outputs = {"distances": distances, "logits": logits}
    card = ModelCard("tiny", "detector", "rtmdet", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     classes=("person", "cat"), params={"find": "person"}, outputs=tuple(outputs))
    tensors = [Tensor(name, (-1, *value.shape[1:])) for name, value in outputs.items()]
    session = FakeSession(Tensor("image", (-1, 3, 64, 96)), tensors, lambda batch: outputs)
    return RtmDetDetector(Model(card, session), BoxOptions(**options))


def test_boxes_come_back_to_the_image_without_doubles():
    made = detector(
        ((0, 0, 20, 40), 0.8, 0), ((1, 0, 21, 40), 0.9, 0), ((50, 10, 90, 60), 0.6, 0), ((0, 0, 9, 9), 0.9, 1)
    )
    found = made.detect(np.zeros((128, 192, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[1.5, -0.5, 41.5, 79.5], [99.5, 19.5, 179.5, 119.5]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-6)
    assert found.classes.tolist() == [0, 0]


def test_soft_suppression_keeps_who_stands_close():
    people = [((0, 0, 20, 40), 0.9, 0), ((6, 0, 26, 40), 0.8, 0)]
    image = np.zeros((64, 96, 3), np.uint8)
    assert len(detector(*people).detect(image)) == 1
    found = detector(*people, soft_nms=True).detect(image)
    overlap = 14 / 26
    np.testing.assert_allclose(found.scores, [0.9, 0.8 * np.exp(-(overlap**2) / 0.5)], rtol=1e-5)
    assert len(detector(*people, soft_nms=True, score_threshold=0.5).detect(image)) == 1


def test_a_card_without_its_outputs_is_refused():
    card = ModelCard("tiny", "detector", "rtmdet", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     classes=("person",))
    with pytest.raises(CardError, match="outputs: expected distances and logits"):
        RtmDetDetector(Model(card, FakeSession(Tensor("image", (-1, 3, 64, 96)), [], lambda batch: {})))
