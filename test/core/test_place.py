# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.core.place import place, placed
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton

K = np.array([[600.0, 0, 320], [0, 610, 240], [0, 0, 1]])
CAMERAS = {
    "ideal": Camera(K, (640, 480)),
    "plumb_bob": Camera(K, (640, 480), np.array([0.1, -0.05, 0.001, 0.002, 0]), "plumb_bob"),
    "fisheye": Camera(K, (640, 480), np.array([0.05, -0.01, 0.003, -0.001]), "equidistant"),
}
SHIFTS = np.array([[0, 0, 3.0], [1, 0.5, 4], [-1, 0, 2.5], [0.2, 0.1, 9]])


@pytest.fixture(params=CAMERAS.values(), ids=CAMERAS)
def camera(request: pytest.FixtureRequest) -> Camera:
    return request.param


@pytest.fixture
def bodies(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 0.3, (len(SHIFTS), 17, 3))


def test_finds_bodies_where_they_are(camera, bodies):
    truth = bodies + SHIFTS[:, None]
    points, covariances = place(bodies, camera.project(truth), np.ones(truth.shape[:2]), camera)
    np.testing.assert_allclose(points, truth, atol=1e-3)
    assert points.dtype == covariances.dtype == np.float32


def test_says_how_sure_it_is(camera, bodies, rng):
    truth = bodies + SHIFTS[:, None]
    pixels = camera.project(truth)
    errors, claimed = [], []
    for _ in range(300):
        points, covariances = place(bodies, pixels + rng.normal(0, 2, pixels.shape), np.ones(truth.shape[:2]), camera)
        errors.append((points - truth)[:, 0])
        claimed.append(covariances)
    seen = np.std(errors, axis=0)
    said = np.sqrt(np.mean(claimed, axis=0)[:, range(3), range(3)])
    np.testing.assert_allclose(said, seen, rtol=0.3)
    assert (seen[:, 2] > seen[:, 0]).all(), "depth is what is hard to see"


def test_a_keypoint_without_score_or_place_has_no_say(bodies):
    camera, truth = CAMERAS["ideal"], bodies + SHIFTS[:, None]
    pixels, scores = camera.project(truth), np.ones(truth.shape[:2])
    pixels[:, 3] += 500
    scores[:, 3] = 0
    pixels[:, 5] = np.nan
    points, _ = place(bodies, pixels, scores, camera)
    np.testing.assert_allclose(points, truth, atol=1e-3)
    bodies[:, 6] = np.nan
    points, _ = place(bodies, pixels, scores, camera)
    assert np.isnan(points[:, 6]).all()
    np.testing.assert_allclose(np.delete(points, 6, axis=1), np.delete(truth, 6, axis=1), atol=1e-3)


def test_what_cannot_be_placed_is_nan(bodies):
    camera, truth = CAMERAS["ideal"], bodies + SHIFTS[:, None]
    pixels, scores = camera.project(truth), np.ones(truth.shape[:2])
    scores[0, 2:] = 0  # two keypoints
    mirrored = 2 * pixels[1, :1] - pixels[1]  # fits a body behind the camera
    pixels[1] = mirrored
    bodies[2] = bodies[2, :1]  # all in one point: no size, no distance
    pixels[2] = pixels[2, :1]
    points, covariances = place(bodies, pixels, scores, camera)
    assert np.isnan(points[:3]).all()
    assert np.isnan(covariances[:3]).all()
    np.testing.assert_allclose(points[3], truth[3], atol=1e-3)


def test_nobody_is_placed_nowhere():
    points, covariances = place(np.empty((0, 17, 3)), np.empty((0, 17, 2)), np.empty((0, 17)), CAMERAS["ideal"])
    assert points.shape == (0, 17, 3)
    assert covariances.shape == (0, 3, 3)


def test_poses_get_points_and_covariances(bodies):
    camera, truth = CAMERAS["ideal"], bodies + SHIFTS[:, None]
    body = Skeleton("body", tuple("abcdefghijklmnopq"))
    poses = Poses(body, camera.project(truth), np.ones(truth.shape[:2]))
    assert placed(poses, camera) is poses
    done = placed(poses.replace(local_points=bodies), camera)
    np.testing.assert_allclose(done.points, truth, atol=1e-3)
    assert done.covariances.shape == (4, 17, 3, 3)


def test_real_people_are_placed_within_centimetres(testdata):
    """Human3.6M: known shape, camera and place; keypoints of a network and of the truth."""
    for person in json.loads((testdata / "body3d/h36m/h36m.json").read_text()):
        c = {key: np.ravel(value) for key, value in person["camera"].items()}
        matrix = np.array([[c["f"][0], 0, c["c"][0]], [0, c["f"][1], c["c"][1]], [0, 0, 1]])
        camera = Camera(matrix, (1000, 1002), np.concatenate([c["k"][:2], c["p"], c["k"][2:]]), "plumb_bob")
        truth = np.array(person["kp3d_camera_m"])[None, :, :3]
        for name, limit_m in (("kp2d", 0.001), ("det2d", 0.05)):
            pixels = np.array(person[name])[None, :, :2]
            points, _ = place(truth - truth[:, :1], pixels, np.ones((1, 17)), camera)
            assert np.abs(points - truth).max() < limit_m, (person["image"], name)
