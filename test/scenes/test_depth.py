# SPDX-License-Identifier: Apache-2.0
"""Rendered depth is the depth of the surfaces that are there."""

from __future__ import annotations

import numpy as np
import pytest

from scenes import rays
from scenes.cameras import posed
from scenes.depth import DepthFaults, render
from scenes.observing import EPOCH_NS
from scenes.people import Person, at, crossing, stand

CAMERA = posed("depth", (3.0, 0.4, 1.2), size_wh=(320, 240), model="plumb_bob")
EXACT = DepthFaults(millimetres=False)


def test_ray_meets_ball_and_cylinder_where_geometry_says() -> None:
    a, b, radius = np.array([0.0, -1, 5]), np.array([0.0, 1, 5]), np.array(0.5)
    for ray, expected in (
        ((0, 0, 1), 4.5), ((0.05, 0, 1), None), ((0, 0.2, 1), 4.5), ((1, 0, 0), np.nan), ((0, 0, -1), np.nan),
        ((0.2, 0, 1), np.nan),
    ):  # fmt: skip
        t = rays.enter(np.array(ray, np.float64), a, b, radius)
        if expected is None:
            hit = t * np.array(ray)
            assert rays.distance(hit, a, b) == pytest.approx(0.5)
        else:
            np.testing.assert_allclose(t, expected)
    ball = np.array([0.0, 0, 3])
    assert rays.enter(np.array([0.0, 0, 1]), ball, ball, radius) == pytest.approx(2.5)
    assert rays.enter(np.array([0.0, 0, 1]), ball, np.array([0.0, 0, 5]), radius) == pytest.approx(2.5)


def test_nothing_is_nearer_than_where_a_ray_enters(rng: np.random.Generator) -> None:
    """Walked along each ray in small steps, which knows no equation."""
    directions = rng.normal(0, 0.2, (300, 3)) + np.array([0, 0, 1])
    a, b = (rng.uniform(-1, 1, (300, 3)) + np.array([0, 0, 4]) for _ in range(2))
    radii = rng.uniform(0.1, 0.5, 300)
    t = rays.enter(directions, a, b, radii)
    hits = np.isfinite(t)
    assert 30 < hits.sum() < 270
    reached = t[hits, None] * directions[hits]
    np.testing.assert_allclose(rays.distance(reached, a[hits], b[hits]), radii[hits], atol=1e-9)
    steps = np.linspace(0, 1, 400)[:, None] * np.where(hits, t, 8.0)
    depths = rays.distance(steps[..., None] * directions, a, b) - radii
    assert depths.min() > -1e-9


def test_depth_at_a_joint_is_that_of_its_skin() -> None:
    truth = at(crossing(3), np.arange(2.4, 3.6, 0.2))
    checked = 0
    for moment in range(len(truth.times_s)):
        whole = render(truth, moment, CAMERA, faults=EXACT)
        points = truth.points("coco17")[moment]
        own, surface, hidden = whole.joints(points)
        pixels = CAMERA.project(points)
        nearest = np.round(pixels)
        inside = ((nearest >= 0) & (nearest <= (319, 239))).all(axis=2) & np.isfinite(surface)
        # The ray through the middle of the pixel is not quite the joint's own.
        through = CAMERA.rays(nearest) * own[..., None] + CAMERA.centre
        _, exact, _ = whole.joints(through)
        inside &= np.isfinite(exact)
        x, y = np.nan_to_num(nearest).astype(int)[inside].T
        np.testing.assert_allclose(whole.depth.image[y, x], exact[inside], atol=1e-5)
        assert (surface[~hidden & inside] < own[~hidden & inside] + 0.02).all()
        # Looked at from the side, a joint lies as deep under the skin as its limb is thick.
        checked += int(inside.sum())
    assert checked > 150


def test_depth_at_a_joint_seen_head_on_is_within_a_millimetre() -> None:
    truth = at([Person(stand(), gait=0)], [0.0])
    names = {"left_wrist": 0.019, "left_knee": 0.038, "left_elbow": 0.026}
    kind = "coco17"
    points = truth.points(kind)[0, 0]
    for name, thick in names.items():
        joint = points[_index(name)]
        camera = posed("depth", joint + np.array([2.0, 0, 0]), joint, (321, 241))
        whole = render(truth, 0, camera)
        x, y = np.round(camera.project(joint)).astype(int)
        own, surface, hidden = whole.joints(points[None, None, _index(name)])
        assert not hidden
        assert own[0, 0] == pytest.approx(2.0)
        assert own[0, 0] - surface[0, 0] == pytest.approx(1.75 * thick, abs=1e-3)
        assert whole.depth.image[y, x] * whole.depth.scale == pytest.approx(surface[0, 0], abs=1e-3)


