# SPDX-License-Identifier: Apache-2.0
"""Depth images: their cameras, what another camera would see of them, and which of them belongs to an image."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth, scaled
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.rgbd.buffer import DepthBuffer
from pose_ros.rgbd.patches import median, sample, surfaces
from pose_ros.rgbd.view import from_points, in_colour

K = np.array([[525.0, 0, 319.5], [0, 520, 239.5], [0, 0, 1]])
CAMERA = Camera(K, (640, 480))
MS = 1_000_000


@pytest.mark.parametrize("image", [np.zeros((4, 5), np.int16), np.zeros((4, 5)), np.zeros((4, 5, 1), np.uint16), [[1]]])
def test_other_arrays_are_no_depth(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="uint16 or float32"):
        Depth(image, CAMERA)


def test_transforms_have_their_shapes() -> None:
    for wrong in ({"rotation": np.eye(4)}, {"translation": np.zeros(2)}):
        with pytest.raises(ShapeError):
            Depth(np.zeros((4, 5), np.uint16), CAMERA, **wrong)


def test_uncalibrated_camera_is_refused() -> None:
    with pytest.raises(ConfigError, match="not calibrated"):
        Camera(np.zeros((3, 3)), (640, 480))


def test_scaled_camera_sees_the_same(rng: np.random.Generator) -> None:
    """Pixel areas, not pixel centres, keep their places: the corner of the image is at -0.5."""
    camera = Camera(K, (640, 480), np.array([-0.1, 0.05, 0.001, -0.001]), "plumb_bob")
    points = rng.normal(size=(50, 3)) * [0.5, 0.4, 0.2] + [0, 0, 2]
    pixels, small = camera.project(points), scaled(camera, (320, 120)).project(points)
    np.testing.assert_allclose(small + 0.5, (pixels + 0.5) * [0.5, 0.25], atol=1e-9)
    assert scaled(camera, (640, 480)) is camera
    assert Depth(np.zeros((120, 320), np.uint16), camera).grid.size_wh == (320, 120)


def wall(z: float = 2.0, low: float = 0.0, camera: Camera = CAMERA) -> np.ndarray:
    return np.full(camera.size_wh[::-1], z, np.float32)


def test_samples_are_in_metres_and_nothing_is_no_sample() -> None:
    image = np.full((480, 640), 1500, np.uint16)
    image[100:103, 200:202] = 0
    values = sample(Depth(image, CAMERA, 0.001), np.array([[201.0, 101], [-50, 3], [np.nan, 4], [1e12, 3]]),
                    np.full(4, 2.0), 0.1, 10)  # fmt: skip
    known = np.isfinite(values)
    np.testing.assert_allclose(values[known], 1.5, rtol=1e-6)
    assert 0 < known[0].sum() < values.shape[1]
    assert not known[1:].any()


@pytest.mark.parametrize("nothing", [0.0, -1.0, np.nan, np.inf, 0.05, 12.0])
def test_what_is_no_measurement(nothing: float) -> None:
    values = sample(Depth(wall(nothing), CAMERA), np.array([[300.0, 200]]), np.array([3.0]), 0.1, 10)
    assert np.isinf(values).all()
    assert np.isinf(sample(Depth(wall(nothing), CAMERA), np.array([[300.0, 200]]), None, 0.1, 10)).all()
    # Not even where any depth is wanted.
    anything = sample(Depth(wall(nothing), CAMERA), np.array([[300.0, 200]]), np.array([3.0]), 0.0, 100)
    assert np.isinf(anything).all() == (nothing not in (0.05, 12.0))


def test_surfaces_are_nearest_first_and_need_enough_samples() -> None:
    row = np.sort(np.concatenate([[0.5, 0.52], np.linspace(1.0, 1.04, 10), [1.3, 1.5, 1.7], np.full(20, 2.0)]))
    found = surfaces(row[None].astype(np.float32), np.array([0.1]), least=5, count=3)
    np.testing.assert_allclose(found.z[0], [1.02, 2.0, np.nan], atol=0.005)
    np.testing.assert_allclose(found.share[0], [10 / 35, 20 / 35, 0], atol=1e-6)
    assert found.spread[0, 1] == 0
    assert 0.01 < found.spread[0, 0] < 0.03
    np.testing.assert_allclose(median(row[None], 5).z, [[2.0]])
    few = np.where(np.arange(35) < 3, row, np.inf)[None]
    assert np.isnan(surfaces(few, np.array([0.1]), 5, 3).z).all()
    assert np.isnan(median(few, 5).z).all()


def test_points_behind_others_are_hidden(rng: np.random.Generator) -> None:
    points = rng.uniform([-1, -1, 1], [1, 1, 4], (5000, 3))
    small = scaled(CAMERA, (64, 48))
    depth = from_points(np.concatenate([points, points * [1, 1, -1]]), small, 5)
    pixels = np.rint(small.project(points)).astype(int)
    expected = np.full((48, 64), np.inf)
    for (x, y), z in zip(pixels, points[:, 2], strict=True):
        if 0 <= x < 64 and 0 <= y < 48:
            expected[y, x] = min(expected[y, x], z)
    np.testing.assert_allclose(np.nan_to_num(depth.image, nan=np.inf), expected, rtol=1e-6)
    assert depth.stamp_ns == 5


@pytest.mark.parametrize("model", ["", "plumb_bob"])
def test_unregistered_depth_is_seen_from_the_colour_camera(model: str) -> None:
    """A wall that is seen by a turned camera beside is the same wall in the colour camera's frame."""
    angle, shift = np.radians(8), np.array([0.08, -0.03, 0.02])
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    other = Camera(np.array([[400.0, 0, 210], [0, 400, 190], [0, 0, 1]]), (424, 380),
                   np.array([-0.1, 0.02, 0, 0]) if model else np.zeros(0), model)  # fmt: skip
    rays = other.rays(np.stack(np.meshgrid(np.arange(424), np.arange(380)), axis=-1))
    # n . (R r z + t) = 2 for the wall z = 2 of the colour camera.
    z = (2.0 - shift[2]) / (rays @ turn[2])
    depth = Depth(z.astype(np.float32), other, rotation=turn, translation=shift)
    assert not depth.registered
    seen = CAMERA.rays(np.array([[[300.0, 200], [340, 260], [np.nan, 1]], [[np.nan, np.nan]] * 3]))
    view = in_colour(depth, seen, 0.1, 10)
    assert view.registered
    at = view.grid.project(seen)[0, :2]
    values = sample(view, at, np.full(2, 3.0), 0.1, 10)
    assert (np.isfinite(values).mean(axis=1) > 0.8).all()
    np.testing.assert_allclose(values[np.isfinite(values)], 2.0, atol=1e-3)
    # It is as large as what is looked at, not as the image.
    assert view.image.size < 0.2 * depth.image.size


