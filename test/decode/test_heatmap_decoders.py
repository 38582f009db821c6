# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.decode import heatmap as h

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import planted  # noqa: E402

#: Decoder -> largest error in pixels for a Gaussian blob, away from the border.
ACCURACY = {"argmax": 0.25, "dark": 0.02, "udp": 0.02}


def blobs(xy: np.ndarray, size_wh: tuple[int, int] = (48, 64), sigma: float = 2.0) -> np.ndarray:
    """Draw a Gaussian at each of (N, K, 2), (N, K, H, W) float32."""
    x, y = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    d = (x - xy[..., 0, None, None]) ** 2 + (y - xy[..., 1, None, None]) ** 2
    return np.exp(-d / (2 * sigma**2)).astype(np.float32)


def reference(maps: np.ndarray, rule: str) -> np.ndarray:
    """Decode one map after the other, written from the formulas of the papers without any batching."""
    result = []
    for heat in maps.reshape(-1, *maps.shape[2:]):
        height, width = heat.shape
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        if rule == "argmax":
            dx = np.sign(heat[y, x + 1] - heat[y, x - 1]) / 4 if 0 < x < width - 1 else 0
            dy = np.sign(heat[y + 1, x] - heat[y - 1, x]) / 4 if 0 < y < height - 1 else 0
            result.append((x + dx, y + dy))
            continue
        smooth = cv2.GaussianBlur(np.pad(heat, 5), (11, 11), 0)[5:-5, 5:-5]
        smooth = smooth * (heat.max() / smooth.max())
        log = np.log(np.maximum(smooth, 1e-10) if rule == "dark" else np.clip(smooth, 1e-3, 50)).astype(np.float64)
        p = np.pad(log, 2, mode="edge")
        y, x = y + 2, x + 2
        gradient = np.array([p[y, x + 1] - p[y, x - 1], p[y + 1, x] - p[y - 1, x]]) / 2
        if rule == "dark":
            if not (1 < x - 2 < width - 2 and 1 < y - 2 < height - 2):
                result.append((x - 2, y - 2))
                continue
            xx = (p[y, x + 2] - 2 * p[y, x] + p[y, x - 2]) / 4
            yy = (p[y + 2, x] - 2 * p[y, x] + p[y - 2, x]) / 4
            xy = (p[y + 1, x + 1] - p[y - 1, x + 1] - p[y + 1, x - 1] + p[y - 1, x - 1]) / 4
        else:
            eps = np.finfo(np.float32).eps
            xx = p[y, x + 1] - 2 * p[y, x] + p[y, x - 1] + eps
            yy = p[y + 1, x] - 2 * p[y, x] + p[y - 1, x] + eps
            xy = (p[y + 1, x + 1] - p[y, x + 1] - p[y + 1, x] + 2 * p[y, x] - p[y, x - 1] - p[y - 1, x]
                  + p[y - 1, x - 1]) / 2
        step = -np.linalg.solve(np.array([[xx, xy], [xy, yy]]), gradient)
        result.append((x - 2 + step[0], y - 2 + step[1]))
    return np.array(result).reshape(*maps.shape[:2], 2)


@pytest.mark.parametrize("rule", h.DECODERS)
def test_finds_planted_blobs(rule, rng):
    planted = rng.uniform(8, 40, (3, 17, 2))
    keypoints, scores = h.DECODERS[rule](blobs(planted), h.BLUR_KERNEL)
    assert np.abs(keypoints - planted).max() < ACCURACY[rule] + 1e-4
    assert ((scores > 0.9) & (scores <= 1)).all()
    assert keypoints.dtype == scores.dtype == np.float32


@pytest.mark.parametrize("rule", h.DECODERS)
def test_agrees_with_the_formulas_also_at_the_border(rule, rng):
    planted = rng.uniform(-3, 1, (4, 17, 2)) + rng.uniform(0, 1, (4, 17, 2)) * np.array([50, 66])
    maps = blobs(planted) + rng.uniform(0, 0.02, (4, 17, 64, 48)).astype(np.float32)
    keypoints, _ = h.DECODERS[rule](maps, h.BLUR_KERNEL)
    expected = reference(maps, rule)
    peaks = h.argmax(maps)[0]
    refined = (np.abs(expected - peaks) <= 2).all(axis=2)
    assert refined.mean() > 0.9
    np.testing.assert_allclose(keypoints[refined], expected[refined], atol=2e-3)
    assert (np.abs(keypoints - peaks) <= 2).all()


@pytest.mark.parametrize("rule", ["dark", "udp"])
def test_a_step_that_leaves_the_neighbourhood_is_not_taken(rule, rng):
    noise = rng.random((20, 17, 64, 48)).astype(np.float32)
    peaks = h.argmax(noise)[0]
    assert (np.abs(reference(noise, rule) - peaks) > 2).any()
    assert (np.abs(h.DECODERS[rule](noise, h.BLUR_KERNEL)[0] - peaks) <= 2).all()


