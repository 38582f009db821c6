# SPDX-License-Identifier: Apache-2.0
"""The circle around a hand, from a network that says what the test wants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_ros.errors import CardError
from pose_ros.estimators.recrop import Recrop
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD = cards.get("mediapipe-hand-recrop")
IMAGE = np.zeros((200, 300, 3), np.uint8)


def recrop(points: list[float], card: ModelCard = CARD) -> Recrop:
    answer = np.array(points, np.float32).reshape(1, 1, 4)
    session = FakeSession(
        Tensor("input_1", (-1, 256, 256, 3)), [Tensor("output_crop", (-1, 1, 1, 4))],
        lambda batch: {"output_crop": np.repeat(answer, len(batch), axis=0)[:, None]},
    )  # fmt: skip
    return Recrop(Model(card, session))


def test_the_square_around_the_circle_stands_upright():
    # In the crop the hand's middle is the crop's, and the circle's edge is 32 of 256 pixels below.
    found = recrop([128, 128, 128, 160]).estimate(IMAGE, np.array([[150, 100, 80, 80, 0]]))
    np.testing.assert_allclose(found.keypoints[0], [[150, 100], [150, 110]])
    # A tenth of the square's side is added above.
    np.testing.assert_allclose(found.regions, [[150, 98, 20, 20, 0]], atol=1e-5)


@pytest.mark.parametrize("angle", [0.5, -2.0])
def test_turns_with_the_region_and_the_hand(angle):
    found = recrop([128, 128, 160, 128]).estimate(IMAGE, np.array([[150, 100, 80, 80, angle]]))
    # The edge lies to the right in the crop, so the hand points to the left of it.
    turned = np.exp(1j * (found.regions[0, 4] - (angle - np.pi / 2)))
    np.testing.assert_allclose(turned, 1, atol=1e-6)
    np.testing.assert_allclose(found.regions[0, 2:4], 20, rtol=1e-6)


def test_without_a_region_or_an_answer():
    regions = np.array([[np.nan] * 5, [150, 100, 80, 80, 0]])
    found = recrop([128, 128, 128, 160]).estimate(IMAGE, regions, np.array([1, 2]))
    assert np.isnan(found.regions[0]).all()
    assert found.scores.tolist() == [[0, 0], [1, 1]]
    assert found.sides.tolist() == [1, 2]
    assert np.isnan(recrop([np.nan] * 4).estimate(IMAGE, np.array([[150, 100, 80, 80, 0]])).regions).all()


@pytest.mark.parametrize(("change", "problem"), [
    ({"outputs": ("a", "b")}, "outputs: expected one"),
    ({"params": {}}, "params.roi"),
    ({"params": {"roi": {"start": 0, "end": 7}}}, "params.roi"),
])
def test_a_card_that_does_not_fit(change, problem):
    with pytest.raises(CardError, match=problem):
        recrop([0, 0, 0, 0], replace(CARD, **change))
