# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pose_ros.errors import CardError
from pose_ros.estimators.landmarks import Landmarks
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

HAND, FACE = cards.get("mediapipe-hand-landmark-lite"), cards.get("mediapipe-face-landmark")
IMAGE = np.zeros((480, 640, 3), np.uint8)


def landmarks(answer: dict[str, Any], card: Any = HAND, **changes: Any) -> Landmarks:
    values = {name: np.asarray(value, np.float32) for name, value in answer.items()}
    size = card.input_wh[0]
    session = FakeSession(
        Tensor("input", (-1, size, size, 3)), [Tensor(name, (-1, *v.shape)) for name, v in values.items()],
        lambda batch: {name: np.repeat(v[None], len(batch), axis=0) for name, v in values.items()},
    )
    return Landmarks(Model(dataclasses.replace(card, **changes), session))


def hand(points: np.ndarray, presence: float = 0.9, right: float = 0.8, world: Any = None) -> dict[str, Any]:
    world = np.zeros((21, 3)) if world is None else world
    flat = np.concatenate([points, np.zeros((21, 1))], axis=1).ravel()
    return dict(zip(HAND.outputs, (flat, [presence], [right], world.ravel()), strict=True))


def test_landmarks_come_back_from_a_turned_region():
    """The region is turned by a quarter: what is right in the crop is below in the image."""
    points = np.full((21, 2), 112.0)
    points[8] = [168, 112]
    poses = landmarks(hand(points)).estimate(IMAGE, np.float32([[300, 200, 224, 224, np.pi / 2]]))
    np.testing.assert_allclose(poses.keypoints[0, 0], [300, 200], atol=1e-3)
    np.testing.assert_allclose(poses.keypoints[0, 8], [300, 256], atol=1e-3)


def test_presence_is_how_sure_each_landmark_is():
    points = np.random.default_rng(0).uniform(50, 170, (21, 2))
    poses = landmarks(hand(points, presence=0.7)).estimate(IMAGE, np.float32([[300, 200, 100, 100, 0], [np.nan] * 5]))
    np.testing.assert_allclose(poses.subject_scores, [0.7, 0])
    np.testing.assert_allclose(poses.scores[0], 0.7)
    assert (poses.scores[1] == 0).all()
    assert np.isnan(poses.regions[1]).all()


@pytest.mark.parametrize(("right", "side"), [(0.9, 2), (0.2, 1)])
def test_says_whether_a_hand_is_a_left_or_a_right_one(right, side):
    poses = landmarks(hand(np.full((21, 2), 9.0), right=right)).estimate(IMAGE, np.float32([[300, 200, 100, 100, 0]]))
    assert poses.sides.tolist() == [side]
    np.testing.assert_allclose(poses.side_scores, [max(right, 1 - right)])


def test_metres_turn_with_the_region():
    world = np.tile([0.1, 0.0, 0.02], (21, 1))
    poses = landmarks(hand(np.full((21, 2), 9.0), world=world)).estimate(
        IMAGE, np.float32([[300, 200, 100, 100, np.pi / 2]])
    )
    np.testing.assert_allclose(poses.local_points[0, 3], [0, 0.1, 0.02], atol=1e-6)


def test_a_face_is_looked_for_upright_around_its_box():
    """The corners of the eyes are on a line that falls by 45 degrees; the region is half as large again as the box."""
    points = np.full((468, 3), 96.0)
    points[33, :2], points[263, :2], points[10, :2], points[152, :2] = (80, 80), (112, 112), (96, 36), (96, 156)
    card = dict(zip(FACE.outputs, (points.ravel()[None, None], [[[0.0]]]), strict=True))
    poses = landmarks(card, FACE).estimate(IMAGE, np.float32([[300, 200, 192, 192, 0]]))
    np.testing.assert_allclose(poses.regions, [[300, 200, 180, 180, np.pi / 4]], atol=1e-3)
    np.testing.assert_allclose(poses.subject_scores, [0.5])
    assert poses.sides.tolist() == [0]


@pytest.mark.parametrize(("change", "problem"), [
    ({"outputs": HAND.outputs[:3]}, "outputs: expected landmarks, presence, and of hands"),
    ({"params": {"roi": HAND.params["roi"]}}, "params.presence: expected probability or logit, got None"),
    ({"params": {"presence": "logit"}}, "params.roi: 'roi'"),
    ({"params": {"presence": "logit", "roi": {"start": 0, "end": 1, "tilt": 3}}}, "params.roi: .*tilt"),
    ({"params": {"presence": "logit", "roi": {"start": 0, "end": 21}}}, "params.roi: .*out of bounds"),
])
def test_cards_that_do_not_fit_are_refused(change, problem):
    with pytest.raises(CardError, match=problem):
        landmarks(hand(np.zeros((21, 2))), **change)
