# SPDX-License-Identifier: Apache-2.0
"""Coordinates as networks say them; agreement with mmpose is shown in test/networks/test_deeppose.py."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode.regression import decode


@pytest.mark.parametrize("flat", [False, True])
def test_coordinates_come_back_wherever_they_are_and_are_always_sure(rng, flat):
    planted = rng.uniform(-0.5, 1.5, (3, 17, 2)).astype(np.float32)
    points, scores = decode(planted.reshape(3, 34) if flat else planted, 17)
    np.testing.assert_array_equal(points, planted)
    assert (scores == 1).all()
    assert points.dtype == scores.dtype == np.float32


@pytest.mark.parametrize("flat", [False, True])
def test_sigmas_make_scores(rng, flat):
    planted = rng.uniform(0, 1, (3, 17, 4)).astype(np.float32)
    planted[0, 0, 2:], planted[0, 1, 2:], planted[0, 2, 2:] = (0, 0), (0.2, 0.4), (1.5, 1.5)
    before = planted.copy()
    points, scores = decode(planted.reshape(3, 68) if flat else planted, 17)
    np.testing.assert_array_equal(points, planted[..., :2])
    np.testing.assert_allclose(scores[0, :3], [1, 0.7, 0], atol=1e-6)
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(planted, before)


@pytest.mark.parametrize("numbers", [2, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_missing(numbers, value):
    values = np.full((2, 3, numbers), 0.5, np.float32)
    values[0, 1, numbers - 1] = value
    points, scores = decode(values, 3)
    missing = np.zeros((2, 3), bool)
    missing[0, 1] = True
    assert (np.isnan(points).all(axis=2) == missing).all()
    assert ((scores == 0) == missing).all()


@pytest.mark.parametrize("shape", [(0, 17, 2), (0, 34), (0, 17, 4)])
def test_nobody(shape):
    points, scores = decode(np.empty(shape, np.float32), 17)
    assert points.shape == (0, 17, 2)
    assert scores.shape == (0, 17)
