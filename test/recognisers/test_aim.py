# SPDX-License-Identifier: Apache-2.0
"""Directions that are shown, and what they meet."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.recognisers.aim import FLOOR, Targets

#: An optical frame 1.5 m above the ground: y points down.
GROUND = np.array([0.0, -1.0, 0.0, -1.5])


def ray(start, towards):
    way = np.subtract(towards, start)
    return np.concatenate([start, way / np.linalg.norm(way)])


def test_the_nearest_by_angle_is_meant():
    targets = Targets({"cup": np.array([1.0, 0, 2.0]), "door": np.array([1.0, 0.1, 4.0])})
    for name in targets.places:
        place, met = targets.met_by(ray((0.2, 0, 1.0), targets.places[name]))
        assert met == name
        np.testing.assert_allclose(place, targets.places[name])


@pytest.mark.parametrize(("degrees", "met"), [(14, "cup"), (16, "")])
def test_what_is_too_far_aside_is_not_meant(degrees, met):
    angle = np.radians(degrees)
    shown = ray((0, 0, 0), (np.sin(angle), 0, np.cos(angle)))
    assert Targets({"cup": np.array([0, 0, 3.0])}, max_angle=np.radians(15)).met_by(shown)[1] == met


def test_else_the_ground_is_met_where_the_ray_ends():
    place, name = Targets({}, floor=GROUND).met_by(ray((0.0, 0.0, 2.0), (1.0, 1.5, 2.5)))
    assert name == FLOOR
    np.testing.assert_allclose(place, [1.0, 1.5, 2.5])


@pytest.mark.parametrize("towards", [(1.0, -0.2, 2.0), (1.0, 0.0, 2.0), (10.0, 0.9, 2.0)], ids=["up", "level", "far"])
def test_who_points_up_or_far_away_meets_nothing(towards):
    assert Targets({}, floor=GROUND).met_by(ray((0.0, 0.0, 2.0), towards)) == (None, "")


def test_a_hand_below_the_ground_that_was_guessed_wrongly_meets_nothing():
    assert Targets({}, floor=GROUND).met_by(ray((0.0, 1.6, 2.0), (0.5, 2.0, 2.0))) == (None, "")
