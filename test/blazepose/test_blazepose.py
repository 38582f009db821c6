# SPDX-License-Identifier: Apache-2.0
"""The estimator around a network that is known: geometry, activations and the next region."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from pose_ros.core import warp
from pose_ros.errors import CardError
from pose_ros.estimators.blazepose import BlazePose, BlazePoseOptions
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD = cards.get("blazepose-full")
LANDMARKS, FLAG, HEATMAP, WORLD = CARD.outputs
REGIONS = np.array(
    [[120, 100, 90, 90, 0], [130, 110, 60, 60, 0.9], [100, 120, 75, 75, -2.5], [128, 128, 100, 100, np.pi]], np.float32
)


def outputs(batch: np.ndarray) -> dict[str, np.ndarray]:
    """Return a body that is surely there, all landmarks in the middle, a heat map that says nothing."""
    n = len(batch)
    landmarks = np.zeros((n, 39, 5), np.float32)
    landmarks[..., :2] = 128
    return {
        LANDMARKS: landmarks.reshape(n, 195),
        FLAG: np.ones((n, 1), np.float32),
        HEATMAP: np.full((n, 64, 64, 39), -20, np.float32),
        WORLD: np.zeros((n, 117), np.float32),
    }


def estimator(
    network: Callable[[np.ndarray], Mapping[str, np.ndarray]] = outputs, options: BlazePoseOptions | None = None
) -> BlazePose:
    shapes = {name: (-1, *array.shape[1:]) for name, array in outputs(np.empty(1)).items()}
    fake = FakeSession(Tensor("image", (-1, 256, 256, 3)), [Tensor(*item) for item in shapes.items()], network)
    return BlazePose(Model(CARD, fake), options)


def ramps() -> np.ndarray:
    """Return an image that says at every pixel where it is: red is x, green is y."""
    y, x = np.mgrid[:256, :256]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("at", [(128, 128), (30, 200), (0, 0), (255, 17)])
def test_a_landmark_comes_back_to_the_pixels_that_the_network_saw(at):
    """Warp and unwarp are exact: the network reads the crop where it puts its landmark."""
    seen = {}

    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        seen["rgb"] = batch[:, at[1], at[0]] * 255
        found = outputs(batch)
        found[LANDMARKS].reshape(-1, 39, 5)[..., :2] = at
        return found

    poses = estimator(network).estimate(ramps(), REGIONS)
    # A pixel of the crop holds whole numbers.
    np.testing.assert_allclose(poses.keypoints[:, 0], seen["rgb"][:, :2], atol=0.55)
    assert (poses.keypoints == poses.keypoints[:, :1]).all()


def test_outside_the_image_its_border_is_repeated():
    seen = {}

    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        seen["batch"] = batch
        return outputs(batch)

    estimator(network).estimate(np.full((40, 30, 3), 51, np.uint8), np.array([[0, 0, 100, 100, 0.3]]))
    np.testing.assert_allclose(seen["batch"], 0.2, rtol=1e-6)


def test_world_points_turn_with_the_region_and_keep_their_size():
    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = outputs(batch)
        found[WORLD] = np.tile(np.float32([0.5, -0.2, 0.3]), (len(batch), 39))
        return found

    local = estimator(network).estimate(ramps(), REGIONS).local_points
    for row, angle in enumerate(REGIONS[:, 4]):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        np.testing.assert_allclose(local[row], np.tile(turn @ [0.5, -0.2, 0.3], (33, 1)), atol=1e-6)


def test_scores_are_visibilities_and_the_flag_is_the_subject_s_score():
    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = outputs(batch)
        found[LANDMARKS].reshape(-1, 39, 5)[:, :, 3] = np.arange(39) - 16
        found[LANDMARKS].reshape(-1, 39, 5)[:, :, 4] = 9  # presence
        found[FLAG][:, 0] = [0.1, 0.9]
        return found

    poses = estimator(network).estimate(ramps(), REGIONS[:2])
    np.testing.assert_allclose(poses.scores[1], 1 / (1 + np.exp(16.0 - np.arange(33))), atol=1e-6)
    np.testing.assert_allclose(poses.subject_scores, [0.1, 0.9], rtol=1e-6)


def test_the_next_region_encloses_the_body_s_circle():
    """Landmark 33 is the middle, 34 lies on the circle, above it: a person in the middle stays there."""

    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = outputs(batch)
        found[LANDMARKS].reshape(-1, 39, 5)[:, 34, :2] = 128, 128 - 128 / 1.25
        return found

    poses = estimator(network).estimate(ramps(), REGIONS)
    np.testing.assert_allclose(poses.regions[:, :4], REGIONS[:, :4], rtol=1e-4)
    np.testing.assert_allclose(np.cos(poses.regions[:, 4]), np.cos(REGIONS[:, 4]), atol=1e-5)
    np.testing.assert_allclose(np.sin(poses.regions[:, 4]), np.sin(REGIONS[:, 4]), atol=1e-5)


def test_landmarks_go_where_the_heatmap_says_unless_told_otherwise():
    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = outputs(batch)
        found[HEATMAP][:, 30, 34] = 20  # row, column
        return found

    region = REGIONS[:1]
    refined = estimator(network).estimate(ramps(), region).keypoints[0]
    padded = warp.fit_aspect(region, (256, 256), 1.25)[0]
    matrix = warp.region_matrix(padded, (256, 256), "corner")
    np.testing.assert_allclose(refined, np.tile(warp.apply(matrix, np.array([34 * 4.0, 30 * 4.0])), (33, 1)), atol=1e-3)
    plain = estimator(network, BlazePoseOptions(refine=False)).estimate(ramps(), region).keypoints[0]
    np.testing.assert_allclose(plain, np.tile(warp.apply(matrix, np.array([128.0, 128.0])), (33, 1)), atol=1e-3)


def test_the_box_holds_all_keypoints_and_a_margin():
    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = outputs(batch)
        found[LANDMARKS].reshape(-1, 39, 5)[:, :33, 0] = np.linspace(20, 200, 33)
        found[LANDMARKS].reshape(-1, 39, 5)[:, :33, 1] = np.linspace(250, 40, 33)
        return found

    poses = estimator(network).estimate(ramps(), REGIONS[:1])
    box, points = poses.boxes[0], poses.keypoints[0]
    margin = 0.1 * np.ptp(points, axis=0)
    np.testing.assert_allclose(box, [*points.min(axis=0) - margin, *points.max(axis=0) + margin], rtol=1e-5)


@pytest.mark.parametrize("size", [1e-6, 1e6, 1e8, 3e38])
def test_a_region_of_any_size_is_survived(size):
    poses = estimator().estimate(ramps(), np.array([[128, 128, size, size, 1], REGIONS[0]], np.float32))
    np.testing.assert_allclose(poses.keypoints[1], np.tile(REGIONS[0, :2], (33, 1)), atol=1e-3)
    assert np.isnan(poses.keypoints[0]).all() == (size > 1e7)


def test_the_mask_is_never_asked_for():
    assert "Identity_2" not in CARD.outputs
    assert all("Identity_2" not in cards.get(f"blazepose-{size}").outputs for size in ("lite", "full", "heavy"))


def test_refuses_a_card_of_another_network():
    card = dataclasses.replace(CARD, outputs=("Identity",))
    with pytest.raises(CardError, match="outputs: expected landmarks, presence"):
        BlazePose(Model(card, estimator().session))
