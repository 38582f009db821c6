# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import circling, crossing, observe, rig
from scenes.people import at


@pytest.mark.parametrize("name", ["h36m17", "coco17", "halpe26", "mediapipe33"])
def test_limbs_keep_their_lengths_and_nothing_is_missing(name: str) -> None:
    truth = at(crossing(3), np.arange(0, 3, 0.1))
    points = truth.points(name)
    assert np.isfinite(points).all()
    for (a, b), length in truth.lengths("h36m17").items():
        measured = np.linalg.norm(truth.points("h36m17")[:, :, a] - truth.points("h36m17")[:, :, b], axis=-1)
        np.testing.assert_allclose(measured, np.broadcast_to(length, measured.shape), atol=1e-9)


def test_same_seed_same_scene() -> None:
    one, two, other = (observe(circling(2), rig(2), seconds=0.5, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(one.shots, two.shots, strict=True):
        np.testing.assert_array_equal(a.poses.keypoints, b.poses.keypoints)
    assert not np.array_equal(one.shots[0].poses.keypoints, other.shots[0].poses.keypoints, equal_nan=True)
