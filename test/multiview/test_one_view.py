# SPDX-License-Identifier: Apache-2.0
"""Lengths of limbs say how far away keypoints are that one camera sees."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import EPOCH_NS, Faults, at, observe, rig, walker

from pose_ros.core.poses import Source
from pose_ros.multiview.fuse import Fuser, FuserOptions
from pose_ros.multiview.one_view import by_limbs, held, hinges
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")


def test_what_hangs_on_a_limb_alone() -> None:
    ends, moved = held(COCO), hinges(COCO)
    hang = {
        frozenset(COCO.keypoints[i] for i in pair): {COCO.keypoints[k] for k in np.flatnonzero(row)}
        for pair, row in zip(ends, moved, strict=True) if row.any()
    }  # fmt: skip
    sides = ("left", "right")
    assert hang == {
        **{frozenset((f"{s}_shoulder", f"{s}_elbow")): {f"{s}_elbow", f"{s}_wrist"} for s in sides},
        **{frozenset((f"{s}_elbow", f"{s}_wrist")): {f"{s}_wrist"} for s in sides},
        **{frozenset((f"{s}_hip", f"{s}_knee")): {f"{s}_knee", f"{s}_ankle"} for s in sides},
        **{frozenset((f"{s}_knee", f"{s}_ankle")): {f"{s}_ankle"} for s in sides},
    }
    fingers = hinges(catalogue.get("hand21")).sum(axis=1)
    assert {1, 2, 3} <= {*fingers.astype(int).tolist()}


@pytest.fixture
def arm() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (1, 17, 3) and covariances of a shoulder that is known, and an elbow and a wrist seen along x only; which
    ones those are, and the lengths of their limbs."""
    points, covariances = np.full((1, 17, 3), np.nan), np.full((1, 17, 3, 3), np.nan)
    chain = [COCO.index[f"left_{name}"] for name in ("shoulder", "elbow", "wrist")]
    points[0, chain] = [[3, 0, 1.4], [3.2, 0.1, 1.2], [3.4, 0.2, 1.1]]
    covariances[0, chain] = np.diag([1e-4, 1e-5, 1e-5])
    covariances[0, chain[1:], 0, 0] = 0.04
    loose = np.zeros((1, 17), bool)
    loose[0, chain[1:]] = True
    lengths = np.full((1, len(held(COCO))), np.nan)
    for i, pair in enumerate(held(COCO).tolist()):
        for part, length in ((chain[:2], 0.3), (chain[1:], 0.25)):
            if set(pair) == set(part):
                lengths[0, i] = length
    return points, covariances, loose, lengths


def test_an_arm_has_its_lengths(arm: tuple[np.ndarray, ...]) -> None:
    points, covariances, loose, lengths = arm
    none = np.zeros_like(lengths)
    fit, known = by_limbs(COCO, points, covariances, loose, np.full((1, 17), 0.02), 0.5, lengths, none)
    shoulder, elbow, wrist = fit[0, [COCO.index[f"left_{name}"] for name in ("shoulder", "elbow", "wrist")]]
    np.testing.assert_array_equal(shoulder, [3, 0, 1.4])
    assert np.linalg.norm(elbow - shoulder) == pytest.approx(0.3, abs=0.005)
    assert np.linalg.norm(wrist - elbow) == pytest.approx(0.25, abs=0.005)
    np.testing.assert_allclose([*elbow[1:], *wrist[1:]], [0.1, 1.2, 0.2, 1.1], atol=1e-6)
    assert (np.isnan(fit) == np.isnan(points)).all()
    # Along the rays more is known than before, across them the same.
    moved = np.flatnonzero(loose[0])
    assert (known[0, moved, 0, 0] < 0.5 * 0.04).all()
    np.testing.assert_allclose(known[0, moved][:, 1:, 1:], covariances[0, moved][:, 1:, 1:])
    later = by_limbs(COCO, points, covariances, loose, np.full((1, 17), 2.0), 0.5, lengths, none)[1]
    assert (later[0, moved, 0, 0] > known[0, moved, 0, 0]).all(), "it may lean the other way by now"


def test_lengths_that_cannot_be_say_nothing(arm: tuple[np.ndarray, ...]) -> None:
    points, covariances, loose, lengths = arm
    fit, known = by_limbs(COCO, points, covariances, loose, np.zeros((1, 17)), 0.5, 10 * lengths, 0 * lengths)
    np.testing.assert_allclose(fit, points)
    np.testing.assert_allclose(known, covariances)
    nothing = by_limbs(COCO, points, covariances, loose, np.zeros((1, 17)), 0.5, np.nan * lengths, 0 * lengths)
    np.testing.assert_array_equal(nothing[0], points)


@pytest.mark.parametrize("alone", ["camera0", "camera2"])
def test_four_of_five_cameras_die_for_two_seconds(alone: str) -> None:
    """A person walks on a circle; without limbs it is 1.5 m off at the end."""
    people, whole, fuser = walker(), rig(5), Fuser(FuserOptions(max_lost=3.0))
    recording = observe(people, whole, seconds=3.2, faults=Faults(1.0, sigma_size=0.006, occlusion=False), seed=3)
    errors, squares, states = [], [], []
    for tick, shots in enumerate(recording.ticks()):
        views = {
            shot.camera.name: (shot.stamp_ns, shot.poses) for shot in shots
            if shot and (shot.camera.name == alone or not 30 <= tick < 90)
        }  # fmt: skip
        stamp = next(iter(views.values()))[0]
        poses = fuser(whole, views, stamp)
        assert len(poses) == 1
        off = np.asarray(poses.points)[0] - at(people, (stamp - EPOCH_NS) / 1e9).points(COCO)[0, 0]
        errors.append(np.linalg.norm(off, axis=1))
        squares.append(np.einsum("ki,kij,kj->k", off, np.linalg.inv(np.asarray(poses.covariances)[0]), off) / 3)
        states.append(poses.sources[0])
    assert np.median(errors[:30]) < 0.03
    assert (np.array(states[30:90]) == Source.INFERRED).all()
    for begin in range(30, 90, 10):
        part = slice(begin, begin + 10)
        assert np.median(errors[part]) < 0.2
        assert np.mean(errors[part]) < 0.25
        assert 0.4 < np.mean(squares[part]) < 1.7
        assert np.mean(np.array(squares[part]) < 7.815 / 3) > 0.84
    assert np.median(errors[92:]) < 0.03
