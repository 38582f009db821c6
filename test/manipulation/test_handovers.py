# SPDX-License-Identifier: Apache-2.0
"""Hands that are held out: palms against people whose palms are known, intents, and gates that say why not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
from reaching import PALM, SIDES, reach, seen, sphere, true_palm

from pose_ros.core.poses import Poses, Source
from pose_ros.manipulation.intent import Grip, Intent
from pose_ros.manipulation.watch import Watch, WatchOptions

EYE, ORIGIN = np.eye(3), np.zeros(3)
TOOL, SHOULDER = np.array([0.2, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])


def watched(play, *, tracked=True, watch=None, change=lambda body, hand: (body, hand), delay_s=0.0, options=None,
            turn=EYE, shift=ORIGIN, **how):
    """Return the last sight, true palm and axes, and all sights."""
    watch, sights = watch or Watch(WatchOptions(**(options or {}))), []
    begin = None
    for stamp, body, hand, model in seen(play, **how):  # noqa: B007
        begin = stamp if begin is None else begin
        body, hand = change(body, hand)
        sights.append(watch(body, hand if tracked else None, stamp, turn, shift, sphere(0.2), TOOL, SHOULDER, delay_s))
    return sights[-1], *true_palm(model, play, (stamp - begin) * 1e-9, how.get("side", "right")), sights


def degrees(a, b):
    return np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))


def right(sight):
    (row,) = np.flatnonzero(sight.hands.sides == SIDES["right"])
    return row


@pytest.mark.parametrize("palm", PALM)
@pytest.mark.parametrize(("skeleton", "tracked"), [("wholebody133", False), ("coco17", True), ("mediapipe33", False)])
def test_a_palm_is_where_it_is_and_turned_as_it_is(palm, skeleton, tracked):
    sight, place, axes, _ = watched(reach(palm), skeleton=skeleton, tracked=tracked)
    row = right(sight)
    assert sight.hands.turned[row]
    # BlazePose has the middle of two other knuckles.
    np.testing.assert_allclose(sight.hands.palms[row], place, atol=0.01 if skeleton == "mediapipe33" else 1e-6)
    # The knuckle of the middle finger is beside the hand's middle by 5.7 degrees.
    assert degrees(sight.hands.rotations[row], axes) < 9
    assert sight.hands.hand_ids[row] == (12 if tracked else 0)


def test_what_the_hand_is_seen_from_turns_and_moves_all_alike():
    """A camera that hangs head down anywhere: everything is said in the frame of the base."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", (100, 20, -70), degrees=True).as_matrix()
    shift = np.array([0.3, -2.0, 1.5])

    def seen_from_there(body, hand):
        return tuple(
            p.replace(points=(p.points - shift) @ turn, covariances=turn.T @ p.covariances @ turn) for p in (body, hand)
        )

    here, *_ = watched(reach(), skeleton="coco17", sigma_m=0.01)
    there, *_ = watched(reach(), skeleton="coco17", sigma_m=0.01, change=seen_from_there, turn=turn, shift=shift)
    for name in ("palms", "rotations", "covariances", "velocities", "pinches"):
        np.testing.assert_allclose(getattr(there.hands, name), getattr(here.hands, name), atol=1e-4)
    assert there.intents.tolist() == here.intents.tolist()


def test_of_a_forearm_alone_the_way_of_the_arm_is_known_and_the_palm_is_not():
    sight, place, axes, _ = watched(reach(), skeleton="coco17", tracked=False)
    row, found = right(sight), sight.hands
    assert not found.turned[row]
    assert np.linalg.norm(found.palms[row] - place) < 0.02
    assert found.rotations[row, :, 0] @ axes[:, 0] > np.cos(np.deg2rad(8))
    along = found.rotations[row, :, 0]
    assert along @ found.covariances[row, 3:, 3:] @ along == pytest.approx(np.pi**2 / 3)
    assert np.isnan(found.openings[row])
    assert np.isnan(found.pinches[row]).all()


