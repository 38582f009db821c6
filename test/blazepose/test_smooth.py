# SPDX-License-Identifier: Apache-2.0
"""One-Euro smoothing: the published recurrence, and rows that come and go."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue
from pose_ros.tracking.smooth import OneEuro, PoseSmoother, RegionSmoother

STEP = 33_333_000
ONE = np.array([1])


def published(values: list[float], min_cutoff: float, beta: float, size: float) -> list[float]:
    """Filter one number by the recurrence of Casiez et al., with fixed steps and a derivative cutoff of 1 Hz."""

    def alpha(cutoff: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / (STEP * 1e-9))

    smooth, speed, before = [values[0]], 0.0, values[0]
    for value in values[1:]:
        change = (value - before) / size / (STEP * 1e-9)
        speed = alpha(1.0) * change + (1 - alpha(1.0)) * speed
        part = alpha(min_cutoff + beta * abs(speed))
        smooth.append(part * value + (1 - part) * smooth[-1])
        before = value
    return smooth


@pytest.mark.parametrize(("min_cutoff", "beta", "size"), [(0.05, 80, 200), (0.1, 40, 1), (0.01, 10, 300), (1, 0, 5)])
def test_equals_the_published_recurrence(rng, min_cutoff, beta, size):
    values = np.cumsum(rng.normal(0, 3, 50))
    one = OneEuro(min_cutoff, beta)
    found = [one(ONE, values[i : i + 1], np.array([size]), (i + 1) * STEP)[0] for i in range(50)]
    np.testing.assert_allclose(found, published(values.tolist(), min_cutoff, beta, size), rtol=1e-9)


def test_rows_are_told_by_id_whatever_their_order(rng):
    values = rng.normal(0, 5, (10, 3, 4))
    one, singles = OneEuro(0.1, 1), [OneEuro(0.1, 1) for _ in range(3)]
    for step in range(10):
        order = rng.permutation(3)
        found = one(order + 7, values[step, order], np.ones(3), (step + 1) * STEP)
        for row, i in enumerate(order):
            alone = singles[i](ONE, values[step, i : i + 1], np.ones(1), (step + 1) * STEP)
            np.testing.assert_allclose(found[row], alone[0])


def test_who_is_new_or_comes_back_passes_unchanged():
    one = OneEuro(0.1, 1)
    one(np.array([1, 2]), np.array([0.0, 0.0]), np.ones(2), STEP)
    found = one(np.array([2, 3]), np.array([10.0, 10.0]), np.ones(2), 2 * STEP)
    assert found[0] < 10
    assert found[1] == 10
    assert one(np.array([1]), np.array([5.0]), np.ones(1), 3 * STEP)[0] == 5, "gone for a frame"


def test_unknown_rows_are_never_mixed():
    one = OneEuro(0.1, 1)
    for step in range(3):
        values = np.array([0.0, 100.0]) + step
        np.testing.assert_array_equal(one(np.zeros(2, int), values, np.ones(2), (step + 1) * STEP), values)


def test_missing_stays_missing_and_disturbs_nothing():
    one = OneEuro(0.1, 1)
    one(ONE, np.array([[1.0, 2.0]]), np.ones(1), STEP)
    found = one(ONE, np.array([[np.nan, 3.0]]), np.ones(1), 2 * STEP)
    assert np.isnan(found[0, 0])
    assert 2 < found[0, 1] < 3
    assert one(ONE, np.array([[9.0, 3.0]]), np.ones(1), 3 * STEP)[0, 0] == 9


@pytest.mark.parametrize("stamp", [STEP, STEP - 5])
def test_without_time_everything_passes_unchanged(stamp):
    one = OneEuro(0.1, 1)
    one(ONE, np.array([1.0]), np.ones(1), STEP)
    assert one(ONE, np.array([2.0]), np.ones(1), stamp)[0] == 2


def test_reset_forgets():
    one = OneEuro(0.1, 1)
    one(ONE, np.array([1.0]), np.ones(1), STEP)
    one.reset()
    assert one(ONE, np.array([2.0]), np.ones(1), 2 * STEP)[0] == 2


def test_nobody_and_then_somebody():
    one = OneEuro(0.1, 1)
    none = np.empty(0, int)
    assert one(none, np.empty((0, 2)), np.empty(0), STEP).shape == (0, 2)
    assert one(ONE, np.array([[1.0, 1.0]]), np.ones(1), 2 * STEP).tolist() == [[1, 1]]


@pytest.mark.parametrize("offers", [True, False])
def test_a_trembling_pose_comes_to_rest_and_keeps_everything_else(rng, offers):
    skeleton = catalogue.get("coco17")
    still = rng.uniform(0, 200, (1, 17, 2))
    smoother, before, after = PoseSmoother(), [], []
    for step in range(60):
        poses = Poses(
            skeleton, still + rng.normal(0, 0.3, still.shape), np.full((1, 17), 0.7),
            boxes=np.array([[0, 0, 200, 200]]), ids=ONE, local_points=rng.normal(0, 0.003, (1, 17, 3)),
            regions=np.array([[100, 100, 250, 250, 0]]) if offers else None,
        )
        found = smoother(poses, (step + 1) * STEP)
        np.testing.assert_array_equal(found.scores, poses.scores)
        np.testing.assert_array_equal(found.boxes, poses.boxes)
        before.append(poses)
        after.append(found)
    for name, part in (("keypoints", 0.75), ("local_points", 0.75)):
        tremble = [np.diff([getattr(p, name) for p in side[20:]], axis=0).std() for side in (before, after)]
        assert tremble[1] < part * tremble[0], name


def test_regions_at_rest_stay_as_they_are():
    regions = np.array([[100, 80, 60, 60, 0.4], [300, 90, 200, 120, -3.0]], np.float32)
    smoother = RegionSmoother()
    for step in range(5):
        np.testing.assert_allclose(smoother(np.array([1, 2]), regions, (step + 1) * STEP), regions, rtol=1e-5)


def test_a_region_turns_the_short_way_round():
    smoother = RegionSmoother()
    smoother(ONE, np.array([[100, 100, 80, 80, np.pi - 0.05]], np.float32), STEP)
    found = smoother(ONE, np.array([[100, 100, 80, 80, -np.pi + 0.05]], np.float32), 2 * STEP)[0]
    assert abs(found[4]) > np.pi - 0.06
    np.testing.assert_allclose(found[2:4], 80, rtol=0.01)
