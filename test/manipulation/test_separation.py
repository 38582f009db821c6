# SPDX-License-Identifier: Apache-2.0
"""Separations: distances against dense sampling, speeds that are known, and every term of the protective distance."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
from reaching import BEGIN_NS, BODY, reach, seen, sphere
from scenes.people import Person, at, line

from pose_ros.core.poses import Poses
from pose_ros.manipulation.people import AT, Company
from pose_ros.manipulation.separation import CAPSULES, Robot, SeparationOptions, Zone, nearest, separations
from pose_ros.manipulation.watch import Watch, WatchOptions
from pose_ros.skeletons import catalogue

EYE, ORIGIN = np.eye(3), np.zeros(3)
#: All terms but the distance itself are 0.
BARE = dict.fromkeys(("reaction_time", "stopping_time", "stopping_distance", "intrusion", "robot_uncertainty", "sigmas",
                      "least_human_speed", "least_robot_speed", "slow_margin"), 0.0)  # fmt: skip


def people(play, **how):
    """Return the people of the last image."""
    company = Company()
    for stamp, body, _, _ in seen(play, **how):
        found = company(body, None, stamp, EYE, ORIGIN)
    return found


def arm(rng, parts=5):
    joints = np.cumsum(rng.normal(0, 0.2, (parts + 1, 3)), axis=0) + np.array([0, 0, 0.8])
    ends = np.stack([joints[:-1], joints[1:]], axis=1)
    names = [(f"link{i}", f"link{i + 1}") for i in range(parts)]
    return Robot(names, ends, np.zeros_like(ends), rng.uniform(0.03, 0.15, parts))


def test_segments_are_nearest_where_dense_sampling_finds_them(rng):
    ends = rng.normal(size=(4, 300, 3))
    ends[1, :20] = ends[0, :20]  # points
    ends[3, 10:40] = ends[2, 10:40]
    ends[3, 40:80] = ends[2, 40:80] + 1.7 * (ends[1, 40:80] - ends[0, 40:80])  # parallel
    a, b, c, d = ends
    s, t = nearest(a, b, c, d)
    found = np.linalg.norm(a + s[:, None] * (b - a) - c - t[:, None] * (d - c), axis=1)
    parts = np.linspace(0, 1, 201)
    first, second = (p[:, None] + parts[:, None] * (q - p)[:, None] for p, q in ((a, b), (c, d)))
    brute = np.array([np.sqrt(((f[:, None] - g[None]) ** 2).sum(-1)).min() for f, g in zip(first, second, strict=True)])
    assert (found <= brute + 1e-9).all()
    np.testing.assert_allclose(found, brute, atol=2e-2)


def test_distances_are_those_of_the_surfaces(rng):
    who = people(reach(), until_s=0.1)
    points = who.body.points[0]
    parts = np.linspace(0, 1, 101)[:, None]
    for _ in range(20):
        robot = arm(rng)
        brute = np.inf
        for first, second, radius in CAPSULES:
            if first.endswith("wrist") and second.endswith("wrist"):
                continue  # the hand is seen
            limb = points[AT[first]] + parts * (points[AT[second]] - points[AT[first]])
            for (c, d), wide in zip(robot.ends, robot.radii, strict=True):
                part = c + parts * (d - c)
                gaps = np.sqrt(((limb[:, None] - part[None]) ** 2).sum(-1)) - radius - wide
                brute = min(brute, np.nanmin(gaps) if np.isfinite(gaps).any() else np.inf)
        (one,) = separations(who, robot, SeparationOptions(**BARE))
        assert one.distance == pytest.approx(brute, abs=5e-3)
        line = one.robot_point - one.person_point
        assert np.linalg.norm(line) > one.distance
        assert one.robot_frame in {name for ends in robot.names for name in ends}


def test_somebody_who_comes_nearer_does_so_as_fast_as_they_walk():
    """Towards a robot that moves away at 0.3 m/s."""
    person = Person(line((3.0, 0.0), (0.0, 0.0)), speed_mps=1.0, gait=0.0)
    times = np.arange(0, 1.5, 1 / 30)
    company = Company()
    for time, points in zip(times, at([person], times).points(BODY), strict=True):
        poses = Poses(BODY, points[..., :2], np.ones(points.shape[:2]), ids=np.array([1]), points=points)
        who = company(poses, None, BEGIN_NS + round(time * 1e9), EYE, ORIGIN)
    robot = sphere(0.0, z=1.2, velocity=(-0.3, 0.0, 0.0))
    (one,) = separations(who, robot, SeparationOptions(**BARE))
    assert one.closing_speed == pytest.approx(0.7, abs=0.05)
    # v_h, v_r and how sure the speed is are parts of S.
    options = SeparationOptions(**{**BARE, "reaction_time": 0.2, "stopping_time": 0.3})
    (same,) = separations(who, robot, options)
    assert same.protective_distance == pytest.approx(1.0 * 0.5, abs=0.03)
    (unsure,) = separations(who, robot, SeparationOptions(**{**BARE, "stopping_time": 1.0, "sigmas": 2.0}))
    assert unsure.protective_distance > 1.1
    # Nobody knows how fast somebody is who was seen once.
    fresh = Company()(poses, None, BEGIN_NS, EYE, ORIGIN)
    (new,) = separations(fresh, robot, SeparationOptions(**{**BARE, "stopping_time": 1.0, "sigmas": 2.0}))
    assert new.protective_distance == pytest.approx(2.0 + 2 * new.distance_sigma)


def test_every_term_of_the_protective_distance_counts():
    who = people(reach(), sigma_m=0.02, until_s=0.1)
    robot = sphere(velocity=(0.5, 0.0, 0.0))
    terms = {"reaction_time": 0.2, "stopping_time": 0.3, "stopping_distance": 0.11, "intrusion": 0.07,
             "robot_uncertainty": 0.03, "sigmas": 0.0, "least_human_speed": 1.6, "least_robot_speed": 0.25}
    (one,) = separations(who, robot, SeparationOptions(**terms), delay_s=0.1)
    speed = float(robot.velocities[0, 0] @ (one.person_point - one.robot_point))
    speed /= float(np.linalg.norm(one.person_point - one.robot_point))
    assert one.protective_distance == pytest.approx(1.6 * 0.6 + speed * 0.3 + 0.11 + 0.07 + 0.03, abs=1e-6)
    (wary,) = separations(who, robot, SeparationOptions(**{**BARE, "sigmas": 2.0}))
    (bare,) = separations(who, robot, SeparationOptions(**BARE))
    # No time passes, so only the distance's own sigma counts.
    assert wary.protective_distance - bare.protective_distance == pytest.approx(2 * wary.distance_sigma, rel=0.05)


def test_distance_sigma_holds_what_errors_there_are():
    """White noise of every point: the distance to where a limb is nearest is as wrong as that says, or less so."""
    robot, options = sphere(0.2, z=1.1), SeparationOptions(**BARE)
    (true,) = separations(people(reach(), until_s=0.02), robot, options)
    off, said = [], []
    for seed in range(200):
        (one,) = separations(people(reach(), sigma_m=0.01, seed=seed, until_s=0.02), robot, options)
        assert one.keypoint
        off.append(one.distance - true.distance)
        said.append(one.distance_sigma)
    assert 0.5 < np.std(off) / np.mean(said) < 1.05
    # The nearest of many is nearer than it is.
    assert np.mean(off) < 0


@pytest.mark.parametrize(("away_m", "zone"), [(3.5, Zone.FREE), (1.8, Zone.SLOW), (1.2, Zone.STOP)])
def test_zones_lie_around_the_robot(away_m, zone):
    watch = Watch(WatchOptions())
    for stamp, body, hand, _ in seen(reach(away_m=away_m), until_s=0.3):
        sight = watch(body, hand, stamp, EYE, ORIGIN, sphere(0.1), ORIGIN, ORIGIN)
    assert (sight.zone, sight.reason) == (zone, "")


def test_a_hand_that_is_not_seen_may_point_anywhere():
    """Around a wrist without a hand there is room for one."""
    play, robot = reach(), sphere(0.2, z=1.1, radius=0.0)

    def distance(skeleton):
        (one,) = separations(people(play, skeleton=skeleton), robot, SeparationOptions(**BARE))
        return one.distance, one.keypoint

    with_hand, without = distance("wholebody133"), distance("coco17")
    assert without[1] == "right_wrist"
    assert with_hand[1].startswith("right_middle_finger")
    assert without[0] == pytest.approx(with_hand[0], abs=0.05)


def test_the_hand_of_the_target_may_be_left_out():
    for free in (False, True):
        watch = Watch(WatchOptions(free_target=free, settle=0.0))
        for stamp, body, hand, _ in seen(reach()):
            sight = watch(body, hand, stamp, EYE, ORIGIN, sphere(0.2), np.array([0.2, 0, 1.0]), np.array([0, 0, 1.0]))
        assert sight.target == 0
        keypoint = sight.separations[0].keypoint
        assert ("wrist" in keypoint or "palm" in keypoint or "finger" in keypoint) != free, keypoint


def test_what_is_not_known_stops():
    watch, nobody = Watch(WatchOptions()), Robot([], np.empty((0, 2, 3)), np.empty((0, 2, 3)), np.empty(0))
    stamp, body, _, _ = next(seen(reach()))
    sight = watch(body, None, stamp, EYE, ORIGIN, nobody, ORIGIN, ORIGIN)
    assert (sight.zone, sight.reason) == (Zone.STOP, "no robot_frames are given")
    sight = watch(body.replace(points=None), None, stamp, EYE, ORIGIN, sphere(), ORIGIN, ORIGIN)
    assert (sight.zone, sight.reason) == (Zone.STOP, "no place in metres is known of person 1")
    # An arm alone is enough to know a place.
    arm_alone = body.points.copy()
    arm_alone[:, [i for i, name in enumerate(BODY.keypoints) if name not in ("left_elbow", "left_wrist")]] = np.nan
    sight = watch(body.replace(points=arm_alone), None, stamp, EYE, ORIGIN, sphere(), ORIGIN, ORIGIN)
    assert (len(sight.separations), sight.reason) == (1, "")


def test_people_of_a_recording_are_as_near_as_their_keypoints(testdata):
    """People who sit and stand around a point in a dome of cameras, some of whose keypoints have low scores."""
    kind = catalogue.get("coco19")
    folder = testdata / "multiview" / "panoptic_160906_band1" / "hdPose3d_stage1_coco19"
    # Without doubts about speeds the most critical pair is the nearest one.
    watch, robot = Watch(WatchOptions(sigmas=0.0)), sphere(radius=0.1)
    # Centimetres, y down.
    turn, places = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]), []
    for path in sorted(folder.glob("*.json")):
        bodies = json.loads(path.read_text())["bodies"]
        joints = np.array([body["joints19"] for body in bodies]).reshape(len(bodies), 19, 4)
        seen = joints[..., 3] > 0.1
        points = np.where(seen[..., None], joints[..., :3] / 100, np.nan)
        poses = Poses(kind, points[..., :2], seen * joints[..., 3].clip(0, 1), points=points,
                      ids=np.array([body["id"] + 1 for body in bodies]))
        stamp = BEGIN_NS + round(int(path.stem[-8:]) / 29.97 * 1e9)
        sight = watch(poses, None, stamp, turn, ORIGIN, robot, robot.ends[0, 0], ORIGIN)
        gaps = np.linalg.norm(points @ turn.T - robot.ends[0, 0], axis=2) - 0.1
        assert len(sight.separations) == len(bodies) == 3
        for one in sight.separations:
            # Limbs are at least as thick as a forearm.
            assert one.distance <= np.nanmin(gaps[one.person]) - 0.07 + 1e-6
            assert one.distance > np.nanmin(gaps[one.person]) - 0.4
            assert abs(one.closing_speed) < 3.0
        places.append([one.id for one in sight.separations])
    assert len(places) == 20
