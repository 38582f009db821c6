# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose_ros.core import warp

REGIONS = np.array([[50, 40, 20, 30, 0], [30, 60, 40, 40, 0.6], [-5, 90, 13, 70, -2.2], [50, 40, 200, 10, 3.0]])
ALIGNS = ("area", "udp", "corner")


def bump(size_wh: tuple[int, int], xy: np.ndarray, sigma: float) -> np.ndarray:
    """Paint a Gaussian blob."""
    x, y = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    grey = 250 * np.exp(-((x - xy[0]) ** 2 + (y - xy[1]) ** 2) / (2 * sigma**2))
    return np.repeat(grey[..., None].round().astype(np.uint8), 3, axis=2)


def centre_of(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    y, x = np.indices(weight.shape)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("align", ALIGNS)
@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_there_and_back_is_exact(region, align, rng):
    matrix = warp.region_matrix(region, (192, 256), align)
    points = rng.normal(0, 500, (20, 2))
    np.testing.assert_allclose(warp.apply(warp.invert(matrix), warp.apply(matrix, points)), points, atol=1e-9)


@pytest.mark.parametrize("align", ALIGNS)
def test_what_is_seen_in_the_crop_is_where_the_matrix_says(align):
    planted = np.array([47.3, 41.8])
    image = bump((100, 90), planted, 3.0)
    matrix = warp.region_matrix(np.array([50, 40, 60, 80, 0.4]), (120, 160), align)
    seen = centre_of(warp.crop(image, matrix, (120, 160)))
    np.testing.assert_allclose(warp.apply(matrix, seen), planted, atol=0.02)


def test_area_maps_edges_to_edges():
    matrix = warp.region_matrix(np.array([10, 20, 8, 6, 0]), (16, 12))
    np.testing.assert_allclose(warp.apply(matrix, np.array([[-0.5, -0.5], [15.5, 11.5]])), [[6, 17], [14, 23]])


def test_udp_maps_border_pixels_to_edges():
    matrix = warp.region_matrix(np.array([10, 20, 8, 6, 0]), (17, 13), "udp")
    np.testing.assert_allclose(warp.apply(matrix, np.array([[0, 0], [16, 12]])), [[6, 17], [14, 23]])


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_corner_is_the_three_point_rule(region):
    """Xiao et al.: the centre, a point half a width to the left of it, and the point at a right angle to both."""
    width, height = 192, 256
    region = warp.fit_aspect(region[None], (width, height), 1.25)[0].astype(float)
    cx, cy, w, _, angle = region
    arm = np.array([np.cos(angle), np.sin(angle)]) * -w / 2
    source = np.array([[cx, cy], [cx + arm[0], cy + arm[1]], [cx + arm[0] - arm[1], cy + arm[1] + arm[0]]])
    target = np.array([[width / 2, height / 2], [0, height / 2], [0, (height - width) / 2]])
    expected = cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32))
    np.testing.assert_allclose(warp.region_matrix(region, (width, height), "corner"), expected, atol=1e-3)


def test_a_batch_is_its_singles(rng):
    many = warp.region_matrix(REGIONS, (64, 48))
    points = rng.normal(0, 50, (len(REGIONS), 17, 2))
    for row, region in enumerate(REGIONS):
        one = warp.region_matrix(region, (64, 48))
        np.testing.assert_allclose(many[row], one)
        np.testing.assert_allclose(warp.apply(many, points)[row], warp.apply(one, points[row]))
    assert warp.region_matrix(np.empty((0, 5)), (64, 48)).shape == (0, 2, 3)


def test_apply_keeps_nan():
    moved = warp.apply(warp.region_matrix(REGIONS[1], (64, 48)), np.array([[1.0, 2.0], [np.nan, np.nan]]))
    assert np.isfinite(moved[0]).all()
    assert np.isnan(moved[1]).all()


def test_crop_fills_the_outside():
    image = np.full((4, 4, 3), 200, np.uint8)
    matrix = warp.region_matrix(np.array([-100, -100, 8, 8, 0]), (8, 8))
    assert (warp.crop(image, matrix, (8, 8), border=114) == 114).all()
    assert (warp.crop(image, matrix, (8, 8), border=None) == 200).all()


def test_crop_writes_where_it_is_told():
    crops = np.zeros((2, 8, 6, 3), np.uint8)
    image = np.full((40, 40, 3), 9, np.uint8)
    warp.crop(image, warp.region_matrix(np.array([20, 20, 6, 8, 0]), (6, 8)), (6, 8), out=crops[1])
    assert (crops[1] == 9).all()
    assert (crops[0] == 0).all()


def test_fit_aspect_grows_the_shorter_side():
    fitted = warp.fit_aspect(np.float32([[5, 6, 30, 10, 0.1], [5, 6, 10, 100, 0.1]]), (192, 256), 1.5)
    np.testing.assert_allclose(fitted, [[5, 6, 45, 60, 0.1], [5, 6, 112.5, 150, 0.1]], rtol=1e-6)


@pytest.mark.parametrize(("centre", "corner"), [(False, [-0.5, -0.5]), (True, [-0.5, -80.5])])
def test_letterbox_keeps_the_image_whole(centre, corner):
    matrix = warp.letterbox_matrix((640, 480), (416, 416), centre)
    np.testing.assert_allclose(warp.apply(matrix, np.array([-0.5, -0.5])), corner, atol=1e-9)
    np.testing.assert_allclose(matrix[0, 0], 640 / 416)
