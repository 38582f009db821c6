# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.regions import Detections
from pose_ros.core.stages import Stages
from pose_ros.errors import CardError, ShapeError
from pose_ros.estimators.movenet import MoveNet, MoveNetMultiPose, MoveNetOptions
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.sources import TopDown

CARD = cards.get("movenet-lightning-ptq")
IMAGE = np.zeros((480, 640, 3), np.uint8)
#: y, x of the crop, from edge to edge: the torso around the middle, everything else there too.
ROWS = np.full((17, 3), 0.5, np.float32)
ROWS[[5, 6], 0], ROWS[[15, 16], 0] = 0.3, 0.9


def movenet(answer: Callable[[np.ndarray], np.ndarray], card: Any = CARD, **options: Any) -> MoveNet:
    session = FakeSession(Tensor("image", (-1, 192, 192, 3), "uint8"), [Tensor("out", (-1, 1, 17, 3))],
                          lambda batch: {"out": answer(batch)})
    return MoveNet(Model(card, session), MoveNetOptions(**options))


def always(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda batch: np.repeat(rows[None, None], len(batch), axis=0)


def test_keypoints_come_back_to_the_image():
    """A region of 100 pixels from edge to edge: 0.9 of it is 40 pixels below its middle, 0.5 its middle itself."""
    poses = movenet(always(ROWS)).estimate(IMAGE, np.float32([[200, 150, 60, 100, 0]]))
    np.testing.assert_allclose(poses.keypoint("left_ankle"), [[200, 190]], atol=1e-4)
    np.testing.assert_allclose(poses.keypoint("nose"), [[200, 150]], atol=1e-4)


def test_the_network_sees_the_pixels_themselves():
    seen: list[np.ndarray] = []
    image = np.full((480, 640, 3), (10, 20, 30), np.uint8)
    movenet(lambda b: (seen.append(b), always(ROWS)(b))[1]).estimate(image, np.float32([[320, 240, 50, 50, 0]]))
    assert seen[0].dtype == np.uint8
    assert seen[0][0, 96, 96].tolist() == [10, 20, 30]


def test_says_where_to_look_next_and_whether_somebody_is_there():
    rows = np.where(np.arange(3) == 2, 0.6, ROWS)
    poses = movenet(always(rows)).estimate(IMAGE, np.float32([[200, 150, 100, 100, 0], [np.nan] * 5]))
    np.testing.assert_allclose(poses.regions[0], [200, 150, 96, 96, 0], atol=1e-3)
    np.testing.assert_allclose(poses.subject_scores, [0.6, 0], atol=1e-6)
    assert np.isnan(poses.regions[1]).all()
    alone = movenet(always(rows), follow=False).estimate(IMAGE, np.float32([[200, 150, 100, 100, 0]]))
    assert alone.regions is None
    assert alone.subject_scores.tolist() == [1]


def test_padding_is_not_applied_twice():
    """What it says is what it will look at, whatever the padding of boxes is."""
    tight, wide = (
        movenet(always(ROWS), padding=p).estimate(IMAGE, np.float32([[200, 150, 100 / p, 100 / p, 0]])).regions
        for p in (1.0, 1.5)
    )
    np.testing.assert_allclose(wide[:, 2:4] * 1.5, tight[:, 2:4], rtol=1e-4)


def test_the_mirrored_image_is_looked_at_and_turned_back():
    rows = np.tile(np.float32([0.5, 0.25, 0.9]), (17, 1))
    answers = iter([rows, rows * [1, -1, 1] + [0, 1, 0]])

    def network(batch: np.ndarray) -> np.ndarray:
        first, second = next(answers), next(answers)
        second = second.copy()
        second[[1, 2]] = second[[2, 1]]
        return np.stack([first, second])[:, None].astype(np.float32)

    poses = movenet(network, flip_test=True).estimate(IMAGE, np.float32([[200, 150, 100, 100, 0]]))
    np.testing.assert_allclose(poses.keypoints[0], np.tile([175, 150], (17, 1)), atol=1e-3)


class _Once:
    """Finds one person in the first image, and never again."""

    card = cards.get("yolox-nano")

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: np.ndarray) -> Detections:
        self.calls += 1
        return Detections(np.float32([[150, 100, 250, 200]])[: self.calls == 1], np.float32([0.9])[: self.calls == 1])


def test_a_person_who_moves_is_followed_without_a_detector():
    """The person goes 3 pixels right in every image; what the network says is relative to the square it looked at."""
    square = np.zeros(4)

    class Following(MoveNet):
        def estimate(self, image, regions):
            square[:] = regions[0, :4] if len(regions) else 0
            return super().estimate(image, regions)

    truth = np.array([200.0, 150.0])

    def network(batch: np.ndarray) -> np.ndarray:
        rows = np.where(np.arange(3) == 2, 0.8, ROWS).astype(np.float64)
        points = truth + (ROWS[:, :2] - 0.5)[:, ::-1] * 100
        rows[:, :2] = ((points - square[:2]) / square[2:] + 0.5)[:, ::-1]
        return np.repeat(rows[None, None].astype(np.float32), len(batch), axis=0)

    made = movenet(network)
    source = TopDown(_Once(), Following(made.model, MoveNetOptions()))  # type: ignore[arg-type]
    source.options = dataclasses.replace(source.options, detect_every=60.0)
    for number in range(30):
        truth[0] = 200 + 3 * number
        poses = source(Frame(IMAGE, number * 33_000_000), Stages())
        assert len(poses) == 1, number
        np.testing.assert_allclose(poses.keypoint("nose")[0], truth, atol=0.05)
    assert source.detections == 1


@pytest.mark.parametrize("shape", [(1, 17, 4), (1, 16, 3)])
def test_another_network_is_refused(shape):
    card = dataclasses.replace(CARD)
    with pytest.raises(ShapeError, match=r"output: expected \(N, 1, 17, 3\)"):
        movenet(lambda b: np.zeros((len(b), *shape), np.float32), card).estimate(IMAGE, np.float32([[9, 9, 9, 9, 0]]))


def test_a_skeleton_without_a_torso_is_refused():
    with pytest.raises(CardError, match="skeleton: expected one with 'left_shoulder', got 'hand"):
        movenet(always(ROWS), dataclasses.replace(CARD, skeleton="hand21"))


def test_several_people_come_back_to_the_image():
    """An image of 640 x 480 stands in the middle of 256 x 256: 0.4 pixels of the input are one of the image."""
    rows = np.zeros((6, 56), np.float32)
    for row, (x, y, score) in enumerate(((100, 120, 0.3), (500, 300, 0.8), (0, 0, 0.1))):
        at = (np.array([y + 80, x]) + 0.5) * 0.4 / 256
        rows[row, :51] = np.tile([*at, 0.7], 17)
        rows[row, 51:] = [*(at - 0.05), *(at + 0.05), score]
    session = FakeSession(Tensor("image", (-1, -1, -1, 3), "int32"), [Tensor("out", (-1, 6, 56))],
                          lambda batch: {"out": rows[None]})
    poses = MoveNetMultiPose(Model(cards.get("movenet-multipose"), session)).estimate(IMAGE)
    np.testing.assert_allclose(poses.subject_scores, [0.8, 0.3], atol=1e-6)
    np.testing.assert_allclose(poses.keypoints[:, 3], [[500, 300], [100, 120]], atol=1e-3)
    np.testing.assert_allclose(poses.boxes[1], [68, 88, 132, 152], atol=1e-3)
