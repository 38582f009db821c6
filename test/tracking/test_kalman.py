# SPDX-License-Identifier: Apache-2.0
"""The Kalman filter against another program's numbers, and how honest it is about people who walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenes import at, walker

from pose_ros.tracking.kalman import Motion, inverse

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def oracle():
    return np.load(DATA / "kalman_filterpy.npz")


def test_equals_filterpy(oracle):
    motion = Motion.begin(oracle["points"][0], oracle["noises"][0])
    for i, seconds in enumerate(oracle["seconds"], 1):
        motion = motion.later(seconds, float(oracle["noise"]))
        if i % 7:
            motion, _ = motion.seen(oracle["points"][i], oracle["noises"][i])
        np.testing.assert_allclose(motion.position, oracle["positions"][i], atol=1e-9)
        np.testing.assert_allclose(motion.velocity, oracle["velocities"][i], atol=1e-8)
        whole = np.block([[motion.xx.T, motion.xv.T.swapaxes(1, 2)], [motion.xv.T, motion.vv.T]])
        np.testing.assert_allclose(whole, oracle["covariances"][i], atol=1e-9)


def test_one_long_step_is_many_short_ones(oracle):
    motion = Motion.begin(oracle["points"][0], oracle["noises"][0])
    steps = motion
    for _ in range(20):
        steps = steps.later(0.05, 2.0)
    for name, column in motion.later(1.0, 2.0).__dict__.items():
        np.testing.assert_allclose(column, getattr(steps, name), atol=1e-9)


def test_inverse(rng):
    root = rng.normal(size=(5, 7, 3, 3))
    matrices = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(3)
    np.testing.assert_allclose(inverse(matrices.T).T, np.linalg.inv(matrices), rtol=1e-9, atol=1e-9)


def test_a_measurement_beyond_the_gate_counts_the_less_the_further_off_it_is():
    motion = Motion.begin(np.zeros((1, 3)), 0.01**2 * np.eye(3)[None])
    pulls = []
    for off in (0.02, 0.05, 0.5, 5.0):
        after, distance = motion.seen(np.array([[off, 0, 0]]), 0.01**2 * np.eye(3)[None], gate=4.0)
        assert distance[0] == pytest.approx(off**2 / (2 * 0.01**2))
        pulls.append(after.position[0, 0])
        assert after.xx[0, 0, 0] <= motion.xx[0, 0, 0]
    assert pulls[0] == pytest.approx(0.01), "within the gate nothing changes"
    # Half of 5 cm, 3.5 standard deviations, as it is; beyond, the pull falls with 1 / distance.
    assert pulls[1] == pytest.approx(0.025)
    assert pulls[2] == pytest.approx(10 * pulls[3], rel=1e-6)
    assert pulls[2] < 0.01


@pytest.mark.parametrize("rate_hz", [10, 30, 60])
def test_the_covariance_is_honest_about_people_who_walk(rng, rate_hz):
    """Normalised error squared (Bar-Shalom 5.4) of all keypoints: near its three degrees of freedom."""
    truth = at(walker(), np.arange(8 * rate_hz) / rate_hz).points("coco17")[:, 0]
    sigmas = np.array([0.01, 0.02, 0.04])  # depth is worst
    noise = np.broadcast_to(np.diag(sigmas**2), (17, 3, 3))
    seen = truth + sigmas * rng.standard_normal(truth.shape)
    motion, errors, raw = Motion.begin(seen[0], noise), [], []
    for step in range(1, len(truth)):
        motion, _ = motion.later(1 / rate_hz, 2.0**2).seen(seen[step], noise)
        off = motion.position - truth[step]
        errors.append(np.einsum("ki,kij,kj->k", off, np.linalg.inv(motion.xx.T), off))
        raw.append([np.linalg.norm(off), np.linalg.norm(seen[step] - truth[step])])
    assert 0.8 < np.mean(errors[rate_hz // 2 :]) / 3 < 1.2
    filtered, measured = np.mean(raw, axis=0)
    assert filtered < (0.95 if rate_hz == 10 else 0.85) * measured
