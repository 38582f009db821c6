# SPDX-License-Identifier: Apache-2.0
"""Bones that keep their length: what that takes away of noise, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import at, walker

from pose_ros.anatomy.limb_fit import LimbFit, fitted
from pose_ros.anatomy.limbs import LimbLengths
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")
STEP_S = 0.04
#: Bones of coco17 whose two ends are keypoints, both sides.
BONES = np.array([[COCO.index[f"{side}_{a}"], COCO.index[f"{side}_{b}"]] for side in ("left", "right")
                  for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))])


def lengths(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[..., BONES[:, 0], :] - points[..., BONES[:, 1], :], axis=-1)


def walk(noise_m: float | np.ndarray, rng: np.random.Generator, seconds: float = 4) -> tuple[np.ndarray, list[Poses]]:
    """Return where the joints of somebody are (T, 17, 3), and that with noise."""
    truth = at(walker(), np.arange(0, seconds, STEP_S)).points("coco17")[:, 0]
    seen = truth + rng.normal(0, 1, truth.shape) * noise_m
    spread = np.broadcast_to(np.diag(np.broadcast_to(noise_m, 3) ** 2), (1, 17, 3, 3))
    return truth, [Poses(COCO, p[None, :, :2], np.ones((1, 17)), ids=np.array([4]), points=p[None], covariances=spread)
                   for p in seen]


def run(fit: LimbFit, seen: list[Poses]) -> list[Poses]:
    return [fit(poses, round(i * STEP_S * 1e9)) for i, poses in enumerate(seen)]


def test_bones_keep_their_length_and_points_come_nearer_to_the_truth(rng: np.random.Generator) -> None:
    truth, seen = walk(0.02, rng)
    found = run(LimbFit(), seen)
    before, after = (np.array([p.points[0] for p in poses[25:]]) for poses in (seen, found))
    assert (lengths(before).std(axis=0) > 0.02).all()
    assert (lengths(after).std(axis=0) < 0.003).all()
    np.testing.assert_allclose(lengths(after)[-1], lengths(truth)[0], rtol=0.03)
    limbs = np.unique(BONES)
    error = [np.sqrt(np.mean((points[:, limbs] - truth[25:, limbs]) ** 2)) for points in (before, after)]
    assert error[1] < 0.9 * error[0]
    # A face has no bones that are long enough.
    np.testing.assert_array_equal(after[:, :5], before[:, :5])


def test_covariances_of_the_fit_cover_its_errors(rng: np.random.Generator) -> None:
    """Noise along the ray that is five times that across it, as of one camera: bones tell most about that."""
    truth, seen = walk(np.array([0.01, 0.05, 0.01]), rng, seconds=12)
    found = run(LimbFit(), seen)[100:]
    off = np.array([p.points[0] for p in found]) - truth[100:]
    spread = np.array([p.covariances[0] for p in found])
    assert np.linalg.eigvalsh(spread).min() > 0
    squared = np.einsum("tki,tkij,tkj->tk", off, np.linalg.inv(spread.astype(float)), off)
    # A little more than 3: lengths that are learnt of noisy points are a little long.
    assert 2.5 < squared[:, np.unique(BONES)].mean() < 4.5
    smaller = np.sqrt(spread[..., 1, 1].mean(axis=0))
    assert smaller[COCO.index["left_knee"]] < 0.04


def test_a_point_that_is_doubtful_moves_and_a_sure_one_stays() -> None:
    points = np.array([[[0, 0, 0], [0, 0, 0.45], [0, 0.4, 0.45]]])
    spread = np.array([np.diag([s, s, s]) ** 2 for s in (0.001, 0.001, 0.1)])[None]
    ends, goal = np.array([[0, 1], [1, 2]]), np.array([[0.45, 0.5]])
    found, _ = fitted(points, ends, goal, spread)
    np.testing.assert_allclose(found[0, :2], points[0, :2], atol=1e-3)
    np.testing.assert_allclose(found[0, 2], (0, 0.5, 0.45), atol=2e-3)


def test_bones_that_are_far_off_still_get_their_length() -> None:
    """Two that are folded onto one another: a linear step alone would leave two millimetres."""
    points = np.array([[[0, 0, 0], [0.1, 0, 0.4], [0.05, 0.03, 0.02]]])
    ends, goal = np.array([[0, 1], [1, 2]]), np.array([[0.45, 0.36]])
    spread = np.broadcast_to(np.diag([0.05, 0.02, 0.02]) ** 2, (1, 3, 3, 3))
    found, _ = fitted(points, ends, goal, spread)
    again, _ = fitted(found, ends, goal, spread)
    size = [np.linalg.norm(found[0, a] - found[0, b]) for a, b in ends]
    np.testing.assert_allclose(size, goal[0], atol=1e-3)
    np.testing.assert_allclose(again, found, atol=1e-3)


def test_a_left_bone_is_as_long_as_the_right_one(rng: np.random.Generator) -> None:
    _, seen = walk(0.02, rng, seconds=1)
    knee = COCO.index["left_knee"]
    hidden = [p.replace(points=np.where(np.arange(17)[:, None] == knee, np.nan, p.points)) for p in seen]
    fit = LimbFit()
    run(fit, hidden[:-1])
    found = fit(seen[-1], 1_000_000_000).points[0]
    thigh, shank = (np.linalg.norm(found[knee] - found[COCO.index[f"left_{end}"]]) for end in ("hip", "ankle"))
    right = lengths(found)[4:6]
    np.testing.assert_allclose([thigh, shank], right, atol=0.004)


def test_what_is_missing_stays_missing_and_holds_nothing() -> None:
    leg = [[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0.5]]
    points = np.array([[*leg[:2], [np.nan] * 3], [[np.nan] * 3] * 3, leg])
    ends, goal = np.array([[0, 1], [1, 2]]), np.array([[0.4, 0.4], [0.4, 0.4], [np.nan, np.nan]])
    found, covariances = fitted(points, ends, goal)
    assert covariances is None
    assert np.linalg.norm(found[0, 0] - found[0, 1]) == pytest.approx(0.4, abs=0.005)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
    np.testing.assert_allclose(found[2], points[2])
    for row in range(3):
        alone = fitted(points[row : row + 1], ends, goal[row : row + 1])[0]
        np.testing.assert_allclose(alone[0], found[row], atol=1e-6)


def test_a_mistake_pulls_at_nobody() -> None:
    points = np.array([[[0, 0, 0], [0, 0, 0.45], [0, 0.4, 3.0]], [[0, 0, 0], [0, 0, 0.0], [0, 0.4, 0.0]]])
    ends, goal = np.array([[0, 1], [1, 2]]), np.array([[0.45, 0.4], [0.45, 0.4]])
    np.testing.assert_allclose(fitted(points, ends, goal)[0], points, atol=1e-6)


def test_what_is_known_belongs_to_a_subject_and_ends_with_time(rng: np.random.Generator) -> None:
    _, seen = walk(0.02, rng, seconds=1)
    fit = LimbFit()
    first = fit(seen[0], 0)
    np.testing.assert_array_equal(first.points, seen[0].points)
    assert not np.allclose(run(fit, seen)[-1].points, seen[-1].points)
    stranger = seen[-1].replace(ids=np.array([5]))
    np.testing.assert_array_equal(fit(stranger, 2_000_000_000).points, stranger.points)
    nobody = seen[-1].replace(ids=np.array([0]))
    np.testing.assert_array_equal(fit(nobody, 2_000_000_000).points, nobody.points)
    assert not np.allclose(fit(seen[-1], 2_000_000_000).points, seen[-1].points)
    np.testing.assert_array_equal(fit(seen[-1], 1_000_000_000).points, seen[-1].points)
    run(fit, seen)
    fit.reset()
    np.testing.assert_array_equal(fit(seen[-1], 3_000_000_000).points, seen[-1].points)


def test_lengths_can_be_those_that_somebody_else_learns(rng: np.random.Generator) -> None:
    _, seen = walk(0.02, rng, seconds=1)
    known = LimbLengths()
    fit = LimbFit(known)
    assert all(fit(p, 0) is p for p in seen[:2])
    for i, poses in enumerate(seen):
        known.update(poses, i)
    assert not np.allclose(fit(seen[-1], 0).points, seen[-1].points)
    fit.reset()
    assert np.isfinite(known.known(seen[-1])).any()


def test_poses_without_metres_bones_or_subjects_pass() -> None:
    fit = LimbFit()
    for poses in (Poses.empty(COCO), Poses(COCO, np.zeros((1, 17, 2)), np.ones((1, 17)), ids=np.array([1]))):
        assert fit(poses, 0) is poses
    face = catalogue.get("face68")
    poses = Poses(face, np.zeros((1, 68, 2)), np.ones((1, 68)), points=np.zeros((1, 68, 3)), ids=np.array([1]))
    assert fit(poses, 0) is poses
