# SPDX-License-Identifier: Apache-2.0
"""The detector around a network that is known: letterbox, boxes and regions in the image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pose_ros.decode.ssd import anchors
from pose_ros.detectors.ssd import SsdDetector
from pose_ros.errors import CardError
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD = cards.get("mediapipe-pose-detection")
#: Middle of the body and a point on the circle around it, in pixels of the network's input; logit.
Subject = tuple[list[float], list[float], float]
CENTRES = anchors((224, 224), (8, 16, 32, 32, 32)) * 224


def detector(subjects: list[Subject], seen: dict[str, Any], **params: Any) -> SsdDetector:
    """Return a detector whose network finds these subjects, and keeps what it was shown in ``seen``."""

    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        seen["batch"] = batch
        values, logits = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -100, np.float32)
        for number, (middle, tip, logit) in enumerate(subjects):
            row = number * 700
            values[0, row, :2] = middle - CENTRES[row]
            values[0, row, 2:4] = 20, 10
            values[0, row, 4:8] = np.concatenate([middle - CENTRES[row], tip - CENTRES[row]])
            logits[0, row] = logit
        return dict(zip(CARD.outputs, (values, logits), strict=True))

    tensors = [Tensor(CARD.outputs[0], (-1, 2254, 12)), Tensor(CARD.outputs[1], (-1, 2254, 1))]
    card = dataclasses.replace(CARD, params={**CARD.params, **params})
    return SsdDetector(Model(card, FakeSession(Tensor("image", (-1, 224, 224, 3)), tensors, network)))


def test_a_wide_image_sits_in_the_middle_between_black_bars():
    seen: dict[str, Any] = {}
    detector([], seen).detect(np.full((224, 448, 3), 255, np.uint8))
    column = seen["batch"][0, :, 112, 0]
    np.testing.assert_allclose(column[:55], -1)
    np.testing.assert_allclose(column[57:167], 1, atol=1e-6)
    np.testing.assert_allclose(column[169:], -1)


def test_regions_and_boxes_are_in_pixels_of_the_image():
    """In an image of 448 x 224 one pixel of the input is two, and the bars take 112 rows."""
    found = detector([([100, 120], [100, 90], 3.0)], {}).detect(np.zeros((224, 448, 3), np.uint8))
    np.testing.assert_allclose(found.regions, [[200, 240 - 112, 2 * 60, 2 * 60, 0]], atol=1e-3)
    np.testing.assert_allclose(found.boxes, [[140, 68, 260, 188]], atol=1e-3)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-3)), rtol=1e-6)


def test_a_network_whose_box_covers_the_subject():
    found = detector([([100, 120], [100, 90], 3.0)], {}, subject="box").detect(np.zeros((224, 224, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[90, 115, 110, 125]], atol=1e-3)
    np.testing.assert_allclose(found.regions, [[100, 120, 20, 20, 0]], atol=1e-3)


@pytest.mark.parametrize("upright", [False, True])
def test_a_network_whose_box_covers_a_part_of_the_subject(upright):
    """The arrow points to the right; the region is twice as large as the box, and the subject fills 3/4 of it."""
    roi = {"start": 0, "end": 1, "scale": 2.0}
    found = detector([([100, 120], [130, 120], 3.0)], {}, subject="box", roi=roi, cover=0.75, upright=upright).detect(
        np.zeros((224, 224, 3), np.uint8)
    )
    np.testing.assert_allclose(found.boxes, [[85, 105, 115, 135]], atol=1e-3)
    expected = [100, 120, 30, 30, 0] if upright else [100, 120, 40, 40, np.pi / 2]
    np.testing.assert_allclose(found.regions, [expected], atol=1e-3)


def test_several_people_best_first():
    people = [([50, 60], [50, 30], 1.0), ([150, 60], [170, 60], 4.0), ([90, 160], [90, 130], -1.0)]
    found = detector(people, {}).detect(np.zeros((224, 224, 3), np.uint8))
    np.testing.assert_allclose(found.regions[:, :2], [[150, 60], [50, 60]], atol=1e-3)
    np.testing.assert_allclose(found.regions[:, 4], [np.pi / 2, 0], atol=1e-6)


def test_nobody():
    found = detector([], {}).detect(np.zeros((10, 10, 3), np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.regions.shape == (0, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"outputs": ("Identity",)}, "outputs: expected boxes and scores"), ({"params": {"strides": [8]}}, "subject")],
)
def test_refuses_a_card_of_another_network(change, message):
    with pytest.raises(CardError, match=message):
        SsdDetector(Model(dataclasses.replace(CARD, **change), detector([], {}).session))
