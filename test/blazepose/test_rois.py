# SPDX-License-Identifier: Apache-2.0
"""Regions from alignment keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core import warp
from pose_ros.decode.rois import aligned_regions

FULL_TURN = np.arange(-175, 181, 5)


def test_an_upright_person():
    found = aligned_regions(np.array([[[100, 200], [100, 140]]], float), start=0, end=1, scale=1.25)
    np.testing.assert_allclose(found, [[100, 200, 150, 150, 0]], atol=1e-5)


def test_a_person_lying_with_the_head_to_the_right_is_a_quarter_turn_clockwise():
    found = aligned_regions(np.array([[[100, 200], [160, 200]]], float), start=0, end=1)
    np.testing.assert_allclose(found, [[100, 200, 120, 120, np.pi / 2]], atol=1e-5)


@pytest.mark.parametrize("degrees", FULL_TURN)
def test_inside_its_region_every_person_stands_upright(degrees):
    turn = np.deg2rad(degrees)
    keypoints = np.array([[[320, 240], [320 + 90 * np.sin(turn), 240 - 90 * np.cos(turn)]]])
    region = aligned_regions(keypoints, start=0, end=1, scale=1.25)[0]
    assert -np.pi < region[4] <= np.pi + 1e-6
    to_crop = warp.invert(warp.region_matrix(region, (256, 256), "corner"))
    np.testing.assert_allclose(warp.apply(to_crop, keypoints[0]), [[128, 128], [128, 128 - 128 / 1.25]], atol=1e-3)


def test_other_keypoints_and_another_direction():
    """The face: from the right eye to the left one, along the x axis."""
    keypoints = np.array([[[0, 0], [30, 50], [70, 50]]], float)
    found = aligned_regions(keypoints, start=1, end=2, target_deg=0)
    np.testing.assert_allclose(found, [[30, 50, 80, 80, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("tip", "centre", "angle"), [((50, 0), (50, 10), 0), ((100, 50), (90, 50), np.pi / 2), ((50, 100), (50, 90), np.pi)]
)
def test_around_a_box_and_moved_towards_the_fingers(tip, centre, angle):
    """The hand: 2.6 times the longer side of the palm's box, half its height towards the fingers."""
    keypoints, boxes = np.array([[[50, 50], tip]], float), np.array([[20, 10, 80, 90]], float)
    found = aligned_regions(keypoints, boxes, start=0, end=1, scale=2.6, shift_y=-0.5)
    np.testing.assert_allclose(found, [[*centre, 208, 208, angle]], atol=1e-4)


def test_what_is_missing_stays_missing():
    found = aligned_regions(np.array([[[np.nan, 0], [1, 1]], [[0, 0], [0, -1]]]), start=0, end=1)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[1]).all()
    assert aligned_regions(np.empty((0, 2, 2)), start=0, end=1).shape == (0, 5)