@pytest.mark.parametrize("rule", h.DECODERS)
def test_a_map_without_a_positive_value_has_no_keypoint(rule):
    maps = blobs(np.full((1, 4, 2), 20.0))
    maps[0, 0], maps[0, 1], maps[0, 2] = 0, -1, np.nan
    keypoints, scores = h.DECODERS[rule](maps, h.BLUR_KERNEL)
    assert np.isnan(keypoints[0, :3]).all()
    assert scores[0, :3].tolist() == [0, 0, 0]
    np.testing.assert_allclose(keypoints[0, 3], [20, 20], atol=0.26)


@pytest.mark.parametrize("rule", h.DECODERS)
def test_flat_maps_and_single_pixels(rule):
    maps = np.zeros((1, 2, 16, 12), np.float32)
    maps[0, 0] = 0.5
    maps[0, 1, 7, 5] = 1
    keypoints, scores = h.DECODERS[rule](maps, h.BLUR_KERNEL)
    assert np.abs(keypoints[0, 0]).max() < 0.51, "where nothing stands out the first pixel is as good as any"
    np.testing.assert_allclose(keypoints[0, 1], [5, 7], atol=1e-3)
    assert scores[0].tolist() == [0.5, 1]


@pytest.mark.parametrize("rule", h.DECODERS)
def test_leaves_its_input_alone_and_takes_none(rule, rng):
    maps = blobs(rng.uniform(5, 40, (2, 3, 2)))
    before = maps.copy()
    maps.flags.writeable = False
    h.DECODERS[rule](maps, h.BLUR_KERNEL)
    np.testing.assert_array_equal(maps, before)
    keypoints, scores = h.DECODERS[rule](np.empty((0, 17, 64, 48), np.float32), h.BLUR_KERNEL)
    assert keypoints.shape == (0, 17, 2)
    assert scores.shape == (0, 17)


@pytest.fixture(scope="module")
def mmpose():
    """What mmpose's codecs find in planted maps, pixels of the input; see test/data/networks/README.md."""
    with np.load(DATA / "hrnet.npz") as file:
        return {key.removeprefix("decoders/"): file[key] for key in file if key.startswith("decoders/")}


@pytest.mark.parametrize(("sigma", "size_wh"), planted.HEATMAPS)
@pytest.mark.parametrize("rule", h.DECODERS)
def test_agrees_with_mmpose(mmpose, rule, sigma, size_wh):
    _, maps = planted.noisy_blobs(4, 17, size_wh, sigma)
    peaks = h.argmax(maps)[0]
    # At the second pixel mmpose's argmax moves nothing.
    inside = ((peaks > 1) & (peaks < np.array(size_wh) - 2)).all(axis=2)
    for kernel in planted.KERNELS:
        keypoints, scores = h.DECODERS[rule](maps, kernel)
        expected = mmpose[f"argmax/{sigma}" if rule == "argmax" else f"{rule}/{sigma}/{kernel}"]
        found = keypoints * 4 if rule != "udp" else keypoints / (np.array(size_wh) - 1) * size_wh * 4
        # It takes steps of any length; those that leave the neighbourhood of the peak are not taken here.
        near = (np.abs(expected[..., :2] / 4 - peaks) <= 2).all(axis=2)
        assert near.mean() > 0.9
        np.testing.assert_allclose(found[inside & near], expected[inside & near][:, :2], atol=0.02)
        np.testing.assert_allclose(scores, expected[..., 2], rtol=1e-6)


@pytest.mark.parametrize(("sigma", "size_wh"), planted.HEATMAPS)
def test_disks_and_offsets_come_back_and_agree_with_mmpose(mmpose, sigma, size_wh):
    centres, maps = planted.noisy_offsets(4, 17, size_wh)
    before = maps.copy()
    keypoints, scores = h.combined(maps)
    # Offsets have noise of 2 % of the radius.
    assert np.abs(keypoints - centres).max() < 0.02 * 0.0546875 * max(size_wh) + 1e-4
    expected = mmpose[f"combined/{sigma}"]
    np.testing.assert_allclose(keypoints / (np.array(size_wh) - 1) * size_wh * 4, expected[..., :2], atol=0.02)
    np.testing.assert_allclose(scores, expected[..., 2], rtol=1e-4)
    np.testing.assert_array_equal(maps, before)
    assert h.combined(np.empty((0, 51, 64, 48), np.float32))[0].shape == (0, 17, 2)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_disks_that_are_none_have_no_keypoint(value):
    keypoints, scores = h.combined(np.full((1, 6, 16, 12), value, np.float32))
    assert np.isnan(keypoints).all()
    assert (scores == 0).all()
