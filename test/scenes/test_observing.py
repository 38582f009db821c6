# SPDX-License-Identifier: Apache-2.0
"""Cameras see what is there, with the faults that were asked for and no others."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from scenes import rays
from scenes.cameras import LENSES, posed, project, rig, smaller
from scenes.observing import EPOCH_NS, Faults, observe
from scenes.people import Person, at, circling, crossing, stand, walker

NONE = Faults(sigma_px=0, occlusion=False)


def facing(x: float, y: float = 0.0, yaw: float = 0.0) -> Person:
    """Return one who stands still; a camera at x > 0 sees the face."""
    return Person(stand((x, y), yaw), gait=0)


@pytest.mark.parametrize("lens", list(LENSES))
def test_projection_is_that_of_opencv(lens: str) -> None:
    recording = observe(circling(2), rig(2, radius=7, models=(lens,)), "halpe26", seconds=0.3, faults=NONE)
    assert all(np.isfinite(shot.pixels).all() for shot in recording.shots)
    for shot in recording.shots:
        own = shot.camera
        turn = cv2.Rodrigues(own.rotation)[0]
        module = cv2.fisheye if lens == "equidistant" else cv2
        d = own.camera.D if lens else np.zeros(4)
        expected = module.projectPoints(shot.points.reshape(-1, 1, 3), turn, own.translation, own.camera.K, d)[0]
        np.testing.assert_allclose(shot.poses.keypoints, expected.reshape(shot.pixels.shape), atol=2e-4)
        truth = recording.truth(shot.stamp_ns).points("halpe26")[0]
        np.testing.assert_allclose(shot.points, truth[shot.true_ids - 1], atol=1e-9)


def test_smaller_image_shows_the_same() -> None:
    """The middle of each large pixel is that of the small ones that it covers."""
    camera = posed("camera", (4.0, 0, 1.2), model="plumb_bob")
    points = at(walker(), 0.0).points("coco17")[0]
    np.testing.assert_allclose(smaller(camera, 4).project(points), (camera.project(points) + 0.5) / 4 - 0.5)


def test_points_outside_of_the_image_are_missing() -> None:
    camera = posed("camera", (2.0, 0, 1.0), (0, 0, 1.0), (640, 480), "rational_polynomial")
    angles = np.linspace(-1.5, 1.5, 61)
    points = np.column_stack([2 - 3 * np.cos(angles), 3 * np.sin(angles), np.ones(61)])
    seen = np.isfinite(project(camera, points)).all(axis=1)
    assert not seen[np.abs(angles) > 0.7].any()
    assert seen[np.abs(angles) < 0.6].all()
    assert np.isnan(project(camera, np.array([5.0, 0, 1.0]))).all()


def test_nearer_body_hides_the_farther_one() -> None:
    camera = posed("camera", (4.0, 0, 1.2), (0, 0, 1.0))
    shot = observe([facing(0), facing(1)], camera, "coco17", seconds=1 / 30).shots[0]
    assert shot.true_ids.tolist() == [2]
    both = observe([facing(0), facing(1)], camera, seconds=1 / 30, faults=Faults(fewest=0)).shots[0]
    far, near = (int(np.flatnonzero(both.true_ids == i)[0]) for i in (1, 2))
    assert both.hidden[far].all()
    assert not both.hidden[near].any()
    assert (both.poses.scores[far] == 0).all()
    assert np.isnan(both.poses.keypoints[far]).all()
    beside = observe([facing(0, 1.2), facing(1)], camera, "h36m17", seconds=1 / 30).shots[0]
    assert not beside.hidden.any()


def test_body_hides_its_own_far_side_and_the_face_from_behind() -> None:
    names = ("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder", "right_elbow", "left_ear")
    for centre, expected in (
        ((4, 0, 1.2), set()),
        ((-4, 0, 1.2), {"nose", "left_eye", "right_eye"}),
        ((0, 4, 1.2), {"right_eye", "right_shoulder", "right_elbow"}),
    ):
        shot = observe([facing(0)], posed("camera", centre), "coco17", seconds=1 / 30).shots[0]
        index = shot.poses.skeleton.index
        assert {name for name in names if shot.hidden[0, index[name]]} == expected


def test_pillar_hides_and_networks_guess() -> None:
    camera = posed("camera", (4.0, 0, 1.0), (0, 0, 1.0))
    faults = Faults(sigma_px=2, things=(rays.pillar(1.0, 0.0, 0.3),), fewest=0)
    shot = observe([facing(0)], camera, seconds=1 / 30, faults=faults).shots[0]
    assert shot.hidden.all()
    low = Faults(sigma_px=2, things=(rays.pillar(1.0, 0.0, 0.5, 0.6),), guess=True)
    shot = observe([facing(0)], camera, seconds=1 / 30, faults=low).shots[0]
    ankle, nose = (shot.poses.skeleton.index[name] for name in ("left_ankle", "nose"))
    assert (shot.hidden[0, ankle], shot.hidden[0, nose]) == (True, False)
    assert (shot.sigmas[0, ankle], shot.sigmas[0, nose]) == (8.0, 2.0)
    assert 0 < shot.poses.scores[0, ankle] < 0.2 < shot.poses.scores[0, nose]


def test_noise_is_as_large_as_said_and_scores_tell() -> None:
    faults = Faults(sigma_px=3, spread=0.5, occlusion=False)
    shots = observe(circling(3), rig(3, radius=6), seconds=2, faults=faults).shots
    known = [np.isfinite(s.sigmas) for s in shots]
    errors = np.concatenate([(s.poses.keypoints - s.pixels)[m] for s, m in zip(shots, known, strict=True)])
    sigmas = np.concatenate([s.sigmas[m] for s, m in zip(shots, known, strict=True)])
    scores = np.concatenate([s.poses.scores[m] for s, m in zip(shots, known, strict=True)])
    assert len(errors) > 8000
    assert (errors / sigmas[:, None]).std(axis=0) == pytest.approx([1, 1], abs=0.03)
    assert np.median(sigmas) == pytest.approx(3 * np.exp(0.5 * 0.6745), rel=0.03)
    np.testing.assert_allclose(scores, (3 / sigmas) ** 2, rtol=1e-5)


def test_noise_grows_with_the_size_in_the_image() -> None:
    camera = posed("camera", (4.0, 0, 1.2), (0, 0, 1.0))
    shot = observe([facing(1, 0.5), facing(-4, -0.5)], camera, seconds=1 / 30, faults=Faults(0, 0.015)).shots[0]
    assert shot.true_ids.tolist() in ([1, 2], [2, 1])
    near, far = shot.sigmas[np.argsort(shot.true_ids), 0]
    height = np.ptp(shot.pixels[..., 1], axis=1)[np.argsort(shot.true_ids)]
    assert near / far == pytest.approx(height[0] / height[1], rel=0.05)
    assert 0.3 * 0.015 * height[0] < near < 0.7 * 0.015 * height[0]


def test_outliers_swaps_misses_and_drops_are_as_many_as_said() -> None:
    def seen(**faults: Any) -> list:
        return observe(circling(2), rig(2, radius=6), seconds=5, faults=Faults(0, occlusion=False, **faults)).shots

    shots = seen(outliers=0.1)
    off = np.concatenate([np.linalg.norm(s.poses.keypoints - s.pixels, axis=2).ravel() for s in shots])
    assert (off > 1).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_allclose(off[off > 1], 60, atol=0.01)
    assert np.isnan(np.concatenate([s.sigmas.ravel() for s in shots])[off > 1]).all()
    shots = seen(swaps=0.2)
    flip = shots[0].poses.skeleton.flip_index
    swapped = np.concatenate([np.abs(s.poses.keypoints - s.pixels[:, flip]).max(axis=(1, 2)) < 1e-3 for s in shots])
    assert swapped.mean() == pytest.approx(0.2, abs=0.04)
    assert sum(len(s.poses) for s in seen(misses=0.3)) / 600 == pytest.approx(0.7, abs=0.05)
    assert len(seen(drops=0.25)) / 300 == pytest.approx(0.75, abs=0.05)


def test_cameras_take_turns_with_their_own_stamps() -> None:
    faults = Faults(jitter_s=0.002, offsets_s=(0.0, 0.015), drops=0.1)
    recording = observe(circling(1), rig(2), seconds=3, rate_hz=30, faults=faults)
    stamps = [shot.stamp_ns for shot in recording.shots]
    assert stamps == sorted(stamps)
    for v, name in enumerate(("camera0", "camera1")):
        late = np.array([s.stamp_ns - EPOCH_NS - s.tick / 30 * 1e9 for s in recording.of(name)]) / 1e9
        assert late.mean() == pytest.approx(0.015 * v, abs=0.001)
        assert late.std() == pytest.approx(0.002, rel=0.25)
    ticks = recording.ticks()
    assert {len(turn) for turn in ticks} == {2}
    assert sum(shot is not None for turn in ticks for shot in turn) == len(stamps)
    assert all(s is None or s.camera.name == f"camera{v}" for turn in ticks for v, s in enumerate(turn))


def test_rows_are_shuffled_and_the_true_ids_go_with_them() -> None:
    shots = observe(circling(3), rig(1, radius=7), seconds=2, faults=NONE).shots
    assert len({tuple(s.true_ids) for s in shots}) == 6
    assert all((s.poses.ids == 0).all() for s in shots)


def test_same_seed_same_scene() -> None:
    faults = Faults(2, 0.01, 0.4, 0.05, swaps=0.1, drops=0.1, jitter_s=0.01)
    one, two, other = (observe(crossing(2), rig(2), seconds=0.5, faults=faults, seed=seed) for seed in (1, 1, 2))
    assert [s.stamp_ns for s in one.shots] == [s.stamp_ns for s in two.shots] != [s.stamp_ns for s in other.shots]
    for a, b in zip(one.shots, two.shots, strict=True):
        np.testing.assert_array_equal(a.poses.keypoints, b.poses.keypoints)
        np.testing.assert_array_equal(a.true_ids, b.true_ids)


def test_people_who_leave_are_not_seen() -> None:
    leaves = Person(walker()[0].path, present_s=(0.0, 0.49))
    shots = observe([leaves, *walker()], rig(1), seconds=1, faults=NONE).shots
    assert [len(s.poses) for s in shots] == [2] * 15 + [1] * 15


def test_noise_lasts_as_long_as_it_should() -> None:
    recording = observe([Person(stand())], posed("c", (3.5, 0, 1.2)), seconds=20, faults=Faults(
        2, occlusion=False, lasting_s=0.13, drops=0.1))  # fmt: skip
    shots = {shot.tick: shot.poses.keypoints[0] - shot.pixels[0] for shot in recording.shots}
    for lag in (1, 4, 12):
        pairs = np.array([[shots[tick], shots[tick + lag]] for tick in shots if tick + lag in shots])
        assert np.mean(pairs[:, 0] * pairs[:, 1]) / 4 == pytest.approx(np.exp(-lag / 30 / 0.13), abs=0.06)
    assert np.std(list(shots.values())) == pytest.approx(2, rel=0.05)
