# SPDX-License-Identifier: Apache-2.0
"""Raised hands, waves and pointing of people of whom these are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scenes.cameras import posed
from scenes.choreography import FRONT, Do, clip, perform, seen
from scenes.people import at

from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.recognisers.aim import Targets
from pose_ros.recognisers.pointing import Pointing, PointingOptions
from pose_ros.recognisers.raised import Raised, RaisedOptions
from pose_ros.recognisers.waving import Waving, WavingOptions
from pose_ros.recognisers.window import Window
from pose_ros.recognition import Recognition

SIDES = {"left": LEFT, "right": RIGHT}
CAMERAS = {"front": FRONT, "side": posed("side", (0.3, -4.5, 1.3), (0, 0, 0.9)),
           "above": posed("above", (2.0, -2.0, 3.0), (0, 0, 0.6))}


def see(rule, play, end_s=None, **how):
    """Return what is seen at the end."""
    end_s = play.seconds if end_s is None else end_s
    return rule.see(clip([play], end_s, takes=rule.takes, steps=rule.steps, step_s=rule.step_s, **how))


def only(found, name, side):
    """Return the only thing that is seen surely."""
    (sure,) = [s for s in found if s.score >= 0.6]
    assert (sure.name, sure.side) == (name, SIDES[side])
    return sure


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("space", ["points", "local_points"])
@pytest.mark.parametrize("pose", ["raise", "raise_front", "wave"])
@pytest.mark.parametrize("side", SIDES)
def test_a_hand_that_is_up_is_told_with_its_side(side, pose, space, camera):
    play = perform(Do("stand", 1.0), Do(pose, 1.5, side=side, swing=0.0))
    hand = only(see(Raised(), play, camera=CAMERAS[camera], space=space, sigma_m=0.02), "hand_raised", side)
    assert hand.score > 0.8


@pytest.mark.parametrize("do", [Do("stand"), Do("walk"), Do("sit"), Do("lie"), Do("lie_prone"), Do("bend"), Do("point"),
                                Do("stand", angles={"right_shoulder_flexion": 25, "right_elbow_flexion": 150})],
                         ids=lambda do: do.what)  # fmt: skip
@pytest.mark.parametrize("space", ["points", "none"])
def test_no_hand_is_up(do, space):
    """That at the ear, whose elbow hangs, is not either."""
    assert not [s for s in see(Raised(), perform(Do("stand", 1.0), do), space=space) if s.score > 0.4]


def test_the_height_is_an_option():
    play = perform(Do("stand", 1.0), Do("wave", 1.5, swing=0.0))
    assert see(Raised(RaisedOptions(height=0.7)), play) == []
    (hand,) = see(Raised(), perform(Do("stand", 1.0), Do("raise", 1.5)))
    assert hand.values["height"] == pytest.approx(np.cos(np.radians(12)), abs=0.1)


@pytest.mark.parametrize("rate_hz", [1.0, 1.6, 2.4])
@pytest.mark.parametrize("swing", [27.0, 33.0, 40.0])
@pytest.mark.parametrize(("space", "camera"), [("points", "front"), ("points", "side"), ("points", "above"),
                                               ("local_points", "side"), ("none", "front")])  # fmt: skip
def test_a_wave_is_told_with_its_rate_and_width(rate_hz, swing, space, camera):
    play = perform(Do("stand", 1.0), Do("wave", 3.0, side="left", rate_hz=rate_hz, swing=swing))
    wave = only(see(Waving(), play, camera=CAMERAS[camera], space=space), "waving", "left")
    assert wave.values["rate"] == pytest.approx(rate_hz, rel=0.06)
    assert np.degrees(wave.values["amplitude"]) == pytest.approx(swing, rel=0.25 if space != "none" else 0.3)


def test_a_wave_begins_with_its_first_swing():
    play = perform(Do("stand", 2.0), Do("wave", 1.6))
    wave = only(see(Waving(), play), "waving", "right")
    begun = play.seconds - (clip([play], play.seconds).stamps_ns[-1] - wave.onset_ns) * 1e-9
    assert begun == pytest.approx(2.8, abs=0.35)


@pytest.mark.parametrize("rate_hz", [15.0, 10.0, 6.0])
def test_few_images_are_enough_of_slower_waves(rate_hz):
    play = perform(Do("stand", 1.0), Do("wave", 3.5, rate_hz=1.2))
    wave = only(see(Waving(), play, rate_hz=rate_hz), "waving", "right")
    assert wave.values["rate"] == pytest.approx(1.2, rel=0.1)


def test_lost_images_and_hidden_arms_for_a_moment_do_not_end_a_wave(rng):
    play, rule = perform(Do("stand", 1.0), Do("wave", 3.0)), Waving()
    window = Window(rule.takes, rule.window_s)
    for image, (stamp, poses) in enumerate(seen([play])):
        hidden = rng.random(poses.scores.shape) < 0.2
        poses = poses.replace(scores=np.where(hidden, 0, poses.scores),
                              points=np.where(hidden[..., None], np.nan, poses.points),
                              keypoints=np.where(hidden[..., None], np.nan, poses.keypoints))
        if rng.random() > 0.3 or image == 0:
            window.put(poses, stamp, (1280, 720), (FRONT.rotation.T, FRONT.centre))
    wave = only(rule.see(window.clip(rule.steps, rule.step_s)), "waving", "right")
    assert wave.values["rate"] == pytest.approx(1.6, rel=0.1)


def test_who_has_stopped_waving_does_not_wave():
    play = perform(Do("stand", 1.0), Do("wave", 2.0), Do("wave", 1.0, swing=0.0, ramp_s=0.1))
    assert see(Waving(), play) == []


@pytest.mark.parametrize("do", [Do("stand", 3.0), Do("walk", 3.0), Do("raise", 3.0), Do("squats", times=2), Do("fall"),
                                Do("lie_side", 3.0), Do("wave", 3.0, swing=5.0), Do("wave", 3.0, rate_hz=0.4),
                                Do("wave", 3.0, angles={"right_shoulder_rotation": 90})], ids=repr)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_no_wave(do, seed):
    """Not what is too narrow or too slow, nor what a hand does that hangs."""
    found = see(Waving(), perform(Do("stand", 1.0), do), sigma_m=0.02, seed=seed)
    assert not [s for s in found if s.score > 0.4]


def test_limits_of_waves_are_options():
    narrow = perform(Do("stand", 1.0), Do("wave", 3.0, swing=10.0))
    assert not [s for s in see(Waving(), narrow) if s.score > 0.6]
    assert only(see(Waving(WavingOptions(swing=0.1)), narrow), "waving", "right")
    slow = perform(Do("stand", 1.0), Do("wave", 4.0, rate_hz=0.6))
    assert not see(Waving(), slow)
    assert only(see(Waving(WavingOptions(min_rate=0.5, swings=2, swing=0.2)), slow), "waving", "right")


def test_an_image_from_the_side_shows_no_swing():
    play = perform(Do("stand", 1.0), Do("wave", 3.0))
    assert not [s for s in see(Waving(), play, space="none", camera=CAMERAS["side"]) if s.score > 0.4]


def aim(play, ray, tip, end_s):
    """Return the angle in degrees between a ray and the way from its start to what is meant, 3 m from the eyes."""
    truth = at([play.person], np.array([end_s]))
    points = {name: truth.points(Pointing.takes)[0, 0, Pointing.takes.index[name]]
              for name in ("left_eye", "right_eye", tip)}
    eyes = (points["left_eye"] + points["right_eye"]) / 2
    target = eyes + 3.0 * (points[tip] - eyes) / np.linalg.norm(points[tip] - eyes)
    start, way = (FRONT.rotation.T @ (ray[:3] - FRONT.translation)), FRONT.rotation.T @ ray[3:]
    wanted = (target - start) / np.linalg.norm(target - start)
    return np.degrees(np.arccos(np.clip(wanted @ way, -1, 1)))


@pytest.mark.parametrize(("skeleton", "most_deg"), [("wholebody133", 1.5), ("coco17", 5.0)])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("lift", [45.0, 70.0, 88.0, 110.0])
def test_a_ray_goes_through_the_tip_to_what_is_meant(side, lift, skeleton, most_deg):
    play = perform(Do("stand", 1.0), Do("point", 1.5, side=side, angles={f"{side}_shoulder_flexion": lift}))
    found = only(see(Pointing(), play, skeleton=skeleton), "pointing", side)
    assert found.values["finger"] == (skeleton == "wholebody133")
    assert aim(play, found.ray, f"{side}_hand/forefinger4", play.seconds) < most_deg


def test_other_starts_are_worse():
    play = perform(Do("stand", 1.0), Do("point", 1.5))
    errors = {}
    for start in ("eyes", "shoulder", "elbow"):
        found = only(see(Pointing(PointingOptions(start=start)), play, skeleton="wholebody133"), "pointing", "right")
        errors[start] = aim(play, found.ray, "right_hand/forefinger4", play.seconds)
    assert errors["eyes"] < 1.5 < 8 < min(errors["shoulder"], errors["elbow"])


@pytest.mark.parametrize("camera", ["front", "above"])
def test_directions_are_those_of_the_body(camera):
    angles = {"right_shoulder_flexion": 90.0, "right_shoulder_abduction": 0.0, "right_elbow_flexion": 0.0}
    play = perform(Do("stand", 1.0), Do("point", 1.5, angles=angles), yaw=0.4)
    rule = Pointing(PointingOptions(start="shoulder"))
    found = only(see(rule, play, space="local_points", camera=CAMERAS[camera]), "pointing", "right")
    assert found.ray is None
    assert found.values["elevation"] == pytest.approx(0.0, abs=0.05)
    assert found.values["azimuth"] == pytest.approx(0.0, abs=0.08)
    aside = perform(Do("stand", 1.0), Do("point", 1.5, angles={**angles, "right_shoulder_abduction": 60.0}))
    assert only(see(rule, aside), "pointing", "right").values["azimuth"] < -0.8


@pytest.mark.parametrize("do", [Do("stand"), Do("walk", 3.0), Do("sit"), Do("lie"), Do("lie_prone"), Do("lie_side"),
                                Do("bend"), Do("squat"), Do("raise"), Do("wave"), Do("fall"),
                                Do("point", angles={"right_elbow_flexion": 70}),
                                Do("point", angles={"left_shoulder_flexion": 88})], ids=repr)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_no_pointing(do, seed):
    found = see(Pointing(), perform(Do("stand", 1.0), do), sigma_m=0.02, seed=seed)
    assert not [s for s in found if s.score > 0.4]


def test_both_arms_point_where_they_may():
    play = perform(Do("stand", 1.0), Do("point", 1.5, angles={"left_shoulder_flexion": 88}))
    assert {s.side for s in see(Pointing(PointingOptions(both=True)), play) if s.score > 0.6} == {LEFT, RIGHT}


def test_who_is_still_moving_does_not_point_yet():
    play = perform(Do("stand", 1.0), Do("point", 2.0))
    assert not [s for s in see(Pointing(), play, end_s=1.7) if s.score > 0.4]
    onset = only(see(Pointing(), play, end_s=2.6), "pointing", "right").onset_ns
    begun = 2.6 - (clip([play], 2.6).stamps_ns[-1] - onset) * 1e-9
    assert begun == pytest.approx(1.5, abs=0.2)


def test_without_a_head_there_is_no_ray():
    given = clip([perform(Do("stand", 1.0), Do("point", 1.5))], 3.3, takes=Pointing.takes, steps=16)
    head = [given.skeleton.index[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    scores = given.scores.copy()
    scores[:, :, head] = 0.1
    (seen,) = Pointing().see(dataclasses.replace(given, scores=scores))
    assert seen.score > 0.6
    assert seen.ray is None
    ears = scores.copy()
    ears[:, :, head[3:]] = 0.9
    (seen,) = Pointing().see(dataclasses.replace(given, scores=ears))
    assert seen.ray is not None


@pytest.mark.parametrize("lift", [55.0, 75.0])
def test_what_is_meant_is_found_among_others_and_on_the_ground(lift):
    """The whole way: window, ray, episode, target."""
    play = perform(Do("stand", 1.0), Do("point", 1.5, angles={"right_shoulder_flexion": lift}))
    truth = at([play.person], np.array([play.seconds])).points(Pointing.takes)[0, 0]
    names = "left_eye", "right_eye", "right_hand/forefinger4"
    left, right, tip = (truth[Pointing.takes.index[name]] for name in names)
    eyes = (left + right) / 2
    ground = eyes + (tip - eyes) * eyes[2] / (eyes[2] - tip[2])
    rotation, translation = FRONT.rotation.T, FRONT.centre
    floor = np.append(rotation[2], -translation[2])

    def told(places):
        """Return the action that goes on at last; places are in the world."""
        recognition, last = Recognition({"pointing": Pointing()}), None
        own = {name: FRONT.rotation @ place + FRONT.translation for name, place in places.items()}
        for stamp, poses in seen([play], skeleton="wholebody133"):
            last = recognition(poses, stamp, (1280, 720), place=(rotation, translation),
                               targets=Targets(own, 0.15, floor)).actions
        (action,) = last
        return action

    met = told({})
    assert met.target_name == "floor"
    distance = np.linalg.norm(ground - eyes)
    # A wrong angle counts for more the flatter a ray meets the ground.
    allowed = np.radians(1.5) * distance**2 / eyes[2]
    assert np.linalg.norm(rotation @ met.target + translation - ground) < allowed
    beside = eyes + (ground - eyes) * 0.8 + [0.0, 0.8, 0.0]
    places = {"cup": eyes + (ground - eyes) * 0.7, "box": beside}
    assert told(places).target_name == "cup"
    assert told({"box": eyes + np.array([0.0, 3.0, 0.0])}).target_name == "floor"
