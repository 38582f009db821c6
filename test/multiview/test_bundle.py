# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes import circling, rig
from scenes.people import at

from pose_ros.multiview import bundle
from pose_ros.multiview.bundle import Sightings, adjust, meet
from pose_ros.multiview.people import JOINTS, LIMBS
from pose_ros.multiview.subjects import Jointed, Rigid, turns
from pose_ros.skeletons import catalogue


def scene(noise_px: float, moments: int = 30, seed: int = 0):
    """Return three cameras of different lenses, what they see of a walking person, and where that is."""
    cameras = rig(3, models=("plumb_bob", "equidistant", ""))
    skeleton = catalogue.get("coco17")
    points = at(circling(1), np.linspace(0, 6, moments)).points(skeleton)[:, 0]
    points = points[:, [skeleton.joints.index(joint) for joint in JOINTS]]
    seen = cameras.project(points)
    seen += np.random.default_rng(seed).normal(0, noise_px, seen.shape)
    return cameras, seen, points


def poses(cameras):
    return np.stack([c.rotation for c in cameras]), np.stack([c.translation for c in cameras])


def bodies(points: np.ndarray) -> Jointed:
    lengths = np.linalg.norm(points[:, LIMBS[:, 0]] - points[:, LIMBS[:, 1]], axis=-1).mean(axis=0)
    return Jointed(points, LIMBS, lengths[None], np.zeros(len(points), int), 0.03, float(lengths.mean()))


def too_large(points: np.ndarray) -> Jointed:
    return dataclasses.replace(bodies(points), scale=0.9999 * bodies(points).scale)


def board(points: np.ndarray) -> Rigid:
    moved = turns(np.random.default_rng(1).normal(0, 0.2, (len(points), 3)))
    return Rigid(points[0] - points[0].mean(axis=0), moved, points.mean(axis=1))


@pytest.mark.parametrize(("make", "width"), [(bodies, 6), (bodies, 7), (too_large, 6), (board, 6), (board, 7)])
def test_derivatives_are_those_of_the_cost(make, width):
    """Half the cost's slope is the pull, with the opposite sign, along every number."""
    cameras, seen, points = scene(3.0, moments=4)
    sightings = Sightings.of([c.camera for c in cameras], seen)
    if width == 7:
        sightings = dataclasses.replace(sightings, speeds=np.random.default_rng(3).normal(0, 90, seen.shape))
    offsets = np.array([0.0, 0.02, -0.01]) * (width == 7)
    rotations, translations = poses(cameras)
    subject = make(points + np.random.default_rng(2).normal(0, 0.02, points.shape))
    here = bundle._linear(sightings, rotations, translations, subject, offsets, 5.0)
    step = 1e-6

    def cost(index: int, sign: int) -> float:
        common = np.zeros(here.common.shape[0])
        moments = np.zeros(here.moments_pull.shape)
        if index < len(common):
            common[index] = sign * step
        else:
            moments.ravel()[index - len(common)] = sign * step
        first = np.concatenate([np.zeros((1, width)), common[: 2 * width].reshape(2, width)])
        turn = turns(first[:, :3])
        moved = (turn @ translations[..., None])[..., 0] + first[:, 3:6]
        later = offsets + first[:, 6:].sum(axis=1)
        ahead = subject.moved(moments, common[2 * width :])
        return bundle._linear(sightings, turn @ rotations, moved, ahead, later, 5.0).cost

    pull = np.concatenate([here.common_pull.sum(axis=0), here.moments_pull.ravel()])
    for index in [*range(2 * width), *range(2 * width, len(pull), 3)]:
        slope = (cost(index, 1) - cost(index, -1)) / (2 * step)
        assert slope == pytest.approx(-2 * pull[index], rel=1e-3, abs=0.5), index


def test_sightings_do_not_mind_lenses():
    cameras, seen, points = scene(0)
    seen[0, 3, 4] = np.nan
    sightings = Sightings.of([c.camera for c in cameras], seen)
    assert sightings.weights[0, 3, 4] == 0
    assert sightings.weights.sum() == np.isfinite(seen[..., 0]).sum()
    np.testing.assert_allclose(meet(*poses(cameras), sightings), points, atol=1e-5)
    # A point that is a little off is off by as many pixels as its image.
    moved = points + 0.002
    off = np.stack([c.project(moved) for c in cameras]) - seen
    found, _ = bundle._residuals(sightings, *poses(cameras), bodies(moved), np.zeros(3))
    known = np.isfinite(off).all(axis=-1)
    np.testing.assert_allclose(found[known], off[known], atol=0.03)
    alone = dataclasses.replace(sightings, weights=sightings.weights * np.array([1, 0, 0])[:, None, None])
    assert np.isnan(meet(*poses(cameras), alone)).all()


def test_rough_guess_becomes_exact_without_noise():
    cameras, seen, points = scene(0)
    rotations, translations = poses(cameras)
    rng = np.random.default_rng(0)
    guess = turns(np.vstack([np.zeros(3), rng.normal(0, 0.03, (2, 3))])) @ rotations
    shifted = translations + np.vstack([np.zeros(3), rng.normal(0, 0.1, (2, 3))])
    sightings = Sightings.of([c.camera for c in cameras], seen)
    found = adjust(sightings, guess, shifted, bodies(points + rng.normal(0, 0.05, points.shape)))
    assert np.nanmax(np.abs(found.residuals)) < 0.2
    # The scale is that of the guess' limbs.
    np.testing.assert_allclose(found.rotations, rotations, atol=2e-3)


@pytest.mark.parametrize("alike", [1, 6])
def test_covariance_covers_the_errors(alike):
    """Also where errors are alike for many moments, as those of networks are."""
    errors = []
    for seed in range(6):
        cameras, seen, points = scene(0, moments=60)
        noise = np.random.default_rng(seed).normal(0, 2.0, (3, 60 // alike, *seen.shape[2:]))
        seen = seen + np.repeat(noise, alike, axis=1)
        sightings = Sightings.of([c.camera for c in cameras], seen)
        found = adjust(sightings, *poses(cameras), bodies(points))
        assert not found.covariances[0].any()
        # Of the size of the whole, which counts as known, they would be several centimetres.
        places = np.sqrt(found.covariances[:, range(3, 6), range(3, 6)].sum(axis=1))
        assert places.max() < (0.02 if alike == 1 else 0.04)
        # The scale is that of the limbs, which noise makes longer; it is not what the covariance is about.
        ours = np.array([-r.T @ t for r, t in zip(found.rotations, found.translations, strict=True)])
        true = np.array([c.centre for c in cameras])
        a, b = (ours - ours[0]).ravel(), (true - true[0]).ravel()
        assert abs(a @ b / (a @ a) - 1) < 0.02
        ours = ours[0] + (ours - ours[0]) * (a @ b / (a @ a))
        for v in (1, 2):
            turn = found.rotations[v] @ cameras.cameras[v].rotation.T
            vector = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
            shift = -found.rotations[v] @ (ours[v] - true[v])
            off = np.concatenate([vector, shift])
            errors.append(off @ np.linalg.pinv(found.covariances[v], rcond=1e-6) @ off)
    # Chi-squared of 6 degrees of freedom; that limbs keep their lengths better than told is not known.
    assert 1.5 < np.mean(errors) < 12, errors
