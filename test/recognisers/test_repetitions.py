# SPDX-License-Identifier: Apache-2.0
"""Repetitions: exercises are counted, what looks like them is not, and form is measured."""

from __future__ import annotations

import numpy as np
import pytest
from scenes.choreography import FRONT, REPEATED, Do, perform, seen
from scenes.observing import EPOCH_NS

from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.errors import ConfigError
from pose_ros.recognisers.exercise import Exercise, parse_all
from pose_ros.recognisers.repetitions import Repetitions, RepetitionsOptions
from pose_ros.recognition import Recognition

FIRST = {"push_ups": "plank", "sit_ups": "lie_bent"}


def broken(error):
    raise error


def told(plays, rule=None, **how):
    """Return the events of all that was told of people, rule by rule."""
    recognition = Recognition({"repetitions": rule or Repetitions()}, fail=broken)
    place = FRONT.rotation.T, FRONT.centre
    return [action for stamp, poses in seen(plays, skeleton="halpe26", **{"rate_hz": 15.0, **how})
            for action in recognition(poses, stamp, (1280, 720), place=place).actions]


def test_each_exercise_is_counted_and_none_is_taken_for_another_one():
    plays = [perform(Do(FIRST.get(what, "stand"), 1), Do(what, 1.2, times=2)) for what in REPEATED]
    actions = told(plays, sigma_m=0.02)
    for i, play in enumerate(plays):
        deeds = [deed for deed in play.truth if deed.event]
        own = [action for action in actions if action.id == i + 1]
        assert [(a.name, a.side, a.count) for a in own] == [(d.name, d.side, n + 1) for n, d in enumerate(deeds)]
        for action, deed in zip(own, deeds, strict=True):
            assert (action.onset_ns - EPOCH_NS) * 1e-9 == pytest.approx(deed.onset_s, abs=0.3)
            assert (action.end_ns - EPOCH_NS) * 1e-9 == pytest.approx(deed.end_s, abs=0.45)
            assert action.values["depth_reached"] == 1


def test_sitting_bending_walking_pointing_waving_and_falling_are_no_exercises():
    plays = [perform(Do("stand", 1), Do("sit", 1), Do("stand", 1), Do("bend", 0.5), Do("stand", 1)),
             perform(Do("walk", 2), Do("point", 0.5), Do("stand", 0.5), Do("wave", 1), Do("fall", 1))]
    assert told(plays) == []


def test_form_of_squats():
    shallow = {"*_hip_flexion": 75, "*_knee_flexion": 82, "*_ankle_dorsiflexion": 20, "trunk_flexion": 5}
    plays = [perform(Do("stand", 1), Do("squats", 1, times=1, angles=angles)) for angles in ({}, shallow)]
    found = {action.id: action.values for action in told(plays, sigma_m=0.0)}
    assert [found[i]["depth_reached"] for i in (1, 2)] == [1, 0]
    assert np.degrees(found[1]["depth"]) == pytest.approx(120, abs=4)
    assert np.degrees(found[2]["range"]) == pytest.approx(82, abs=4)
    assert np.degrees(found[1]["trunk_lean"]) == pytest.approx(37, abs=5)
    assert found[1]["asymmetry"] < 0.02
    assert found[1]["out_time"] == pytest.approx(found[1]["back_time"], abs=0.2)
    assert 60 / found[1]["tempo"] == pytest.approx(1.8, abs=0.4)


def test_knees_that_fall_inward():
    """Thighs that turn outwards bring the feet apart, and leave the knees where they are."""
    plays = [perform(Do("stand", 1), Do("squats", 1, times=1, angles={"*_hip_rotation": turn})) for turn in (0, 12)]
    found = {action.id: action.values for action in told(plays, sigma_m=0.0)}
    assert found[1]["knee_ratio"] == pytest.approx(1.0, abs=0.1)
    assert found[2]["knee_ratio"] < 0.7
    assert [found[i]["knees_inward"] for i in (1, 2)] == [0, 1]


def test_arms_are_counted_for_themselves():
    play = perform(Do("stand", 1), Do("arm_raises", 0.8, times=2, side="left"), Do("arm_raises", 1, times=1))
    assert [(a.side, a.count) for a in told([play])] == [(LEFT, 1), (LEFT, 2), (RIGHT, 1)]


def test_an_exercise_of_ones_own():
    rule = Repetitions(RepetitionsOptions(exercises=("bicep_curl each elbow_flexion 40 80 110 shoulder_elevation<40",)))
    assert rule.actions == ("bicep_curl",)
    bent = {"right_elbow_flexion": 120}
    keys = [Do("stand", 0.3, angles=bent if i % 2 else {}, ramp_s=0.8) for i in range(5)]
    actions = told([perform(Do("stand", 1), *keys, Do("stand", 1))], rule)
    assert [(a.name, a.side, a.count) for a in actions] == [("bicep_curl", RIGHT, 1), ("bicep_curl", RIGHT, 2)]


@pytest.mark.parametrize(("text", "words"), [
    ("squad", "expected one of squat, push_up"),
    ("hop both knee_bend 1 2 3", "'knee_bend'"),
    ("hop both knee_flexion 50 40 60", "REST < COUNTS <= FULL"),
    ("hop both knee_flexion a 40 60", "could not convert"),
    ("Hop both knee_flexion 10 40 60", "lower case"),
    ("hop both knee_flexion 10 40 60 trunk_lean=3", "trunk_lean<60"),
])  # fmt: skip
def test_what_is_no_exercise_is_said(text, words):
    with pytest.raises(ConfigError, match=words):
        Exercise.parse(text)


def test_each_exercise_once():
    with pytest.raises(ConfigError, match="each name once; got squat, squat"):
        parse_all(["squat", "squat"])
    with pytest.raises(ConfigError, match="got none"):
        Repetitions(RepetitionsOptions(exercises=()))
