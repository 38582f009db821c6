# SPDX-License-Identifier: Apache-2.0
"""What every detector promises."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.regions import Detections

COLUMNS = ("boxes", "scores", "classes", "regions")
SHAPES = {"1x1": (1, 1, 3), "one row": (1, 300, 3), "one column": (300, 1, 3), "odd": (33, 77, 3)}


def same(a: Detections, b: Detections) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_finds_finite_boxes_best_first(detector, image):
    found = detector.detect(image)
    assert len(found) > 0, "the network without weights should find something here"
    assert found.boxes.dtype == found.scores.dtype == found.regions.dtype == np.float32
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.regions).all()
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()
    assert (found.regions[:, 2:4] > 0).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()


def test_is_a_function(detector, image):
    before = image.copy()
    first = detector.detect(image)
    detector.detect(255 - image)
    same(detector.detect(image), first)
    np.testing.assert_array_equal(image, before)


def test_takes_views_as_they_are(detector, image):
    for view in (image[:, ::-1], image[::-1], image[3:90:2, 5:], image.transpose(1, 0, 2), image[..., ::-1]):
        same(detector.detect(view), detector.detect(np.ascontiguousarray(view)))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_takes_images_of_any_size(detector, rng, shape):
    found = detector.detect(rng.integers(0, 256, shape, np.uint8))
    assert np.isfinite(found.boxes).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_network_that_fails_finds_nothing_that_is_not_a_box(make_detector, image, value):
    found = make_detector(spoil=lambda output: np.full_like(output, value)).detect(image)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.regions).all()
    assert np.isfinite(found.scores).all()
