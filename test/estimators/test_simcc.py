# SPDX-License-Identifier: Apache-2.0
"""The estimator of SimCC networks: cards, options, and people that are drawn."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_ros.core import warp
from pose_ros.errors import CardError
from pose_ros.estimators.simcc import SimccEstimator, SimccOptions
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue

sys.path.append(str(Path(__file__).parents[1] / "data/networks"))
from simcc_planted import gaussians

WH = (192, 256)
SIGMA = (4.9, 5.66)
REGIONS = np.float32([[320, 240, 80, 200, 0], [300, 250, 120, 120, 0.6], [5, 470, 60, 90, 0]])


def session(function, k: int = 17, bins: tuple[int, int] = (384, 512)) -> FakeSession:
    outputs = [Tensor(name, (-1, k, n)) for name, n in zip(("simcc_x", "simcc_y"), bins, strict=True)]
    return FakeSession(Tensor("image", (-1, 3, 256, 192)), outputs, function)


def card(**changes) -> ModelCard:
    return replace(cards.get("rtmpose-t"), **changes)


def drawn(people: np.ndarray, made: ModelCard, heights: float | np.ndarray = 0.8, mirrored: float | None = None):
    """Return a network that sees the keypoints of people, (N, 17, 2) in pixels of the image, in their regions.

    In mirrored crops it sees them ``mirrored`` pixels of the crop beside their places.
    """
    padded = warp.fit_aspect(REGIONS, WH, 1.25)
    crop_xy = warp.apply(warp.invert(warp.region_matrix(padded, WH, "corner")), people)
    flipped = crop_xy[:, catalogue.get(made.skeleton).flip_index] * [-1, 1]
    flipped[..., 0] += WH[0] - 1 + (mirrored or 0)
    both = crop_xy if mirrored is None else np.concatenate([crop_xy, flipped])
    x, y = (v * np.float32(heights) for v in gaussians(both, WH, SIGMA))
    return session(lambda batch: {"simcc_x": x[: len(batch)], "simcc_y": y[: len(batch)]})


@pytest.fixture
def people(rng: np.random.Generator) -> np.ndarray:
    """Keypoints within the regions."""
    padded = warp.fit_aspect(REGIONS, WH, 1.25)
    return warp.apply(warp.region_matrix(padded, WH, "corner"), rng.uniform(12, np.array(WH) - 13, (3, 17, 2)))


def estimate(model_card: ModelCard, fake: FakeSession, **options):
    return SimccEstimator(Model(model_card, fake), SimccOptions(**options)).estimate(
        np.zeros((480, 640, 3), np.uint8), REGIONS)


@pytest.mark.parametrize("refine", ["none", "dark"])
def test_brings_people_back_to_where_they_are_in_the_image(people, refine):
    """To half a bin, in pixels of the image, whatever is turned and padded."""
    poses = estimate(card(), drawn(people, card()), refine=refine)
    bin_px = (warp.fit_aspect(REGIONS, WH, 1.25)[:, 2] / WH[0] / 2)[:, None]
    error = np.linalg.norm(poses.keypoints - people, axis=2)
    assert (error <= (0.72 if refine == "none" else 0.01) * bin_px + 1e-3).all()
    np.testing.assert_allclose(poses.scores, 0.8, atol=0.02)


def test_the_flip_test_with_a_shift_is_exact_and_without_one_a_quarter_pixel_off(people):
    """The mean of two Gaussians half a pixel apart has its top between them."""
    pixel = (warp.fit_aspect(REGIONS, WH, 1.25)[:, 2] / WH[0])[:, None]
    upright = np.array([0, 2])
    for shift, off in ((1, 0.0), (0, 0.25)):
        made = card(params={"flip_shift": shift})
        poses = estimate(made, drawn(people, made, mirrored=0.0), flip_test=True, refine="dark")
        error = (poses.keypoints - people)[upright]
        np.testing.assert_allclose(error[..., 0], np.broadcast_to(off * pixel[upright], (2, 17)), atol=0.02)
        np.testing.assert_allclose(error[..., 1], 0, atol=0.02)


@pytest.mark.parametrize(("score", "expected"), [("", 0.4), ("min", 0.4), ("mean", 0.6), ("softmax", 0.51)])
def test_the_option_score_wins_over_the_card(people, score, expected):
    fake = drawn(people, card())
    values = fake.run(np.zeros((3, 3, 256, 192), np.float32))
    fake = session(lambda batch: {"simcc_x": values["simcc_x"] / 2, "simcc_y": values["simcc_y"]})
    np.testing.assert_allclose(estimate(card(), fake, score=score).scores, expected, atol=0.02)
    other = card(params={"score": "mean"})
    np.testing.assert_allclose(estimate(other, fake, score=score).scores, expected if score else 0.6, atol=0.02)


def test_maxima_beyond_1_are_the_score_1(people):
    np.testing.assert_array_equal(estimate(card(), drawn(people, card(), heights=3)).scores, 1)


def test_without_a_positive_value_a_keypoint_is_missing(people):
    heights = np.full((17, 1), 0.8)
    heights[5] = -0.1
    poses = estimate(card(), drawn(people, card(), heights))
    assert np.isnan(poses.keypoints[:, 5]).all()
    assert (poses.scores[:, 5] == 0).all()
    assert np.isfinite(np.delete(poses.keypoints, 5, axis=1)).all()


def test_sigma_follows_the_size_of_the_input_unless_the_card_has_one():
    """RTMPose's configurations: (4.9, 5.66) at 256x192, (6, 6.93) at 384x288, (5.66, 5.66) at 256x256."""
    for name, expected in (("rtmpose-t", (4.9, 5.66)), ("rtmpose-x", (6.0, 6.93)), ("rtmpose-m-hand", (5.66, 5.66)),
                           ("simcc-res50", (6.0, 6.0))):
        made = cards.get(name)
        k = len(catalogue.get(made.skeleton))
        fake = session(lambda batch: {}, k, (2 * made.input_wh[0], 2 * made.input_wh[1]))
        assert SimccEstimator(Model(made, fake))._sigma_xy == expected


