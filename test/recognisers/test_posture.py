# SPDX-License-Identifier: Apache-2.0
"""Postures and falls of people of whom these are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes.cameras import posed
from scenes.choreography import FRONT, POSTURES, Do, clip, perform

from pose_ros.recognisers.posture import Posture, PostureOptions

RULE = Posture()
CAMERAS = {"front": FRONT, "side": posed("side", (0.3, -4.5, 1.3), (0, 0, 0.9)),
           "above": posed("above", (2.0, -2.0, 3.0), (0, 0, 0.6))}


def see(play, end_s=None, rule=RULE, **how):
    """Return name -> score of what is seen at the end."""
    end_s = play.seconds if end_s is None else end_s
    given = clip([play], end_s, steps=rule.steps, step_s=rule.step_s, **how)
    return {seen.name: seen for seen in rule.see(given)}


def best(found):
    return max((seen for seen in found.values() if seen.end_ns is None), key=lambda seen: seen.score)


@pytest.mark.parametrize("space", ["points", "local_points"])
@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("pose", ["stand", "sit", "squat", "bend", "lie", "lie_prone", "lie_side", "raise", "walk"])
def test_each_posture_is_the_surest_from_everywhere(pose, camera, space):
    found = see(perform(Do("stand", 1.0), Do(pose, 1.0)), camera=CAMERAS[camera], space=space)
    assert best(found).name == POSTURES.get(pose, "standing")
    assert best(found).score > 0.9
    others = [seen.score for name, seen in found.items() if seen is not best(found) and name != "fall"]
    assert max(others, default=0) < 0.4


@pytest.mark.parametrize("pose", ["stand", "sit", "bend", "lie_side"])
def test_an_image_alone_tells_less_surely(pose):
    found = see(perform(Do("stand", 1.0), Do(pose, 1.0)), camera=CAMERAS["front"], space="none")
    assert best(found).name == POSTURES.get(pose, "standing")
    assert best(found).score <= 0.8


@pytest.mark.parametrize("what", ["fall", "fall_forward"])
@pytest.mark.parametrize("space", ["points", "local_points"])
def test_a_fall_is_told_with_its_times(what, space):
    play = perform(Do("stand", 1.5), Do(what, 0.7))
    fall = see(play, space=space)["fall"]
    truth = next(deed for deed in play.truth if deed.event)
    assert fall.score > 0.9
    onset, end = ((ns - clip([play], play.seconds).stamps_ns[-1]) * 1e-9 + play.seconds
                  for ns in (fall.onset_ns, fall.end_ns))
    assert truth.onset_s <= onset < end <= truth.end_s + 0.1
    assert fall.values["speed"] > 2


@pytest.mark.parametrize("what", ["lie", "lie_prone", "lie_side", "sit", "squat", "bend"])
def test_who_lies_down_or_sits_down_does_not_fall(what):
    found = see(perform(Do("stand", 1.0), Do(what, 0.8)))
    assert "fall" not in found or found["fall"].score < 0.5


def test_who_has_not_stayed_down_did_not_fall():
    play = perform(Do("stand", 1.0), Do("fall", 0.1))
    assert "fall" not in see(play)


def test_the_threshold_is_an_option():
    play = perform(Do("stand", 1.0), Do("lie", 0.8))
    sure = see(play, rule=Posture(PostureOptions(fall_speed=0.5)))["fall"]
    assert sure.score > 0.6


def test_of_whom_the_legs_are_hidden_little_is_said():
    given = clip([perform(Do("stand", 3.5))], 3.5, steps=RULE.steps, step_s=RULE.step_s)
    hidden = [given.skeleton.index[f"{side}_{joint}"] for side in ("left", "right") for joint in ("knee", "ankle")]
    scores = given.scores.copy()
    scores[:, :, hidden] = 0.1
    assert RULE.see(dataclasses.replace(given, scores=scores)) == []


def test_one_leg_is_enough():
    given = clip([perform(Do("sit", 3.5))], 3.5, steps=RULE.steps, step_s=RULE.step_s)
    points = given.points.copy()
    points[:, :, [given.skeleton.index[f"left_{joint}"] for joint in ("hip", "knee", "ankle")]] = np.nan
    (seen,) = RULE.see(dataclasses.replace(given, points=points))
    assert (seen.name, seen.score > 0.8) == ("sitting", True)
