# SPDX-License-Identifier: Apache-2.0
"""SimCC vectors with planted truth, and what mmpose and rtmlib make of the same vectors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros.decode import simcc

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
from simcc_planted import SIGMAS, gaussians, noisy_vectors  # noqa: E402

WH = (192, 256)
SIGMA = SIGMAS[0]


def decode(xy: np.ndarray, **how) -> np.ndarray:
    """Return what is found where a Gaussian is planted."""
    found, _ = simcc.decode(*gaussians(np.asarray(xy, np.float64)[None], WH, SIGMA), sigma_xy=SIGMA, **how)
    return found[0]


def test_finds_planted_keypoints_to_half_a_bin(rng):
    xy = rng.uniform(0, np.array(WH) - 0.5, (500, 2))
    assert np.abs(decode(xy) - xy).max() <= 0.2501


def test_finds_what_lies_on_a_bin_exactly_and_the_corners_too():
    xy = np.array([[0, 0], [191.5, 255.5], [0, 255.5], [96, 128], [40.5, 0]])
    np.testing.assert_array_equal(decode(xy), xy)


def test_dark_is_exact_away_from_the_ends_and_never_worse_there(rng):
    xy = rng.uniform(0, np.array(WH) - 0.5, (500, 2))
    error = np.abs(decode(xy, refine="dark") - xy)
    inside = ((xy > 10) & (xy < np.array(WH) - 10.5)).all(axis=1)
    assert error[inside].max() < 0.002
    assert error.max() <= 0.2501


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_dark_is_better_than_the_largest_value_under_noise(noise):
    xy, x, y = noisy_vectors(20, 17, WH, SIGMA, noise)
    plain, dark = (simcc.decode(x, y, sigma_xy=SIGMA, refine=r)[0] - xy for r in ("none", "dark"))
    assert np.sqrt((dark**2).mean()) < 0.6 * np.sqrt((plain**2).mean())


def test_dark_holds_for_vectors_with_a_ground_of_their_own(rng):
    """Training with softmax leaves it open where zero is."""
    xy = rng.uniform(20, 150, (1, 50, 2))
    for ground in (-0.3, 0.2, 5.0):
        x, y = (v + np.float32(ground) for v in gaussians(xy, WH, SIGMA))
        found, _ = simcc.decode(x, y, sigma_xy=SIGMA, refine="dark")
        assert np.abs(found - xy).max() < 0.03


def recorded(name: str) -> np.ndarray:
    with np.load(DATA / "simcc.npz") as file:
        return file[f"decoders/{name}"]


@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
@pytest.mark.parametrize("refine", simcc.REFINEMENTS)
def test_agrees_with_mmpose(sigma, refine):
    expected = recorded(f"{refine}/{sigma[0]}")
    _, x, y = noisy_vectors(4, 17, WH, sigma)
    found, scores = simcc.decode(x, y, sigma_xy=sigma, refine=refine)
    # Near the ends mmpose smooths across them and comes out up to a pixel beside; the values stay where they were.
    bins = np.stack([v.argmax(axis=2) for v in (x, y)], axis=-1)
    inside = ((bins >= 22) & (bins < 2 * np.array(WH) - 22)).all(axis=2)
    assert inside.mean() > 0.6
    np.testing.assert_allclose(found[inside], expected[inside, :2], atol=1e-6 if refine == "none" else 0.02)
    if refine == "none":
        np.testing.assert_allclose(found, expected[..., :2], atol=1e-6)
    np.testing.assert_allclose(scores, expected[..., 2], atol=1e-6)


@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
def test_visibility_is_that_of_mmpose(sigma):
    _, x, y = noisy_vectors(4, 17, WH, sigma)
    _, scores = simcc.decode(x, y, sigma_xy=sigma, score="visibility")
    visibility = recorded(f"none/{sigma[0]}")[..., 3]
    assert visibility.std() > 0.1
    np.testing.assert_allclose(scores, visibility, atol=1e-4)


def test_scores_are_the_smaller_or_the_mean_of_the_two_maxima():
    x, y = np.zeros((1, 3, 384), np.float32), np.zeros((1, 3, 512), np.float32)
    x[0, :, 10], y[0, :, 20] = [0.5, 0.9, 0.4], [0.7, 0.3, -1]
    y[0, 2] = -0.1
    np.testing.assert_allclose(simcc.decode(x, y)[1], [[0.5, 0.3, 0]])
    np.testing.assert_allclose(simcc.decode(x, y, score="mean")[1], [[0.6, 0.6, 0.15]])


@pytest.mark.parametrize(("score", "flat"), [("softmax", 0.06), ("visibility", 0.003)])
def test_probabilities_tell_one_sharp_peak_from_several_and_from_none(score, flat):
    x, y = (np.tile(v, (3, 1))[None] for v in gaussians(np.array([60.0, 80.0]), WH, SIGMA))
    x[0, 1] += np.roll(x[0, 1], 100)
    x[0, 2] = 0.01
    _, scores = simcc.decode(x, y, sigma_xy=SIGMA, score=score)
    assert scores[0, 0] > 0.95
    assert 0.47 < scores[0, 1] < 0.5
    assert 0 < scores[0, 2] < flat


def test_softmax_is_the_probability_that_the_loss_makes(rng):
    """Logits of a Gaussian: it lies within two sigma with a probability of 95 %."""
    xy = rng.uniform(20, 150, (1, 50, 2))
    logits = [np.log(np.maximum(v, 1e-20)) + np.float32(60) for v in gaussians(xy, WH, (6.0, 6.0))]
    _, scores = simcc.decode(*logits, sigma_xy=(6.0, 6.0), score="softmax", beta=1.0)
    np.testing.assert_allclose(scores, 0.954, atol=0.015)


@pytest.mark.parametrize("value", [0.0, -0.2, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("score", simcc.SCORES)
@pytest.mark.parametrize("refine", simcc.REFINEMENTS)
def test_vectors_without_a_positive_value_are_no_keypoint(value, score, refine):
    x, y = gaussians(np.array([[[60.0, 80.0], [30, 40]]]), WH, SIGMA)
    x[0, 0], y[0, 0] = value, value
    found, scores = simcc.decode(x, y, score=score, refine=refine)
    assert np.isnan(found[0, 0]).all()
    assert scores[0, 0] == 0
    assert np.isfinite(found[0, 1]).all()
    assert scores[0, 1] > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0])
@pytest.mark.parametrize("axis", [0, 1])
def test_one_vector_alone_is_no_keypoint(value, axis):
    vectors = gaussians(np.array([[[60.0, 80.0]]]), WH, SIGMA)
    vectors[axis][:] = value
    found, scores = simcc.decode(*vectors)
    assert np.isnan(found).all()
    assert scores[0, 0] == 0


def test_probabilities_count_no_bin_twice_at_the_ends():
    xy = np.array([[[0.0, 0.0], [191.5, 255.5], [1, 254]]])
    _, scores = simcc.decode(*gaussians(xy, WH, SIGMA), sigma_xy=SIGMA, score="softmax")
    assert ((scores > 0.9) & (scores <= 1)).all()


def test_a_batch_is_its_singles_and_the_input_stays(rng):
    x, y = rng.random((5, 4, 384), np.float32), rng.random((5, 4, 512), np.float32)
    x.flags.writeable = y.flags.writeable = False
    for how in ({}, {"refine": "dark", "score": "softmax"}):
        keypoints, scores = simcc.decode(x, y, **how)
        for row in range(5):
            one = simcc.decode(x[row : row + 1], y[row : row + 1], **how)
            np.testing.assert_array_equal(one[0][0], keypoints[row])
            np.testing.assert_allclose(one[1][0], scores[row], rtol=1e-6)


def test_nobody_is_nobody():
    for how in ({}, {"refine": "dark", "score": "softmax"}):
        keypoints, scores = simcc.decode(np.empty((0, 17, 384), np.float32), np.empty((0, 17, 512), np.float32), **how)
        assert (keypoints.shape, scores.shape) == ((0, 17, 2), (0, 17))


def test_the_mirror_image_says_the_same_with_the_shift_of_pixel_centres(rng):
    """A keypoint at x of a crop is at W - 1 - x of its mirror image; without the shift it is half a pixel off."""
    xy = rng.integers(5, 180, (1, 4, 2)) * 1.0
    flip = np.array([0, 1, 3, 2])
    there = xy[:, flip] * [-1, 1]
    there[..., 0] += WH[0] - 1
    for shift, beside in ((1, 0.0), (0, 0.5)):
        back, _ = simcc.decode(*simcc.mirrored(*gaussians(there, WH, SIGMA), flip, shift))
        np.testing.assert_allclose(back[..., 0], xy[..., 0] + beside)
        np.testing.assert_allclose(back[..., 1], xy[..., 1])