def test_registered_depth_stays_as_it_is() -> None:
    depth = Depth(wall(), CAMERA)
    assert in_colour(depth, np.ones((1, 3, 3)), 0.1, 10) is depth


def test_nobody_needs_no_view() -> None:
    depth = Depth(wall(), CAMERA, translation=np.array([0.1, 0, 0]))
    assert in_colour(depth, np.empty((0, 17, 3)), 0.1, 10).image.shape == (1, 1)


def test_buffer_gives_the_nearest_stamp() -> None:
    buffer: DepthBuffer[str] = DepthBuffer()
    for stamp, item in ((0, "a"), (66, "c"), (33, "b"), (100, "d")):
        buffer.put(stamp * MS, item)
    assert [buffer.find(t * MS, 0.02).item for t in (0, 30, 48, 53, 119)] == ["a", "b", "b", "c", "d"]
    assert buffer.find(30 * MS, 0.02).difference_ns == 3 * MS
    assert (buffer.matched, buffer.missed) == (6, 0)


def test_buffer_says_why_there_is_none() -> None:
    buffer: DepthBuffer[str] = DepthBuffer()
    assert "no depth has come yet" in buffer.find(0, 0.02).reason
    assert buffer.awaits(0, 0.02)
    buffer.put(1_000 * MS, "a")
    match = buffer.find(1_045 * MS, 0.02)
    assert match.item is None
    assert match.difference_ns == -45 * MS
    assert "45.0 ms before the image, expected at most 20.0 ms" in match.reason
    assert "max_time_difference" in match.reason
    assert "30.0 ms after the image" in buffer.find(970 * MS, 0.02).reason
    assert (buffer.matched, buffer.missed) == (0, 3)
    assert buffer.awaits(1_045 * MS, 0.02)
    assert not buffer.awaits(1_015 * MS, 0.02)


def test_buffer_forgets_what_is_old_and_starts_over_when_time_runs_backwards() -> None:
    buffer: DepthBuffer[int] = DepthBuffer()
    for i in range(100):
        buffer.put(i * 33 * MS, i)
    assert buffer.find(0, 0.02).item is None
    assert buffer.find(99 * 33 * MS, 0.02).item == 99
    buffer.put(0, -1)
    assert buffer.find(99 * 33 * MS, 0.02).item is None
    assert buffer.find(0, 0.0).item == -1
    buffer.put(0, -2)
    assert buffer.find(0, 0.0).item == -2
    buffer.reset()
    assert buffer.find(0, 0.0).item is None


def test_buffer_is_used_by_several_threads() -> None:
    buffer: DepthBuffer[int] = DepthBuffer()
    threads = [threading.Thread(target=lambda: [buffer.put(i * MS, i) for i in range(500)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(500):
        match = buffer.find(i * MS, 0.0)
        assert match.item in (None, i)
    for thread in threads:
        thread.join()
    assert buffer.find(499 * MS, 0.0).item == 499
