# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from scenes import Faults, circling, observe, rig, stand, walker
from scenes.people import Person, at

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview import people, report, world
from pose_ros.multiview.bundle import Sightings
from pose_ros.multiview.rig import Rig
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")


def tracks(persons: list, cameras: Rig, **faults: float) -> tuple[list[np.ndarray], float]:
    """Return who was followed by each camera, in an order of its own, and how tall they are."""
    options = {"sigma_px": 2.0, "spread": 0.4, "outliers": 0.02, "drops": 0.05} | faults
    recording = observe(persons, cameras, "coco17", faults=Faults(**options), seed=1)
    ticks = recording.ticks()[::2]
    out = [np.full((len(persons), len(ticks), 17, 3), np.nan) for _ in cameras]
    for t, shots in enumerate(ticks):
        for v, shot in enumerate(shots):
            for row, who in enumerate([] if shot is None else shot.true_ids):
                if who > 0:
                    out[v][who - 1, t] = np.column_stack([shot.poses.keypoints[row], shot.poses.scores[row]])
    order = [np.random.default_rng(v).permutation(len(persons)) for v in range(len(cameras))]
    heights = recording.truth(ticks[0][0].stamp_ns).heights_m
    return [track[index] for track, index in zip(out, order, strict=True)], float(np.mean(heights))


def errors(found: people.PeopleRig, true: Rig) -> tuple[np.ndarray, np.ndarray, float]:
    """Return how far cameras are off after the best fit, metres and degrees, and the scale of that fit."""
    adjusted = found.adjusted
    a = np.array([-r.T @ t for r, t in zip(adjusted.rotations, adjusted.translations, strict=True)])
    b = np.array([camera.centre for camera in true])
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    u, s, vt = np.linalg.svd(y.T @ x)
    sign = np.array([1, 1, np.linalg.det(u @ vt)])
    turn, scale = u @ np.diag(sign) @ vt, float(s @ sign / (x**2).sum())
    angles = [cv2.Rodrigues(r @ turn.T @ c.rotation.T)[0] for r, c in zip(adjusted.rotations, true, strict=True)]
    return np.linalg.norm(scale * x @ turn.T - y, axis=1), np.degrees(np.linalg.norm(angles, axis=(1, 2))), scale


def lenses(cameras: Rig) -> dict[str, Camera]:
    return {camera.name: camera.camera for camera in cameras}


def test_one_person_tells_where_four_cameras_stand():
    true = rig(4, models=("plumb_bob", "equidistant"))
    seen, height = tracks(walker(), true)
    found = people.find_rig(lenses(true), seen, COCO, height)
    off, angle, scale = errors(found, true)
    assert off.max() < 0.03
    assert angle.max() < 0.4
    # The model body's limbs are as long as those of the average person, near enough.
    assert abs(scale - 1) < 0.03
    assert found.points.shape == (1, seen[0].shape[1], 12, 3)
    rest = Rig(found.adjusted.posed(list(lenses(true)), list(lenses(true).values())))
    said = report.of_rig(rest, found.adjusted, found.seen.reshape(4, -1, 12, 2), "people")
    assert all(1 < camera.position_mm < 50 for camera in said.cameras[1:])
    assert all(0.5 < camera.median_px < 3 for camera in said.cameras)
    assert people.doubts(found) == []


def test_three_people_find_one_another_and_the_floor_is_below_them():
    true = rig(3)
    seen, height = tracks(circling(3), true)
    found = people.find_rig(lenses(true), seen, COCO, height)
    assert found.seen.shape[1] == 3
    off, angle, _ = errors(found, true)
    assert off.max() < 0.02
    assert angle.max() < 0.2
    rest = Rig(found.adjusted.posed(list(lenses(true)), list(lenses(true).values())))
    floor = world.on_floor(rest, found.points, height)
    for ours, theirs in zip(floor, true, strict=True):
        assert abs(ours.centre[2] - theirs.centre[2]) < 0.12
        assert np.degrees(np.arccos(ours.rotation[:, 2] @ theirs.rotation[:, 2])) < 1.5
    first = floor.cameras[0]
    np.testing.assert_allclose(first.centre[:2], 0, atol=1e-9)
    assert first.rotation[2, 0] > 0.5
    assert abs(first.rotation[2, 1]) < 1e-9


