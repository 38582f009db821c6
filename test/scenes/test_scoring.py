# SPDX-License-Identifier: Apache-2.0
"""Scores of estimates whose faults are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from pose_ros.core.poses import Poses, Source
from pose_ros.multiview.rig import PosedCamera
from pose_ros.skeletons import catalogue
from scenes.cameras import posed
from scenes.observing import EPOCH_NS
from scenes.people import at, circling
from scenes.scoring import score, switches

PEOPLE = circling(3)
KIND = catalogue.get("coco17")
SIGMA = 0.02


def estimates(
    rng: np.random.Generator, told: float = SIGMA, camera: PosedCamera | None = None, swap_at: int | None = None
) -> Iterator[tuple[int, Poses]]:
    """Yield truth with noise of 2 cm, rows shuffled; ``told``: what the covariance says."""
    for t in range(60):
        points = at(PEOPLE, t / 30).points(KIND)[0]
        if camera is not None:
            points = points @ camera.rotation.T + camera.translation
        order = rng.permutation(3)
        ids = np.array([11, 12, 13] if swap_at is None or t < swap_at else [12, 11, 13])
        noisy = points[order] + SIGMA * rng.standard_normal((3, 17, 3))
        noisy[0, 5] = np.nan
        yield EPOCH_NS + round(t / 30 * 1e9), Poses(
            KIND, np.full((3, 17, 2), np.nan), np.ones((3, 17)), ids=ids[order], points=noisy,
            covariances=np.broadcast_to(told**2 * np.eye(3), (3, 17, 3, 3)),
        )  # fmt: skip


def test_error_and_covariance_are_found_again(rng: np.random.Generator) -> None:
    result = score(estimates(rng), PEOPLE)
    assert np.sqrt((result.errors_m**2).mean()) == pytest.approx(SIGMA * np.sqrt(3), rel=0.03)
    assert result.square == pytest.approx(1, abs=0.05)
    assert result.inside == pytest.approx(0.95, abs=0.01)
    assert result.share == pytest.approx(50 / 51)
    assert (result.nobodies, result.switches, result.ids, result.subjects) == (0, 0, 3, 180)
    assert result.middle == pytest.approx(1, abs=0.1)
    assert "in 95 %  9" in str(result)
    assert "guessed" not in str(result)
    half = np.arange(len(result.sources)) % 2 == 0
    mixed = dataclasses.replace(result, sources=np.where(half, Source.MEASURED, Source.HELD))
    np.testing.assert_array_equal(mixed.of(Source.MEASURED).errors_m, result.errors_m[half])
    assert f"{(~half).sum()} guessed" in str(mixed)


def test_covariance_that_says_too_little_is_seen(rng: np.random.Generator) -> None:
    result = score(estimates(rng, told=SIGMA / 2), PEOPLE)
    assert result.square == pytest.approx(4, rel=0.05)
    assert result.inside < 0.7


def test_points_of_a_camera_are_compared_in_its_frame(rng: np.random.Generator) -> None:
    camera = posed("camera", (3.0, 1.0, 2.0))
    assert np.median(score(estimates(rng, camera=camera), PEOPLE, camera).errors_m) < 2 * SIGMA
    assert score(estimates(rng, camera=camera), PEOPLE).nobodies == 180


def test_ids_that_change_are_counted(rng: np.random.Generator) -> None:
    assert score(estimates(rng, swap_at=30), PEOPLE).switches == 2
    rows = Poses(KIND, np.zeros((2, 17, 2)), np.ones((2, 17)), ids=np.array([5, 6]))
    who = np.array([1, 2])
    assert switches([(who, rows), (who, rows), (who[::-1], rows)]) == (2, 2)


def test_keypoints_that_are_not_believed_count_as_missing(rng: np.random.Generator) -> None:
    unsure = ((t, poses.replace(scores=np.where(np.arange(17) < 7, 0.2, poses.scores))) for t, poses in estimates(rng))
    assert score(unsure, PEOPLE, min_score=0.3).share == pytest.approx(10 / 17)


def test_nobody_estimated_is_no_joint_found() -> None:
    result = score([(EPOCH_NS, Poses.empty(KIND))], PEOPLE)
    assert (result.share, result.joints, result.ids) == (0, 51, 0)
    assert np.isnan(result.square)
    assert "nan" in str(result)
