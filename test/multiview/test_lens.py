# SPDX-License-Identifier: Apache-2.0
"""Lenses are undone by series where these are exact, else by Newton's method."""

from __future__ import annotations

import numpy as np
import pytest
from scenes.cameras import camera

from pose_ros.core.camera import Camera
from pose_ros.multiview import lens, series

#: Of real calibrations: CMU Panoptic (00_06), and a lens so wide that no series undoes it.
NARROW = Camera(
    np.array([[1396.1, 0, 937.1], [0, 1391.3, 540.2], [0, 0, 1]]), (1920, 1080),
    np.array([-0.2865, 0.1832, -0.00015, 0.00107, -0.0482]), "plumb_bob",
)  # fmt: skip
WIDE = camera((1280, 720), "rational_polynomial")


def off(one: Camera, xy: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return how far rays (2, M) are from pixels (M, 2)."""
    return np.asarray(np.linalg.norm(one.project(np.column_stack([*xy, np.ones(len(pixels))])) - pixels, axis=1))


@pytest.mark.parametrize("one", [NARROW, camera((1280, 720), "plumb_bob"), camera((1280, 720))])
def test_a_series_holds_in_the_whole_image_and_a_little_outside(rng: np.random.Generator, one: Camera) -> None:
    fitted = series.fitted(one)
    assert fitted is not None
    pixels = rng.uniform(-20, np.array(one.size_wh) + 20, (500, 2))
    bent = ((pixels - one.K[:2, 2]) / np.diag(one.K)[:2]).T
    assert (np.square(bent).sum(axis=0) < fitted[1]).mean() > 0.99
    xy, _, _ = series.undone(bent[:, None].astype(np.float32), fitted[0][None].astype(np.float32))
    assert off(one, xy[:, 0], pixels).max() < 0.02


def test_lenses_that_no_series_undoes_have_none() -> None:
    tilt = np.array([-0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.01])
    assert series.fitted(Camera(WIDE.K, (1280, 720), tilt, "rational_polynomial")) is None
    assert series.fitted(WIDE) is None
    assert series.fitted(camera((1280, 720), "equidistant")) is None


def test_far_outside_of_the_image_newton_takes_over(rng: np.random.Generator) -> None:
    cameras = [NARROW, WIDE, camera((1280, 720))]
    pixels = np.stack([rng.uniform(-150, np.array(one.size_wh) + 150, (300, 2)) for one in cameras])
    xy, slope = lens.rays(cameras, pixels)
    fitted = series.fitted(NARROW)
    assert fitted is not None
    bent = (pixels[0] - NARROW.K[:2, 2]) / np.diag(NARROW.K)[:2]
    outside = np.square(bent).sum(axis=1) > fitted[1]
    assert 5 < outside.sum() < 100
    for i, one in enumerate(cameras):
        # Some pixels outside of the image of a wide lens have no ray.
        inside = ((pixels[i] >= 0) & (pixels[i] <= one.size_wh)).all(axis=1)
        assert np.isfinite(xy[:, i]).all(axis=0)[inside | (one is not WIDE)].all()
        assert np.nanmax(off(one, xy[:, i], pixels[i])) < 0.02
    rays = np.column_stack([*xy[:, 0, outside], np.ones(outside.sum())])
    ahead = NARROW.project(rays + 1e-6 * np.eye(3)[0]) - NARROW.project(rays)
    np.testing.assert_allclose(slope[:, 0, 0, outside], ahead.T / 1e-6, atol=2)
