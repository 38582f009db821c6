# SPDX-License-Identifier: Apache-2.0
"""The colours of subjects."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue
from pose_ros.tracking.appearance import SIZE, appearance

RED, BLUE, GREY = (200, 30, 40), (30, 60, 200), (120, 118, 121)
HAND = catalogue.get("hand21")


def boxes(*places: tuple[float, float, float, float]) -> Poses:
    n = len(places)
    return Poses(HAND, np.full((n, 21, 2), np.nan), np.zeros((n, 21)), boxes=np.float32(places).reshape(-1, 4))


def painted(*patches: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> np.ndarray:
    image = np.full((120, 160, 3), 90, np.uint8)
    for (x0, y0, x1, y1), color in patches:
        image[y0:y1, x0:x1] = color
    return image


def test_the_same_colours_are_alike_and_others_are_not(rng):
    spots = [(10, 10, 40, 90), (60, 10, 90, 90), (110, 10, 150, 90), (10, 10, 40, 90)]
    image = painted((spots[0], RED), (spots[1], BLUE), (spots[2], GREY))
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    looks = appearance(image, boxes(*spots))
    assert looks.shape == (4, SIZE)
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1, rtol=1e-5)
    alike = looks @ looks.T
    assert alike[0, 3] == pytest.approx(1)
    assert alike[[0, 0, 1], [1, 2, 2]].max() < 0.2


def test_less_light_changes_little():
    spot = (10, 10, 40, 90)
    bright, dim = (appearance(painted((spot, tuple(int(c * s) for c in RED))), boxes(spot))[0] for s in (1, 0.6))
    assert bright @ dim > 0.95


def test_shirts_are_looked_at_where_shoulders_and_hips_are():
    """In the box there is far more of the wall."""
    body = catalogue.get("coco17")
    image, keypoints = painted(((70, 30, 90, 70), RED)), np.full((1, 17, 2), np.nan)
    for side, x in (("left", 88), ("right", 72)):
        keypoints[0, body.index[f"{side}_shoulder"]] = x, 32
        keypoints[0, body.index[f"{side}_hip"]] = x, 68
    seen = Poses(body, keypoints, np.isfinite(keypoints[..., 0]), boxes=np.float32([[0, 0, 159, 119]]))
    shirt = appearance(painted(((0, 0, 160, 120), RED)), seen)
    assert appearance(image, seen)[0] @ shirt[0] > 0.95
    assert appearance(image, seen.replace(scores=np.zeros((1, 17))))[0] @ shirt[0] < 0.7


def test_outside_of_the_image_nothing_is_known():
    looks = appearance(painted(), boxes((500, 500, 600, 600), (-40, 0, 60, 100), (np.nan,) * 4))
    assert np.isnan(looks[[0, 2]]).all()
    np.testing.assert_allclose(np.linalg.norm(looks[1]), 1, rtol=1e-5)
    assert appearance(painted(), boxes()).shape == (0, SIZE)