@pytest.mark.parametrize(("k", "bins"), [(17, (512, 384)), (18, (384, 512)), (17, (384, 511))])
def test_refuses_a_network_with_other_outputs(k, bins):
    message = r"expected the outputs x \(N, 17, 384\) and y \(N, 17, 512\), got simcc_x"
    with pytest.raises(CardError, match=message):
        SimccEstimator(Model(card(), session(lambda batch: {}, k, bins)))


def test_refuses_a_card_with_a_wrong_parameter():
    with pytest.raises(CardError, match=r"params\.score: expected one of min, mean, softmax, visibility; got 'max'"):
        SimccEstimator(Model(card(params={"score": "max"}), session(lambda batch: {})))


def test_people_of_133_keypoints_are_decoded_in_one_go():
    made = cards.get("dwpose-t")
    x, y = gaussians(np.full((30, 133, 2), 50.0), WH, SIGMA)
    fake = session(lambda batch: {"simcc_x": x, "simcc_y": y}, k=133)
    poses = SimccEstimator(Model(made, fake)).estimate(np.zeros((480, 640, 3), np.uint8), np.tile(REGIONS, (10, 1)))
    assert poses.keypoints.shape == (30, 133, 2)
    assert fake.calls == [30]
    assert np.isfinite(poses.to(catalogue.get("coco17")).keypoints).all()


def test_a_network_of_somebody_else_needs_a_card_and_no_python(testdata, tmp_path, monkeypatch):
    """Made by hand by others: whatever the image, it has three keypoints, and a fourth of which it is not sure."""
    (tmp_path / "skeletons").mkdir()
    (tmp_path / "skeletons/toy4.yaml").write_text(
        "keypoints: [nose, left_eye, right_eye, low_conf]\nflip_pairs: [[left_eye, right_eye]]\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/toy.yaml").write_text(f"""
kind: estimator
plugin: simcc
summary: A toy.
file: {{path: {testdata / "models/synthetic/simcc_3pt.onnx"}}}
licence: {{weights: BSD-2-Clause}}
input_wh: [48, 64]
skeleton: toy4
detector: yolox-nano
outputs: [simcc_x, simcc_y]
""")
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path / "skeletons"))
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path / "models"))
    made = cards.get("toy")
    found = open_session(made.folder / made.file.path, device="cpu", runtime="onnxruntime", outputs=made.outputs)
    poses = SimccEstimator(Model(made, found)).estimate(
        np.zeros((64, 48, 3), np.uint8), np.float32([[24, 32, 48, 64, 0]] * 2))
    # Bins of its two vectors, as they are in the file, of a crop 1.25 times the size of the image.
    vectors = found.run(np.zeros((1, 3, 64, 48), np.float32))
    crop_xy = np.stack([v[0].argmax(axis=1) / 2 for v in vectors.values()], axis=-1)
    expected = (crop_xy / [48, 64] - 0.5) * 1.25 * [48, 64] + [24, 32]
    np.testing.assert_allclose(poses.keypoints, [expected] * 2, atol=1e-4)
    assert (poses.scores[:, :3] > poses.scores[:, 3:]).all()
