# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose_ros.detectors.ultraface import UltraFaceDetector, UltraFaceOptions
from pose_ros.errors import CardError, ShapeError
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD = cards.get("ultraface-rfb-320")
IMAGE = np.full((480, 960, 3), 127, np.uint8)


def detector(scores: np.ndarray, boxes: np.ndarray, **options: object) -> UltraFaceDetector:
    outputs = {"scores": np.asarray(scores, np.float32)[None], "boxes": np.asarray(boxes, np.float32)[None]}
    tensors = [Tensor(name, (-1, *value.shape[1:])) for name, value in outputs.items()]
    session = FakeSession(Tensor("input", (-1, 3, 240, 320)), tensors, lambda batch: seen.append(batch) or outputs)  # type: ignore[func-returns-value]
    seen: list[np.ndarray] = []
    made = UltraFaceDetector(Model(CARD, session), UltraFaceOptions(**options))  # type: ignore[arg-type]
    made.seen = seen  # type: ignore[attr-defined]
    return made


def test_boxes_come_back_to_an_image_of_another_shape():
    """The image is stretched into the input: a quarter of the input is a quarter of the image, from edge to edge."""
    found = detector([[0.1, 0.9], [0.8, 0.2]], [[0.25, 0.5, 0.5, 1], [0, 0, 1, 1]]).detect(IMAGE)
    np.testing.assert_allclose(found.boxes, [[239.5, 239.5, 479.5, 479.5]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9])


def test_the_network_sees_rgb_around_zero():
    made = detector([[1, 0]], [[0, 0, 1, 1]])
    made.detect(np.full((100, 100, 3), (127, 255, 0), np.uint8))
    np.testing.assert_allclose(made.seen[0][0, :, 50, 50], [0, 1, -127 / 128])


def test_the_better_of_two_boxes_of_one_face_stays():
    boxes = [[0.1, 0.1, 0.3, 0.3], [0.11, 0.1, 0.31, 0.3], [0.6, 0.6, 0.7, 0.7]]
    assert detector([[0, 0.8], [0, 0.9], [0, 0.75]], boxes).detect(IMAGE).scores.tolist() == pytest.approx([0.9, 0.75])


def test_boxes_without_area_are_left_out():
    boxes = [[0.5, 0.5, 0.5, 0.6], [0.6, 0.5, 0.5, 0.6], [np.nan, 0, 1, 1]]
    assert len(detector([[0, 1]] * 3, boxes).detect(IMAGE)) == 0


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="scores and boxes: expected"):
        detector(np.zeros((3, 2)), np.zeros((2, 4))).detect(IMAGE)
    one = FakeSession(Tensor("input", (-1, 3, 240, 320)), [Tensor("scores", (-1, 1, 2))],
                      lambda batch: {"scores": np.zeros((1, 1, 2), np.float32)})
    with pytest.raises(CardError, match="outputs: expected scores and boxes"):
        UltraFaceDetector(Model(CARD, one)).detect(IMAGE)
