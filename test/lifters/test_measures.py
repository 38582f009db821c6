# SPDX-License-Identifier: Apache-2.0
"""What benchmarks/lifting.py calls an error, on cases whose answer is known; and its camera models on real ones."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def lifting():
    """The module benchmarks/lifting.py."""
    spec = importlib.util.spec_from_file_location("benchmark_lifting", BENCHMARKS / "lifting.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def truth(rng):
    return rng.normal(0, 0.4, (5, 17, 3))


def test_distance_is_the_mean_over_joints(lifting, truth):
    found = truth.copy()
    found[:, 3] += [0.03, 0, 0.04]
    np.testing.assert_allclose(lifting.mpjpe(found, truth), 0.05 / 17)


def test_scale_alone_is_forgiven_by_the_second(lifting, truth):
    assert lifting.mpjpe(1.3 * truth, truth).min() > 0.1
    np.testing.assert_allclose(lifting.n_mpjpe(1.3 * truth, truth), 0, atol=1e-12)
    turned = Rotation.from_euler("y", 30, degrees=True).apply(truth[0])
    assert lifting.n_mpjpe(turned, truth[0]) > 0.1


def test_rotation_shift_and_scale_are_forgiven_by_the_third_and_reflection_is_not(lifting, truth):
    found = np.array([
        1.7 * Rotation.from_euler("xyz", [20 * i, 50, -80], degrees=True).apply(points) + [1, i, -2]
        for i, points in enumerate(truth)
    ])  # fmt: skip
    np.testing.assert_allclose(lifting.p_mpjpe(found, truth), 0, atol=1e-12)
    assert lifting.p_mpjpe(truth * [-1, 1, 1], truth).min() > 0.1


def test_third_is_the_least_that_such_a_motion_leaves(lifting, truth, rng):
    """SciPy's rotation is the best one without scale, so that with scale it is no worse."""
    found = truth + rng.normal(0, 0.05, truth.shape)
    for x, y in zip(found, truth, strict=True):
        a, b = x - x.mean(axis=0), y - y.mean(axis=0)
        rotation, _ = Rotation.align_vectors(b, a)
        scale = (rotation.apply(a) * b).sum() / np.square(a).sum()
        assert lifting.p_mpjpe(x, y) == pytest.approx(lifting.mpjpe(scale * rotation.apply(a), b), rel=1e-6)


def test_cameras_of_data_sets_project_as_they_say(lifting, testdata):
    seen = 0
    for name, _, camera, joints, person in lifting.people(testdata):
        points, pixels = np.array(person["kp3d_camera_m"])[:, :3], np.array(person["kp2d"])[:, :2]
        # The data set's own joints; the others are made of them in pixels and in metres apart.
        own = ~np.isin(list(joints), lifting._MADE if "mpi" in name else ())
        assert np.linalg.norm(camera.project(points) - pixels, axis=1)[own].max() < 0.1
        seen += own.sum()
    assert seen == 2 * 17 + 2 * 14
