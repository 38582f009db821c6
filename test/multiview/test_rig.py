# SPDX-License-Identifier: Apache-2.0
"""Rigs project and look as OpenCV does, and lenses of many cameras are undone at once."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import camera, look_at, posed
from scenes.cameras import LENSES

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview import lens
from pose_ros.multiview.rig import PosedCamera, Rig

EVERY_LENS = [
    camera((1280, 720), "plumb_bob"),
    camera((640, 480), "equidistant"),
    camera((1280, 720)),
    camera((1920, 1080), "rational_polynomial"),
    Camera(camera().K, (1280, 720), np.array([-0.2, 0.1, 1e-3, 2e-3, 0.01, 0.05, 0.02, 0.01, 1e-3, 2e-3, 3e-3, 4e-3]),
           "rational_polynomial"),
]  # fmt: skip


@pytest.mark.parametrize("model", LENSES)
def test_rays_go_through_what_is_projected(model: str, rng: np.random.Generator) -> None:
    one = posed("one", (3, 1, 2), model=model)
    points = rng.uniform(-0.8, 0.8, (50, 3)) + np.array([0, 0, 1])
    rays = one.rays(one.project(points))
    depth = (points @ one.rotation.T + one.translation)[:, 2:]
    # OpenCV takes distortion away in five rounds.
    np.testing.assert_allclose(one.centre + rays * depth, points, atol=0.003)


def test_project_is_nan_behind_the_camera() -> None:
    whole = Rig([posed("a", (3, 0, 1)), posed("b", (-3, 0, 1))])
    assert np.isnan(whole.project(np.array([[4.0, 0, 1]]))[0]).all()
    assert np.isfinite(whole.project(np.array([[0.0, 0, 1]]))).all()
    np.testing.assert_allclose(whole.cameras[0].centre, [3, 0, 1], atol=1e-9)


def test_names_and_poses_are_checked() -> None:
    one = posed("one", (3, 0, 1))
    with pytest.raises(ConfigError, match="one more than once"):
        Rig([one, one])
    rotation, translation = look_at((3, 0, 1), (0, 0, 1))
    with pytest.raises(ConfigError, match="rotation matrix"):
        PosedCamera("bent", one.camera, 1.01 * rotation, translation)
    with pytest.raises(ConfigError, match="rotation matrix"):
        PosedCamera("mirror", one.camera, np.diag([1.0, 1, -1]), translation)
    with pytest.raises(ShapeError, match="translation"):
        PosedCamera("flat", one.camera, rotation, translation[:2])


def test_lenses_of_different_kinds_are_undone_at_once(rng: np.random.Generator) -> None:
    pixels = np.stack([rng.uniform(0, one.size_wh, (200, 2)) for one in EVERY_LENS])
    xy, slope = lens.rays(EVERY_LENS, pixels)
    for i, one in enumerate(EVERY_LENS):
        rays = np.column_stack([*xy[:, i], np.ones(200)])
        np.testing.assert_allclose(one.project(rays), pixels[i], atol=0.01)
        step = 1e-6
        for axis in (0, 1):
            ahead = rays + step * np.eye(3)[axis]
            numeric = (one.project(ahead) - one.project(rays)).T / step
            np.testing.assert_allclose(slope[:, axis, i], numeric, rtol=0.01, atol=0.01 * one.K[0, 0])


def test_lens_of_a_tilted_sensor() -> None:
    tilted = Camera(camera().K, (1280, 720), np.array([-0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.01]),
                    "rational_polynomial")  # fmt: skip
    pixels = np.array([[[640.0, 360], [200, 100]]])
    xy, _ = lens.rays([tilted], pixels)
    np.testing.assert_allclose(tilted.project(np.column_stack([*xy[:, 0], [1, 1]])), pixels[0], atol=0.1)


def test_missing_and_impossible_pixels_have_no_ray() -> None:
    # Barrel distortion that turns back: nothing is seen 3000 pixels out.
    one = Camera(camera().K, (1280, 720), np.array([-0.3, 0, 0, 0]), "plumb_bob")
    xy, _ = lens.rays([one], np.array([[[640.0, 360], [np.nan, 360], [3000, 3000]]]))
    assert np.isfinite(xy[:, 0]).all(axis=0).tolist() == [True, False, False]