def test_floor_and_wall_are_behind() -> None:
    camera = posed("depth", (0.0, 0, 1.5), (2.0, 0, 1.5), (160, 120))
    whole = render(at([Person(stand((-5.0, 0)))], [0.0]), 0, camera, wall_m=4.0, faults=EXACT)
    assert (whole.owners == -2).all()
    cx, cy = camera.camera.K[:2, 2]
    np.testing.assert_allclose(whole.depth.image[: int(cy)], 4.0, rtol=1e-6)
    row = 115
    assert whole.depth.image[row, 80] == pytest.approx(1.5 * camera.camera.K[1, 1] / (row - cy), rel=1e-5)
    empty = render(at([Person(stand((-5.0, 0)))], [0.0]), 0, camera, wall_m=None)
    assert (empty.depth.image[:10] == 0).all()
    assert (empty.owners[:10] == -3).all()
    assert cx > 0


def test_windows_miss_nothing() -> None:
    """The same as with every ray against every capsule."""
    truth = at(crossing(3), [2.9])
    for camera in (CAMERA, posed("near", (0.9, 0.3, 1.0), (0, 0, 1.0), (160, 120), "equidistant")):
        whole = render(truth, 0, camera, wall_m=None)
        w, h = camera.camera.size_wh
        grid = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1)[::3, ::3]
        directions = camera.camera.rays(grid)[:, :, None]
        t = np.fmin.reduce(rays.enter(directions, whole.bodies.a, whole.bodies.b, whole.bodies.radii), axis=2)
        seen = whole.owners[::3, ::3] >= 0
        np.testing.assert_allclose(whole.clean[::3, ::3][seen], t[seen])
        assert (np.isnan(t[~seen]) | (t[~seen] > whole.clean[::3, ::3][~seen])).all()
        assert seen.mean() > 0.05


def test_faults_are_as_large_as_said() -> None:
    truth = at([Person(stand((-9.0, 0)))], [0.0])
    camera = posed("depth", (0.0, 0, 1.5), (2.0, 0, 1.5), (320, 240))
    for wall in (1.0, 3.0):
        noisy = render(truth, 0, camera, wall_m=wall, faults=DepthFaults(0.002, 0.1, millimetres=False)).depth.image
        part = noisy[:60]
        assert np.isnan(part).mean() == pytest.approx(0.1, abs=0.01)
        assert np.nanstd(part) == pytest.approx(0.002 * wall**2, rel=0.05)
    image = render(truth, 0, camera, wall_m=3.0, faults=DepthFaults(0.002, 0.1, range_m=(0.2, 2.9))).depth
    assert (image.image.dtype.name, image.scale) == ("uint16", 0.001)
    assert (image.image[:60] == 0).all()
    body = at([Person(stand(), gait=0)], [0.0])
    whole = render(body, 0, CAMERA)
    edges = render(body, 0, CAMERA, faults=DepthFaults(step_m=0.3)).depth.image == 0
    border = np.abs(np.diff((whole.owners == 0).astype(int), axis=1)) == 1
    assert edges[:, 1:][border & (np.abs(np.diff(whole.clean, axis=1)) > 0.3)].all()
    assert edges.mean() < 0.1


def test_depth_camera_beside_the_colour_camera() -> None:
    truth = at(crossing(2), [1.0])
    colour = posed("colour", (3.0, 0.45, 1.25), (0, 0.1, 1.0))
    depth = render(truth, 0, CAMERA, colour=colour).depth
    assert not depth.registered
    assert render(truth, 0, CAMERA).depth.registered
    assert depth.stamp_ns == EPOCH_NS + 1_000_000_000
    world = truth.points("coco17")[0]
    own = world @ CAMERA.rotation.T + CAMERA.translation
    np.testing.assert_allclose(
        own @ depth.rotation.T + depth.translation, world @ colour.rotation.T + colour.translation, atol=1e-9
    )


def _index(name: str) -> int:
    from pose_ros.skeletons import catalogue

    return catalogue.get("coco17").index[name]
