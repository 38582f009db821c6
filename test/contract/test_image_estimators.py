# SPDX-License-Identifier: Apache-2.0
"""What every estimator that finds its subjects itself promises."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import IMAGE, NOBODY
from poses_checks import check, same

from pose_ros.core.frame import Frame
from pose_ros.pipeline import Pipeline
from pose_ros.sources import OneStage
from pose_ros.tracking.track import Tracker

SHAPES = {"1x1": (1, 1, 3), "one row": (1, 300, 3), "one column": (300, 1, 3), "odd": (33, 77, 3)}


def test_finds_poses_best_first_in_one_call(image_estimator, image):
    poses = image_estimator.estimate(image)
    assert len(poses) > 0, "the network without weights should find something here"
    check(poses, len(poses))
    assert poses.skeleton.name == image_estimator.card.skeleton
    assert np.isfinite(poses.keypoints).any(axis=(1, 2)).all(), "a subject without any keypoint is none"
    assert (np.diff(poses.subject_scores) <= 0).all()
    assert image_estimator.session.calls == [1]


def test_boxes_are_upright_or_left_to_the_pipeline(image_estimator, image):
    boxes = image_estimator.estimate(image).boxes
    assert np.isfinite(boxes).all() or np.isnan(boxes).all()
    assert not (boxes[:, 2:] < boxes[:, :2]).any()


def test_is_a_function(image_estimator, image):
    before = image.copy()
    first = image_estimator.estimate(image)
    image_estimator.estimate(255 - image)
    same(image_estimator.estimate(image), first)
    np.testing.assert_array_equal(image, before)


def test_takes_views_as_they_are(image_estimator, image):
    for view in (image[:, ::-1], image[::-1], image[3:90:2, 5:], image.transpose(1, 0, 2), image[..., ::-1]):
        same(image_estimator.estimate(view), image_estimator.estimate(np.ascontiguousarray(view)))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_takes_images_of_any_size(image_estimator, rng, shape):
    poses = image_estimator.estimate(rng.integers(0, 256, shape, np.uint8))
    check(poses, len(poses))


def test_keypoints_are_in_pixels_of_the_image(make_image_estimator):
    """A network that says the same of all pictures sees larger poses in larger ones."""
    estimator = make_image_estimator(seed=1)
    small, large = (estimator.estimate(np.zeros((h, 4 * h // 3, 3), np.uint8)) for h in (240, 480))
    np.testing.assert_allclose(large.keypoints, 2 * small.keypoints, atol=1)
    np.testing.assert_allclose(large.boxes, 2 * small.boxes, atol=1)
    np.testing.assert_allclose(large.scores, small.scores, atol=1e-6)


def test_nobody_there_is_no_pose_and_keeps_k(make_image_estimator, image):
    estimator = make_image_estimator(nobody=True)
    assert estimator.estimate(image).keypoints.shape == (0, len(estimator.skeleton), 2)


def test_every_image_estimator_has_a_network_that_sees_nobody():
    assert set(NOBODY) == {name for _, name in IMAGE}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_network_that_fails_gives_nothing_that_is_not_a_keypoint(make_image_estimator, image, value):
    poses = make_image_estimator(spoil=lambda output: np.full_like(output, value)).estimate(image)
    check(poses, len(poses))


def test_a_pipeline_follows_its_subjects(image_estimator, image):
    pipeline = Pipeline(OneStage(image_estimator), Tracker())
    first, second = (pipeline(Frame(image, stamp)).poses for stamp in (0, 10**8))
    assert len(first) > 0
    assert np.isfinite(first.boxes).all()
    assert first.ids.tolist() == second.ids.tolist() == list(range(1, len(first) + 1))
