# SPDX-License-Identifier: Apache-2.0
"""What every estimator that takes regions promises."""

from __future__ import annotations

import numpy as np
import pytest
from poses_checks import check, same

from pose_ros.core.warp import fit_aspect
from pose_ros.errors import ShapeError

REGIONS = np.float32([
    [80, 60, 50, 100, 0],
    [20, 30, 40, 40, 0.7],
    [150, 110, 90, 20, -2.0],
    [80, 60, 0.5, 0.5, 0],
    [80, 60, 4000, 3000, 3.1],
])
NOWHERE = {"NaN": [np.nan] * 5, "one NaN": [80, 60, np.nan, 100, 0], "infinite": [80, np.inf, 50, 100, 0],
           "no width": [80, 60, 0, 100, 0], "negative": [80, 60, 50, -100, 0]}


def test_one_pose_for_each_region_in_one_call(estimator, image):
    """A cascade needs a call for each stage, but also for all regions at once."""
    poses = estimator.estimate(image, REGIONS)
    check(poses, len(REGIONS))
    assert poses.skeleton.name == estimator.card.skeleton
    assert np.isfinite(poses.keypoints).any(axis=(1, 2)).all(), "every region that has an area is looked at"
    calls = estimator.session.calls
    assert set(calls) == {len(REGIONS)}
    assert len(calls) == 1 or estimator.card.plugin == "ert"


def test_no_region_gives_no_pose_and_keeps_k(estimator, image):
    poses = estimator.estimate(image, np.empty((0, 5), np.float32))
    assert poses.keypoints.shape == (0, len(estimator.skeleton), 2)
    assert sum(estimator.session.calls) == 0


def test_a_batch_is_its_singles(estimator, image):
    poses = estimator.estimate(image, REGIONS)
    for row in range(len(REGIONS)):
        same(poses.select(np.array([row])), estimator.estimate(image, REGIONS[row : row + 1]))


def test_is_a_function(estimator, image):
    regions = REGIONS.copy()
    regions.flags.writeable = False
    before = image.copy()
    first = estimator.estimate(image, regions)
    estimator.estimate(255 - image, regions[::-1])
    same(estimator.estimate(image, regions), first)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(regions, REGIONS)


def test_takes_views_as_they_are(estimator, image):
    for view in (image[:, ::-1], image[3:90:2, 5:], image.transpose(1, 0, 2), image[..., ::-1]):
        same(estimator.estimate(view, REGIONS[:2]), estimator.estimate(np.ascontiguousarray(view), REGIONS[:2]))


@pytest.mark.parametrize("region", NOWHERE.values(), ids=NOWHERE)
def test_a_region_without_area_is_a_row_of_nan_and_disturbs_no_other(estimator, image, region):
    poses = estimator.estimate(image, np.float32([REGIONS[0], region, REGIONS[1]]))
    check(poses, 3)
    assert np.isnan(poses.keypoints[1]).all()
    same(poses.select(np.array([0, 2])), estimator.estimate(image, REGIONS[:2]))


def test_a_region_off_the_image_is_still_a_row(estimator, image):
    check(estimator.estimate(image, np.float32([[-5000, 7000, 50, 80, 0]])), 1)


def test_a_region_of_another_shape_grows_and_is_not_stretched(estimator, image):
    wide = np.float32([[80, 60, 100, 20, 0.3]])
    same(estimator.estimate(image, wide), estimator.estimate(image, fit_aspect(wide, estimator.card.input_wh)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 3)])
def test_takes_images_of_any_size(estimator, rng, shape):
    check(estimator.estimate(rng.integers(0, 256, shape, np.uint8), REGIONS), len(REGIONS))


def test_keypoints_follow_the_image(estimator, image):
    moved = np.pad(image, ((7, 0), (11, 0), (0, 0)))
    # A pixel of a crop of 192, 224 or 256 is a number of the image's that has no rounding error.
    inside = np.float32([[80, 60, 63, 84, 0]])
    there = estimator.estimate(moved, inside + np.float32([11, 7, 0, 0, 0]))
    here = estimator.estimate(image, inside)
    np.testing.assert_allclose(there.keypoints - np.float32([11, 7]), here.keypoints, atol=1e-3)


@pytest.mark.parametrize("regions", [np.zeros((3, 4)), np.zeros(5), np.zeros((1, 1, 5))], ids=str)
def test_refuses_what_are_no_regions(estimator, image, regions):
    with pytest.raises(ShapeError, match="regions: expected"):
        estimator.estimate(image, regions)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_network_that_fails_gives_nothing_that_is_not_a_keypoint(make_estimator, image, value):
    check(make_estimator(spoil=lambda output: np.full_like(output, value)).estimate(image, REGIONS), len(REGIONS))
