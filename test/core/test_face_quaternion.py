# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np

from pose_ros.core import quaternion


def test_there_and_back(rng):
    axes = rng.normal(size=(200, 3))
    axes = np.concatenate([axes / np.linalg.norm(axes, axis=1, keepdims=True), np.eye(3), -np.eye(3)])
    angles = np.concatenate([rng.uniform(0, np.pi, 200), np.full(6, np.pi)])
    matrices = np.stack([cv2.Rodrigues(a * t)[0] for a, t in zip(axes, angles, strict=True)])
    found = quaternion.from_matrices(matrices)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert (found[:, 3] >= 0).all()
    np.testing.assert_allclose(quaternion.to_matrices(found), matrices, atol=1e-9)


def test_order_is_that_of_ros():
    """A quarter turn about z takes x to y."""
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(quaternion.from_matrices(quarter), [0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_unknown_stays_unknown():
    matrices = np.stack([np.eye(3), np.full((3, 3), np.nan)])
    found = quaternion.from_matrices(matrices)
    np.testing.assert_array_equal(found[0], [0, 0, 0, 1])
    assert np.isnan(found[1]).all()
    assert np.isnan(quaternion.to_matrices(found)[1]).all()
    assert quaternion.from_matrices(np.empty((0, 3, 3))).shape == (0, 4)