@pytest.mark.parametrize(("sigma_m", "tracked"), [(0.005, True), (0.01, False)])
def test_covariances_hold_what_errors_there_are(sigma_m, tracked):
    """White noise of every point: errors of palms are at most what covariances say, and not much less."""
    off, turned, said = [], [], []
    for seed in range(80):
        sight, place, _, _ = watched(
            reach(), sigma_m=sigma_m, seed=seed, tracked=tracked, skeleton="wholebody133", until_s=1 / 30
        )
        true, *_ = watched(reach(), tracked=tracked, skeleton="wholebody133", until_s=1 / 30)
        row = right(sight)
        off.append(sight.hands.palms[row] - place)
        small = sight.hands.rotations[row] @ true.hands.rotations[row].T
        turned.append([small[2, 1], small[0, 2], small[1, 0]])
        said.append(sight.hands.covariances[row])
    ratio = np.cov(np.array(off).T).trace() / np.mean([c[:3, :3].trace() for c in said])
    # The mean of two points with errors of their own has half of the variance that is promised for any errors.
    assert 0.35 < ratio < 0.65
    ratio = np.cov(np.array(turned).T).trace() / np.mean([c[3:, 3:].trace() for c in said])
    assert 0.7 < ratio < 1.4


@pytest.mark.parametrize(("palm", "curl", "holds", "intent"), [
    ("up", 0.1, "unknown", Intent.TAKE), ("up", 0.9, "unknown", Intent.GIVE), ("aside", 0.1, "unknown", Intent.NONE),
    ("aside", 0.9, "unknown", Intent.GIVE), ("aside", 0.1, "yes", Intent.TAKE), ("up", 0.1, "no", Intent.GIVE),
    ("up", 0.9, "yes", Intent.NONE), ("down", 0.9, "no", Intent.GIVE),
])  # fmt: skip
def test_what_a_hand_is_held_out_for(palm, curl, holds, intent):
    sight, *_ = watched(reach(palm, curl), skeleton="coco17", sigma_m=0.005, options={"robot_holds": holds})
    assert sight.intents[right(sight)] == intent
    assert sight.grips[right(sight)] == (Grip.OPEN if curl < 0.5 else Grip.CLOSED)
    # The other one hangs.
    assert sorted(sight.intents)[0] == Intent.NONE
    assert sight.target == (0 if intent else None)
    if intent:
        axis = sight.hands.rotations[0, :, 2 if intent == Intent.TAKE else 0]
        np.testing.assert_allclose(sight.approaches[0], -axis)


@pytest.mark.parametrize(("angles", "why"), [
    ({"shoulder_flexion": -20, "elbow_flexion": 5}, "behind the hips"),
    ({"shoulder_flexion": 20, "shoulder_abduction": 80, "elbow_flexion": 0}, "aside"),
    ({"shoulder_flexion": 165, "elbow_flexion": 5}, "over the head"),
    ({"shoulder_flexion": 30, "elbow_flexion": 140}, "at the chest"),
])  # fmt: skip
def test_other_arms_are_not_held_out(angles, why):
    sight, *_ = watched(reach(**angles), skeleton="coco17", sigma_m=0.005, options={"robot_holds": "yes"})
    assert sight.intents[right(sight)] == Intent.NONE, why
    assert "not held out" in sight.reasons[right(sight)]


def test_somebody_with_the_back_to_the_robot_holds_out_nothing_to_it():
    sight, *_ = watched(reach(away_m=-0.9), skeleton="coco17", options={"robot_holds": "yes", "max_reach": 9.0})
    assert sight.target is None


