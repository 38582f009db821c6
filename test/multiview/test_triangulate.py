# SPDX-License-Identifier: Apache-2.0
"""Triangulated points are where they were, views that lie are found, and covariances are honest."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import posed, rig
from scenes.cameras import project

from pose_ros.errors import ShapeError
from pose_ros.multiview.alone import along_rays
from pose_ros.multiview.deviations import leave_one_out
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.rig import Rig
from pose_ros.multiview.triangulate import TriangulateOptions, triangulate

EVERY_LENS = ("plumb_bob", "equidistant", "", "rational_polynomial")
SIZES = ((1280, 720), (640, 480))


def seen(
    rng: np.random.Generator, whole: Rig, n: int = 4, k: int = 30, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points (n, k, 3), their pixels with noise, NaN outside of the images, and scores of 1."""
    points = rng.uniform(-0.7, 0.7, (n, k, 3)) + np.array([0, 0, 0.9])
    pixels = np.stack([project(one, points) for one in whole])
    return points, pixels + rng.normal(0, noise, pixels.shape), np.ones(pixels.shape[:3])


def squares(errors: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return e^T C^-1 e."""
    return np.asarray(np.einsum("...i,...ij,...j->...", errors, np.linalg.inv(covariances), errors))


def test_exact_pixels_give_exact_points(rng: np.random.Generator) -> None:
    whole = rig(4, models=EVERY_LENS, sizes=SIZES)
    points, pixels, scores = seen(rng, whole)
    found = triangulate(whole, pixels, scores)
    np.testing.assert_allclose(found.points, points, atol=1e-5)
    assert (found.errors < 0.01).all()
    np.testing.assert_array_equal(found.views, np.isfinite(pixels[..., 0]).sum(axis=0))
    np.testing.assert_array_equal(found.used, np.isfinite(pixels[..., 0]))


def test_it_is_the_point_of_least_squared_pixels(rng: np.random.Generator) -> None:
    whole = rig(4, models=EVERY_LENS)
    _, pixels, scores = seen(rng, whole, n=1, k=20, noise=2.0)
    scores = rng.uniform(0.5, 1, scores.shape)
    found = triangulate(whole, pixels, scores, TriangulateOptions(noise=10.0))  # so much that nothing is far off

    def cost(points: np.ndarray) -> np.ndarray:
        return np.asarray((np.square(whole.project(points) - pixels) * scores[..., None]).sum(axis=(0, 3)))

    # Newton's method on numeric derivatives, from where it ended.
    step, at = 1e-4, found.points
    axes = step * np.eye(3)
    slope = np.stack([(cost(at + a) - cost(at - a)) / (2 * step) for a in axes], axis=-1)
    bend = np.stack([
        np.stack([(cost(at + a + b) - cost(at + a - b) - cost(at - a + b) + cost(at - a - b)) / (4 * step**2)
                  for b in axes], axis=-1) for a in axes
    ], axis=-1)  # fmt: skip
    off = np.linalg.norm(np.linalg.solve(bend, slope[..., None])[..., 0], axis=-1)
    deviation = np.sqrt(np.trace(found.covariances, axis1=2, axis2=3))
    assert off.max() < 0.0005
    assert (off < 0.05 * deviation).all()


def test_errors_are_those_of_the_projection(rng: np.random.Generator) -> None:
    whole = rig(4, models=EVERY_LENS)
    _, pixels, scores = seen(rng, whole, noise=2.0)
    found = triangulate(whole, pixels, scores)
    off = np.linalg.norm(whole.project(found.points) - pixels, axis=3)
    np.testing.assert_allclose(found.residuals, off, atol=0.1)
    there = np.where(found.used, off**2, 0).sum(axis=0) / found.views
    np.testing.assert_allclose(found.errors, np.sqrt(there), atol=0.1)


@pytest.mark.parametrize("views", [2, 3, 5])
@pytest.mark.parametrize("assumed", [1.0, 2.0, 6.0])
def test_covariances_are_honest_even_if_the_noise_is_not_known(
    rng: np.random.Generator, views: int, assumed: float
) -> None:
    whole = rig(views, models=EVERY_LENS)
    points, pixels, _ = seen(rng, whole, n=8, k=100)
    scores = rng.uniform(0.3, 1, pixels.shape[:3])
    pixels += rng.normal(0, 2, pixels.shape) / np.sqrt(scores)[..., None]
    found = triangulate(whole, pixels, scores, TriangulateOptions(noise=assumed, limit=12.0))
    error = squares(found.points - points, found.covariances)
    # Of 100 keypoints in two views too much noise is believed a little, which is the safe side; and so is to think that
    # it differs from keypoint to keypoint, as here it does not.
    assert (0.5 if views == 2 else 0.7) < np.nanmean(error) / 3 < 1.2
    assert np.nanmean(error[np.isfinite(error)] < 7.8147) > 0.92


@pytest.mark.parametrize(("views", "liars"), [(3, 1), (5, 1), (5, 2), (14, 7)])
def test_views_that_lie_are_dropped(rng: np.random.Generator, views: int, liars: int) -> None:
    whole = rig(views, models=("plumb_bob", ""))
    points, pixels, scores = seen(rng, whole, n=3, k=40, noise=1.0)
    bad = rng.permuted(np.broadcast_to(np.arange(views)[:, None, None] < liars, scores.shape), axis=0)
    angle = rng.uniform(0, 2 * np.pi, scores.shape)
    pixels += 150 * bad[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    found = triangulate(whole, pixels, scores, TriangulateOptions(noise=1.0))
    error = np.linalg.norm(found.points - points, axis=2)[found.views > 0]
    # Of three views, a lie may agree with one of the others by chance; where both do, there is no point.
    assert (found.views > 0).mean() > {3: 0.75}.get(views, 0.95)
    assert (error < 0.03).mean() > 0.98
    assert (found.used & bad).sum() < 0.03 * bad.sum()


def test_two_views_that_disagree_give_nothing(rng: np.random.Generator) -> None:
    whole = rig(2)
    _, pixels, scores = seen(rng, whole)
    pixels[0, 0, 0] += [0, 80]
    found = triangulate(whole, pixels, scores)
    assert found.views[0, 0] == 0
    assert np.isnan(found.points[0, 0]).all()
    assert np.isnan(found.covariances[0, 0]).all()
    assert np.isnan(found.errors[0, 0])
    assert (found.views.ravel()[1:] == 2).all()


def test_two_pairs_of_views_that_tell_different_stories_give_nothing(rng: np.random.Generator) -> None:
    whole = rig(4, models=("",))
    points, pixels, scores = seen(rng, whole)
    pixels[2:] = whole.project(points + np.array([0.2, -0.3, 0.3]))[2:]
    found = triangulate(whole, pixels, scores)
    assert (found.views == 0).mean() > 0.9
    pixels[3] = whole.project(points)[3]
    found = triangulate(whole, pixels, scores)
    assert (found.views == 3).mean() > 0.9


def test_one_view_or_nearly_parallel_rays_give_nothing(rng: np.random.Generator) -> None:
    whole = rig(3)
    _, pixels, scores = seen(rng, whole)
    pixels[1:, 0, 0] = np.nan
    scores[1:, 0, 1] = 0.05
    found = triangulate(whole, pixels, scores)
    assert found.views[0, :2].tolist() == [0, 0]
    assert np.isnan(found.points[0, :2]).all()
    stereo = Rig([posed("left", (4, 0, 1)), posed("right", (4, 0.04, 1))])
    _, pixels, scores = seen(rng, stereo, noise=0.3)
    assert not triangulate(stereo, pixels, scores).views.any()
    wide = triangulate(stereo, pixels, scores, TriangulateOptions(min_angle=0.3))
    assert (wide.views == 2).mean() > 0.95


def test_two_cameras_in_one_place_give_nothing_whatever_the_angle(rng: np.random.Generator) -> None:
    twice = Rig([posed("one", (4, 0, 1)), posed("other", (4, 0, 1))])
    _, pixels, scores = seen(rng, twice, k=200, noise=0.01)
    found = triangulate(twice, pixels, scores, TriangulateOptions(min_angle=0.0))
    assert not found.views.any()
    assert np.isnan(found.points).all()


def test_confident_views_count_more(rng: np.random.Generator) -> None:
    whole = rig(3)
    points, pixels, scores = seen(rng, whole, k=200)
    pixels[2] += rng.normal(0, 6, pixels[2].shape)
    plain = triangulate(whole, pixels, scores, TriangulateOptions(limit=20.0))
    scores[2] = 0.1
    weighted = triangulate(whole, pixels, scores, TriangulateOptions(limit=20.0))
    error = [np.linalg.norm(found.points - points, axis=2).mean() for found in (plain, weighted)]
    assert error[1] < 0.5 * error[0]


def test_nobody_and_everything_missing() -> None:
    whole = rig(3)
    found = triangulate(whole, np.empty((3, 0, 17, 2)), np.empty((3, 0, 17)))
    assert found.points.shape == (0, 17, 3)
    found = triangulate(whole, np.full((3, 2, 17, 2), np.nan), np.zeros((3, 2, 17)))
    assert np.isnan(found.points).all()
    assert found.covariances.shape == (2, 17, 3, 3)


def test_input_is_not_changed_and_checked(rng: np.random.Generator) -> None:
    whole = rig(3)
    _, pixels, scores = seen(rng, whole, noise=20.0)
    before = pixels.copy(), scores.copy()
    triangulate(whole, pixels, scores)
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(scores, before[1])
    with pytest.raises(ShapeError, match="3 cameras"):
        triangulate(whole, pixels[:2], scores[:2])
    with pytest.raises(ShapeError, match="scores"):
        triangulate(whole, pixels, scores[:2])


def test_one_ray_and_a_rough_position(rng: np.random.Generator) -> None:
    whole = rig(3)
    points, pixels, scores = seen(rng, whole, n=1, k=300)
    true, pixels, scores = points[0], pixels[:, 0] + rng.normal(0, 1, pixels[:, 0].shape), scores[:, 0]
    scores[1:] = 0
    inside = np.isfinite(pixels[0, :, 0])
    rough = true + rng.normal(0, 0.1, true.shape)
    prior = np.broadcast_to(0.01 * np.eye(3), (300, 3, 3))
    found, covariances, used = along_rays(whole, pixels, scores, np.ones_like(scores), rough, prior)
    assert used[0, inside].mean() > 0.98
    inside &= used[0]
    error, was = found - true, rough - true
    ray = true - whole.cameras[0].centre
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    aside = np.linalg.norm(error - (error * ray).sum(axis=1)[:, None] * ray, axis=1)
    assert np.nanmax(aside) < 0.03
    np.testing.assert_allclose((error * ray).sum(axis=1)[inside], (was * ray).sum(axis=1)[inside], atol=0.02)
    assert 0.8 < np.nanmean(squares(error, covariances)) / 3 < 1.2
    pixels[0] += 300
    far, _, used = along_rays(whole, pixels, scores, np.ones_like(scores), rough, prior)
    assert not used.any()
    assert np.isnan(far).all()


def test_of_rays_that_contradict_one_another_those_near_the_rough_position_count(rng: np.random.Generator) -> None:
    whole = rig(4, models=EVERY_LENS, sizes=SIZES)
    (points,), pixels, scores = seen(rng, whole, 1)
    pixels, scores = pixels[:, 0], scores[:, 0]
    # Two cameras see something else, 30 cm aside, alike.
    other = np.stack([project(one, points + np.array([0.3, 0, 0])) for one in whole])
    pixels[2:] = other[2:]
    both = np.isfinite(pixels[..., 0]).all(axis=0)
    priors = np.broadcast_to(np.eye(3) * 0.1**2, (30, 3, 3))
    for shift, expected in ((0.0, [True, True, False, False]), (0.3, [False, False, True, True])):
        place = points + np.array([shift, 0, 0])
        rough = place + rng.normal(0, 0.02, place.shape)
        found, _, used = along_rays(whole, pixels, scores, np.ones_like(scores), rough, priors)
        assert (used[:, both] == np.array(expected)[:, None]).mean() > 0.95
        assert np.median(np.linalg.norm(found - place, axis=1)[both]) < 0.005


@pytest.mark.parametrize("views", [2, 3, 5])
def test_every_camera_is_compared_with_what_the_others_make_of_it(rng: np.random.Generator, views: int) -> None:
    whole = rig(views, models=EVERY_LENS, sizes=SIZES)
    _, pixels, scores = seen(rng, whole, 20, noise=2.0)
    pixels, scores = pixels.reshape(views, -1, 2), scores.reshape(views, -1)
    used = np.isfinite(pixels[..., 0])
    sigmas = np.full(scores.shape, 2.0)
    found = leave_one_out(whole, pixels, scores, sigmas, used)
    # The median of chi-square is what noise alone makes.
    np.testing.assert_allclose(np.nanmedian(found.own, axis=1), 1, atol=0.25)
    if views == 2:
        assert (found.others[used] == 0).all()
        return
    np.testing.assert_allclose(np.nanmedian(found.others, axis=1), 1, atol=0.35)
    shifted = pixels + np.array([0.0, 12.0]) * (np.arange(views) == 1)[:, None, None]
    worse = leave_one_out(whole, shifted, scores, sigmas, used)
    others = np.nanmedian(worse.others, axis=1)
    assert np.nanmedian(worse.own, axis=1)[1] > 5
    assert others[1] == pytest.approx(np.nanmedian(found.others, axis=1)[1], rel=1e-3)
    assert (np.delete(others, 1) > others[1]).all()
    # Of a camera that is not used, it is the same.
    alone = used.copy()
    alone[1] = False
    own = leave_one_out(whole, shifted, scores, sigmas, alone).own
    np.testing.assert_allclose(own[1], worse.own[1], rtol=1e-3, atol=0.01)


def test_corners_of_a_board_are_where_another_program_has_them(testdata) -> None:
    folder = testdata / "multiview/caliscope_charuco"
    whole = read_rig(folder / "config.toml")
    corners = np.genfromtxt(folder / "xy_CHARUCO.csv", delimiter=",", names=True)
    theirs = np.genfromtxt(folder / "xyz_CHARUCO.csv", delimiter=",", names=True)
    moments = np.unique(theirs["sync_index"])
    corners = corners[np.isin(corners["sync_index"], moments)]
    points, pixels = np.full((len(moments), 12, 3), np.nan), np.full((4, len(moments), 12, 2), np.nan)
    points[np.searchsorted(moments, theirs["sync_index"]), theirs["keypoint_id"].astype(int)] = np.stack(
        [theirs[f"{axis}_coord"] for axis in "xyz"], axis=1)
    pixels[corners["cam_id"].astype(int), np.searchsorted(moments, corners["sync_index"]),
           corners["keypoint_id"].astype(int)] = np.stack([corners["img_loc_x"], corners["img_loc_y"]], axis=1)
    found = triangulate(whole, pixels, np.isfinite(pixels[..., 0]).astype(float))
    off = np.linalg.norm(found.points - points, axis=2)[np.isfinite(points[..., 0])]
    assert len(off) == 660
    assert np.isfinite(off).all()
    assert np.median(off) < 1e-3
    assert np.percentile(off, 95) < 2.5e-3