def test_swapped_sides_are_taken_back():
    true = rig(3)
    seen, height = tracks(walker(), true, swaps=0.15)
    found = people.find_rig(lenses(true), seen, COCO, height)
    off, angle, _ = errors(found, true)
    assert off.max() < 0.04
    assert angle.max() < 0.7
    # What is swapped in known cameras is found.
    rng = np.random.default_rng(0)
    clean = true.project(np.concatenate([walk(), walk() + 0.3])) + rng.normal(0, 2, (3, 200, 12, 2))
    swapped = clean.copy()
    moments = np.arange(0, 200, 5)
    views = rng.integers(0, 3, len(moments))
    swapped[views, moments] = clean[views, moments][:, np.arange(12) ^ 1]
    pose = np.stack([c.rotation for c in true]), np.stack([c.translation for c in true])
    exact = dataclasses.replace(found.adjusted, rotations=pose[0], translations=pose[1], residuals=np.full((1, 2), 2.0))
    back, count = people._unswapped(Sightings.of(list(lenses(true).values()), swapped), exact)
    expected = Sightings.of(list(lenses(true).values()), clean)
    assert 0.9 * len(moments) <= count <= 1.1 * len(moments)
    same = np.isclose(back.rays, expected.rays, atol=1e-6).all(axis=(0, 2, 3))
    assert same.mean() > 0.97


def walk() -> np.ndarray:
    """Return the joints (100, 12, 3) of the person who walks."""
    points = at(walker(), np.linspace(0, 4, 100)).points(COCO)[:, 0]
    return points[:, [COCO.joints.index(joint) for joint in people.JOINTS]]


def test_a_measured_distance_sets_the_scale():
    true = rig(3)
    seen, height = tracks(walker(), true)
    found = people.find_rig(lenses(true), seen, COCO, height)
    twice = people.rescaled(found, 2.0)
    np.testing.assert_allclose(twice.adjusted.translations, 2 * found.adjusted.translations)
    np.testing.assert_allclose(twice.lengths, 2 * found.lengths)
    np.testing.assert_allclose(twice.points, 2 * found.points)
    np.testing.assert_allclose(twice.adjusted.covariances[1][3:, 3:], 4 * found.adjusted.covariances[1][3:, 3:])
    np.testing.assert_allclose(twice.adjusted.covariances[1][:3, :3], found.adjusted.covariances[1][:3, :3])


def test_what_cannot_be_joined_is_said():
    true = rig(3)
    seen, height = tracks(walker(), true)
    apart = [seen[0], seen[1], np.full_like(seen[2], np.nan)]
    with pytest.raises(ConfigError, match=r"camera2: expected people whom camera\d, camera\d see at the same moments"):
        people.find_rig(lenses(true), apart, COCO, height)
    nobody = [track[:0] for track in seen]
    with pytest.raises(ConfigError, match="found nobody whom two cameras see"):
        people.find_rig(lenses(true), nobody, COCO, height)
    with pytest.raises(ShapeError, match=r"tracks: expected 3 x \(N, T, 17, 3\)"):
        people.find_rig(lenses(true), seen[:2], COCO, height)
    with pytest.raises(ShapeError, match="the same moments in all cameras"):
        people.find_rig(lenses(true), [seen[0], seen[1], seen[2][:, :-1]], COCO, height)
    hand = catalogue.get("hand21")
    with pytest.raises(ConfigError, match="'hand21' has none of them"):
        people.find_rig(lenses(true), [np.zeros((1, 5, 21, 3))] * 3, hand, height)


def test_who_leans_does_not_say_which_way_is_up():
    true = rig(3)
    points = np.random.default_rng(0).normal(0, 0.5, (1, 80, 12, 3))
    with pytest.raises(ConfigError, match="people who stand and walk upright, they lean by"):
        world.on_floor(true, points, 1.7)
    with pytest.raises(ConfigError, match="expected 10 ankles that stand on the floor, saw 0"):
        world.on_floor(true, np.full((1, 5, 12, 3), np.nan), 1.7)


def test_standing_still_is_not_enough_to_be_sure():
    true = rig(3)
    moved, height = tracks(walker(), true)
    still, _ = tracks([Person(stand((0.0, 0.0)))], true)
    found = [people.find_rig(lenses(true), seen, COCO, height).adjusted for seen in (moved, still)]
    sigma = [np.sqrt(np.trace(one.covariances[2][3:, 3:])) for one in found]
    assert sigma[1] > sigma[0]
