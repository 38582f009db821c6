# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError, ShapeError

K = np.array([[600.0, 0, 320], [0, 610, 240], [0, 0, 1]])
CAMERAS = {
    "ideal": Camera(K, (640, 480)),
    "plumb_bob": Camera(K, (640, 480), np.array([-0.28, 0.07, 0.0002, -0.0001, 0.01]), "plumb_bob"),
    "rational": Camera(K, (640, 480), np.array([0.5, 0.1, 0.0, 0.001, 0.01, 0.8, 0.2, 0.02]), "rational_polynomial"),
    "fisheye": Camera(K, (640, 480), np.array([0.05, -0.01, 0.003, -0.001]), "equidistant"),
    "zeros": Camera(K, (640, 480), np.zeros(5), "plumb_bob"),
}


@pytest.fixture(params=CAMERAS.values(), ids=CAMERAS)
def camera(request: pytest.FixtureRequest) -> Camera:
    return request.param


def test_rays_point_to_what_was_projected(camera, rng):
    points = np.concatenate([rng.uniform(-0.5, 0.5, (50, 2)), np.ones((50, 1))], axis=1) * rng.uniform(1, 8, (50, 1))
    rays = camera.rays(camera.project(points))
    np.testing.assert_allclose(rays, points / points[:, 2:], atol=2e-4)


def test_the_optical_axis_meets_the_principal_point(camera):
    np.testing.assert_allclose(camera.project(np.array([0, 0, 3.0])), [320, 240], atol=1e-6)
    np.testing.assert_allclose(camera.rays(np.array([320.0, 240.0])), [0, 0, 1], atol=1e-6)


def test_right_is_x_and_down_is_y(camera):
    x, y = camera.project(np.array([0.3, 0.2, 1.0]))
    assert x > 320
    assert y > 240


def test_behind_and_unknown_points_are_nan(camera):
    points = np.array([[0, 0, -1.0], [0, 0, 0], [np.nan, 0, 1], [np.nan] * 3, [0.1, 0.1, 1]])
    pixels = camera.project(points)
    assert np.isnan(pixels[[0, 1, 3]]).all()
    assert np.isnan(pixels[2]).any()
    assert np.isfinite(pixels[4]).all()
    rays = camera.rays(np.array([[np.nan, np.nan], [3.0, np.nan], [320, 240]]))
    assert np.isnan(rays[:2]).all()
    assert np.isfinite(rays[2]).all()


def test_any_leading_shape(camera):
    assert camera.project(np.ones((2, 17, 3))).shape == (2, 17, 2)
    assert camera.rays(np.ones((0, 17, 2))).shape == (0, 17, 3)


def test_ideal_means_no_distortion():
    assert {name: c.ideal for name, c in CAMERAS.items()} == {
        "ideal": True, "plumb_bob": False, "rational": False, "fisheye": False, "zeros": True,
    }


@pytest.mark.parametrize(("wrong", "error", "message"), [
    ({"K": np.zeros((3, 3))}, ConfigError, r"K: expected positive focal lengths, got fx=0.0, fy=0.0: not calibrated"),
    ({"K": np.full((3, 3), np.nan)}, ConfigError, "not calibrated"),
    ({"K": np.eye(4)}, ShapeError, r"K: expected \(3, 3\), got \(4, 4\)"),
    ({"D": np.array([np.nan] * 5), "model": "plumb_bob"}, ConfigError, "D: expected finite coefficients"),
    ({"D": np.zeros(3), "model": "plumb_bob"}, ConfigError, "D: expected 0 or 4 or 5 coefficients for 'plumb_bob'"),
    ({"D": np.zeros(4)}, ConfigError, "D: expected 0 coefficients for ''"),
    ({"model": "thin_prism"}, ConfigError, "distortion_model: expected one of .*; got 'thin_prism'"),
])
def test_refuses_what_is_not_calibrated(wrong, error, message):
    with pytest.raises(error, match=message):
        Camera(**{"K": K, "size_wh": (640, 480), **wrong})
