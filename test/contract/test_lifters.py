# SPDX-License-Identifier: Apache-2.0
"""What every lifter promises."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.errors import ShapeError

SIZE_WH = (640, 480)


def past(lifter, n, rng):
    """Return keypoints and scores of n subjects, which may not be written to."""
    shape = (n, lifter.window, len(lifter.takes))
    keypoints = rng.uniform(0, 480, (*shape, 2)).astype(np.float32)
    scores = rng.random(shape).astype(np.float32)
    keypoints.flags.writeable = scores.flags.writeable = False
    return keypoints, scores


def test_says_what_it_takes(lifter):
    assert lifter.takes.subject == lifter.skeleton.subject == "person"
    assert lifter.window >= 1
    assert 0 <= lifter.ahead < lifter.window
    assert lifter.step_s > 0 or lifter.window == 1
    assert lifter.metres_per_pixel(SIZE_WH) >= 0


def test_points_are_around_the_root_and_of_one_call(lifter, rng):
    points = lifter.lift(*past(lifter, 3, rng), SIZE_WH)
    assert points.shape == (3, len(lifter.skeleton), 3)
    assert points.dtype == np.float32
    assert not points[:, lifter.skeleton.root].any()
    assert lifter.session.calls == [3]


def test_nobody_is_no_point_and_keeps_k(lifter, rng):
    assert lifter.lift(*past(lifter, 0, rng), SIZE_WH).shape == (0, len(lifter.skeleton), 3)


def test_a_batch_is_its_singles(lifter, rng):
    keypoints, scores = past(lifter, 4, rng)
    points = lifter.lift(keypoints, scores, SIZE_WH)
    for i in range(4):
        single = lifter.lift(keypoints[i : i + 1], scores[i : i + 1], SIZE_WH)
        np.testing.assert_allclose(single[0], points[i], atol=1e-6)


def test_takes_views_as_they_are(lifter, rng):
    keypoints, scores = past(lifter, 2, rng)
    expected = lifter.lift(keypoints, scores, SIZE_WH)
    wide = np.zeros((2, lifter.window, len(lifter.takes), 3), np.float64)
    wide[..., :2], wide[..., 2] = keypoints, scores
    np.testing.assert_allclose(lifter.lift(wide[..., :2], wide[..., 2], SIZE_WH), expected, atol=1e-6)


@pytest.mark.parametrize("wrong", ["moments", "keypoints", "scores", "no batch"])
def test_refuses_other_shapes(lifter, rng, wrong):
    keypoints, scores = past(lifter, 2, rng)
    keypoints, scores = {
        "moments": (keypoints[:, :-1], scores[:, :-1]) if lifter.window > 1 else (keypoints[:, :0], scores[:, :0]),
        "keypoints": (keypoints[:, :, 1:], scores[:, :, 1:]), "scores": (keypoints, scores[:, :, 1:]),
        "no batch": (keypoints[0], scores[0]),
    }[wrong]  # fmt: skip
    with pytest.raises(ShapeError, match=r"(keypoints|scores): expected \(N, "):
        lifter.lift(keypoints, scores, SIZE_WH)
