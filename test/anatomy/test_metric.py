# SPDX-License-Identifier: Apache-2.0
"""How large a body is taken for, and whether its covariance knows how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import at, look_at, walker
from scenes.people import Person, stand

from pose_ros.anatomy.metric import HEIGHT_M, BodySize, long_limbs, placed
from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

CAMERA = Camera(np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), (1280, 720))
S = 10**9


def body(height_m=1.75, time_s=0.0, skeleton="coco17", scale=1.0, distance=4.0):
    """Return poses of one person before CAMERA with local points that are too large by ``scale``, and the true ones."""
    truth = at([Person(stand(), height_m)] if time_s is None else walker(height_m), [time_s or 0.0])
    points = truth.points(skeleton)[0]
    rotation, _ = look_at((distance, 0, 1.2), (0, 0, 1.0))
    points = (points - np.array([distance, 0, 1.2])) @ rotation.T
    local = (points - points[:, :1]) * scale
    keypoints = CAMERA.project(points)
    return Poses(catalogue.get(skeleton), keypoints, np.ones(keypoints.shape[:2]), ids=[1], local_points=local), points


@pytest.mark.parametrize("skeleton", ["coco17", "h36m17", "mediapipe33", "halpe26", "wholebody133"])
@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_any_scale_becomes_the_height_that_is_expected(skeleton, scale):
    poses, points = body(1.75, skeleton=skeleton, scale=scale)
    found, sigma = BodySize(1.75, 0.05)(poses, 0)
    expected = points - points[:, :1]
    size = np.nanmax(np.abs(expected))
    assert np.nanmax(np.abs(found.local_points - expected)) < 0.015 * size
    assert 0.05 / 1.75 <= sigma[0] < 0.04


def test_nobody_knows_of_a_height_that_was_not_given():
    poses, points = body(1.95)
    found, sigma = BodySize()(poses, 0)
    ratio = np.linalg.norm(found.local_points[0, 5] - found.local_points[0, 15]) / np.linalg.norm(
        points[0, 5] - points[0, 15])
    assert ratio == pytest.approx(HEIGHT_M / 1.95, rel=0.02)
    assert 0.05 < sigma[0] < 0.07
    assert abs(ratio - 1) < 3 * sigma[0]


def test_limbs_that_are_wrong_for_a_moment_or_always_do_not_count(rng):
    size, heights = BodySize(1.75, 0.05), []
    for i in range(60):
        poses, points = body(time_s=i / 15, scale=1.1)
        local = poses.local_points + 0.02 * rng.standard_normal(poses.local_points.shape)
        local[:, 9] += 0.4 * rng.standard_normal(3)  # a wrist
        if i % 10 == 4:
            local *= 1.8
        found, _ = size(poses.replace(local_points=local), i * S // 15)
        heights.append(np.linalg.norm(found.local_points[0, 11] - found.local_points[0, 13]))
    thigh = np.linalg.norm(points[0, 11] - points[0, 13])
    steady = [h for i, h in enumerate(heights) if i > 30 and i % 10 != 4]
    assert np.mean(steady) == pytest.approx(thigh, rel=0.06)


def test_size_of_a_tracked_subject_is_calm_and_of_others_that_of_the_image(rng):
    size, tracked, single = BodySize(), [], []
    for i in range(80):
        poses, _ = body(time_s=i / 10)
        local = poses.local_points * 1.2 ** rng.standard_normal()
        for ids, kept in ((1, tracked), (0, single)):
            found, _ = size(poses.replace(local_points=local, ids=[ids]), i * S // 10)
            kept.append(found.local_points[0, 13, 1] / local[0, 13, 1])
            if ids == 0:
                np.testing.assert_allclose(
                    found.local_points, BodySize()(poses.replace(ids=[0]), 0)[0].local_points, atol=1e-3)
    assert np.std(np.log(tracked[40:])) < 0.25 * np.std(np.log(single[40:]))


def test_too_few_limbs_tell_nothing():
    poses, _ = body()
    local = poses.local_points.copy()
    local[:, [5, 6, 11, 12, 13, 14]] = np.nan
    found, sigma = BodySize()(poses.replace(local_points=local), 0)
    assert np.isnan(found.local_points).all()
    assert np.isnan(sigma).all()
    hands = Poses(catalogue.get("hand21"), np.zeros((1, 21, 2)), np.ones((1, 21)), local_points=np.ones((1, 21, 3)))
    assert np.isnan(BodySize()(hands, 0)[1]).all()


def test_nobody_and_poses_without_a_shape_pass():
    size = BodySize()
    poses, _ = body()
    assert size(poses.replace(local_points=None), 0)[0].local_points is None
    empty, sigma = size(poses.select(np.zeros(0, int)), S)
    assert empty.local_points.shape == (0, 17, 3)
    assert sigma.shape == (0,)


def test_ids_come_go_and_time_starts_over():
    size = BodySize()
    for i in range(10):
        size(body(scale=2.0)[0], i * S)
    small = body(scale=1.0)[0]
    remembered = size(small, 10 * S)[0].local_points[0, 13]
    fresh = size(small.replace(ids=[2]), 11 * S)[0].local_points[0, 13]
    np.testing.assert_allclose(remembered, fresh / 2, rtol=1e-4)
    np.testing.assert_allclose(size(small, 100 * S)[0].local_points[0, 13], fresh, rtol=1e-4, err_msg="forgotten")
    size(body(scale=2.0)[0], 101 * S)
    np.testing.assert_allclose(size(small, 5 * S)[0].local_points[0, 13], fresh, rtol=1e-4, err_msg="backwards")


def test_covariance_of_the_size_is_along_the_ray():
    poses, points = body(distance=3.0)
    found = placed(poses, CAMERA, 0.06, 0.002)
    np.testing.assert_allclose(found.points, points, atol=2e-3)
    ray = points[0, 9] / np.linalg.norm(points[0, 9])
    covariance = found.covariances[0, 9].astype(np.float64)
    assert np.sqrt(ray @ covariance @ ray) == pytest.approx(0.06 * np.linalg.norm(points[0, 9]), rel=1e-2)
    across = np.cross(ray, [0, 1, 0])
    assert np.sqrt(across @ covariance @ across) < 0.01


def test_covariances_hold_the_errors_of_people_of_any_height(rng):
    """People as tall as the expected height says, keypoints with noise, shapes with errors."""
    squares = []
    for _ in range(150):
        poses, points = body(rng.normal(HEIGHT_M, 0.09), time_s=rng.uniform(0, 5), distance=rng.uniform(2.5, 6))
        poses = poses.replace(keypoints=poses.keypoints + rng.normal(0, 3, poses.keypoints.shape), ids=[0],
                              local_points=poses.local_points + rng.normal(0, 0.03, points.shape))  # fmt: skip
        sized, sigma = BodySize()(poses, 0)
        found = placed(sized, CAMERA, sigma, 0.03)
        error = (found.points - points)[0].astype(np.float64)
        inverse = np.linalg.inv(found.covariances[0].astype(np.float64))
        squares.append(np.einsum("ki,kij,kj->k", error, inverse, error))
    assert 2 < np.mean(squares) < 4, "of three normal numbers: 3"
    assert np.mean(np.array(squares) < 7.815) > 0.9


def test_long_limbs_are_those_of_both_sides():
    ends, parts = long_limbs(catalogue.get("coco17"))
    assert ends.shape == (10, 2)
    assert (parts > 0.1).all()
    assert not len(long_limbs(catalogue.get("hand21"))[0])