def test_an_intent_settles_and_stays_through_a_flicker():
    play = reach()
    *_, sights = watched(play, skeleton="coco17", sigma_m=0.005)
    begin = next(i for i, s in enumerate(sights) if s.intents[right(s)])
    # The hand is on its way from 0.5 s to 1.3 s; what is said then has settled for a while.
    assert 0.9 < begin / 30 < 1.6
    assert all(s.intents[right(s)] for s in sights[begin:])
    count = 0

    def flicker(body, hand):
        nonlocal count
        count += 1
        # One image in which all fingertips of both hands are at the wrist.
        tips = [0 if point in (8, 12, 16, 20) else point for point in range(21)]
        return body, hand.replace(points=hand.points[:, tips]) if count == 60 else hand

    *_, sights = watched(play, skeleton="coco17", sigma_m=0.005, change=flicker)
    assert [int(s.intents[right(s)]) for s in sights[55:]] == [Intent.TAKE] * len(sights[55:])


@pytest.mark.parametrize(("options", "how", "words"), [
    ({"max_reach": 0.5}, {}, "reach 0.706 m, expected <= 0.5 m"), ({"min_reach": 0.8}, {}, ", expected >= 0.8 m"),
    ({}, {"score": 0.4}, "score 0.4, expected >= 0.5"),
    ({}, {"sigma_m": 0.08}, "sigma 0.08 m, expected <= 0.06 m"),
    ({}, {"delay_s": 0.5}, "age 0.5 s, expected <= 0.3 s"),
    ({"max_hand_speed": 0.0}, {"sigma_m": 0.005}, "m/s, expected <= 0 m/s"),
])  # fmt: skip
def test_gates_name_themselves_and_the_number(options, how, words):
    sight, *_ = watched(reach(), skeleton="coco17", options=options, **how)
    assert words in sight.reasons[right(sight)]
    assert sight.target is None


def test_a_hand_that_is_only_inferred_grows_old_until_it_is_no_target():
    """Ages follow from stamps: since the hand was measured last."""
    count = 0

    def held(body, hand):
        nonlocal count
        count += 1
        held = np.full_like(hand.sources, Source.HELD)
        return body, hand.replace(sources=held) if count > 60 else hand

    *_, sights = watched(reach(), skeleton="coco17", change=held, sigma_m=0.002)
    ages = np.array([s.ages_s[right(s)] for s in sights])
    np.testing.assert_allclose(ages[59:], np.arange(len(sights) - 59) / 30, atol=1e-6)
    assert [s.target is not None for s in sights[60:]] == [age <= 0.3 for age in ages[60:]]


def test_keypoints_of_a_hand_that_are_all_in_one_place_say_nothing_of_how_it_is_turned():
    sight, *_ = watched(reach(), skeleton="coco17", change=lambda body, hand: (
        body, hand.replace(points=hand.points[:, [0] * 21])))  # fmt: skip
    assert not sight.hands.turned[right(sight)]
    assert sight.grips[right(sight)] == Grip.UNKNOWN


def test_time_that_runs_backwards_forgets_everybody():
    watch = Watch(WatchOptions())
    watched(reach(), skeleton="coco17", watch=watch)
    sight, *_ = watched(reach(), skeleton="coco17", watch=watch, until_s=1 / 30)
    assert sight.intents.tolist() == [0, 0]


def test_a_hand_of_nobody_is_told_of_by_its_own_id():
    def alone(body, hand):
        hand = hand.select(np.array([1]))
        return Poses.empty(body.skeleton), hand.replace(parents=np.zeros(1, np.int64))

    sight, place, *_ = watched(reach(), skeleton="coco17", change=alone, options={"robot_holds": "yes"})
    assert (sight.hands.ids.tolist(), sight.hands.hand_ids.tolist()) == ([0], [12])
    np.testing.assert_allclose(sight.hands.palms[0], place, atol=1e-6)
    assert [(one.id, one.keypoint.startswith("right_")) for one in sight.separations] == [(0, True)]


def test_nobody_is_no_hand_and_no_reason_to_stop():
    sight, *_ = watched(reach(), change=lambda body, hand: (Poses.empty(body.skeleton), Poses.empty(hand.skeleton)))
    assert (len(sight.hands), len(sight.separations), sight.zone, sight.reason) == (0, 0, 0, "")
