# SPDX-License-Identifier: Apache-2.0
"""Gait: steps of people who walk are told when they are, and what is no step is not."""

from __future__ import annotations

import numpy as np
import pytest
from scenes.cameras import posed
from scenes.choreography import Do, perform, seen
from scenes.observing import EPOCH_NS
from scenes.people import _STRIDE

from pose_ros.recognisers.episodes import Phase
from pose_ros.recognisers.gait import Gait
from pose_ros.recognition import Recognition

SIDE = posed("side", (0.0, -4.5, 1.3), (0, 0, 0.9))
FRONT = posed("front", (5.0, 0.0, 1.3), (0, 0, 0.9))
HEIGHT, SPEED = 1.75, 1.2


def broken(error):
    raise error


def told(plays, camera=SIDE, skeleton="halpe26", **how):
    recognition = Recognition({"gait": Gait()}, fail=broken)
    place = camera.rotation.T, camera.centre
    return [action for stamp, poses in seen(plays, camera, skeleton, **how)
            for action in recognition(poses, stamp, (1280, 720), place=place).actions]


def walk(**how):
    return perform(Do("stand", 0.5), Do("walk", 5, speed_mps=SPEED, **how), height_m=HEIGHT, place=(-3.0, 0.0))


def contacts(play):
    """Return when feet touch the ground of somebody who goes steadily, (side, seconds)."""
    begin = next(deed for deed in play.truth if deed.name == "walking").onset_s
    each = _STRIDE * HEIGHT / SPEED
    times = [(1 + i % 2, begin + i * each / 2) for i in range(20)]
    return [(side, time) for side, time in times if begin + 0.4 < time < play.seconds - 0.4]


def found(actions, name):
    return [(a.side, (a.onset_ns - EPOCH_NS) * 1e-9) for a in actions if a.name == name]


@pytest.mark.parametrize("space", ["points", "local_points", "none"])
def test_contacts_cadence_and_lengths(space):
    play = walk()
    actions = told([play], space=space)
    truth = contacts(play)
    own = sorted(found(actions, "foot_contact"), key=lambda event: event[1])
    for side, time in truth:
        near = [t for s, t in own if s == side and abs(t - time) < 0.08]
        assert len(near) == 1, (side, time, own)
    assert all(a.onset_ns == a.end_ns for a in actions if a.name == "foot_contact")
    offs = found(actions, "foot_off")
    for side, time in truth[1:-1]:
        # The other foot leaves the ground soon after this one has touched it.
        assert sum(s != side and 0 < t - time < 0.3 for s, t in offs) == 1
    (began,) = [a for a in actions if a.name == "walking" and a.phase == Phase.BEGAN]
    values = [a.values for a in actions if a.name == "walking" and a.phase == Phase.ONGOING][-12]
    assert (began.onset_ns - EPOCH_NS) * 1e-9 == pytest.approx(1.3, abs=0.5)
    stride = _STRIDE * HEIGHT / SPEED
    assert values["cadence"] == pytest.approx(120 / stride, rel=0.03)
    assert values["stride_time"] == pytest.approx(stride, rel=0.03)
    assert 0.1 < values["double_support"] < 0.45
    if space == "none":
        assert not {"step_length", "step_width", "speed"} & values.keys()
        assert all(a.score <= 0.8 for a in actions)
    else:
        assert values["speed"] == pytest.approx(SPEED, rel=0.05)
        assert values["step_length"] == pytest.approx(stride * SPEED / 2, rel=0.1)
        assert values["step_width"] == pytest.approx(0.1 * HEIGHT, abs=0.05)


def test_ankles_are_enough():
    play = walk()
    own = found(told([play], skeleton="coco17"), "foot_contact")
    for side, time in contacts(play):
        assert sum(s == side and abs(t - time) < 0.12 for s, t in own) == 1


def test_the_front_of_people_in_the_image_tells_nothing():
    assert told([walk()], FRONT, space="none") == []


def test_who_walks_in_place_of_the_camera_has_no_speed_of_its_own():
    """On a treadmill nobody moves, and steps are as long."""
    play = walk()
    still = perform(Do("stand", 0.5), Do("walk", 5, speed_mps=SPEED), height_m=HEIGHT)
    a, b = (told([p], space="local_points", sigma_m=0.0, sigma_px=0.0) for p in (play, still))
    lengths = [np.median([x.values["step_length"] for x in actions if x.name == "foot_contact"]) for actions in (a, b)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.02)


def test_what_is_no_walk():
    plays = [perform(Do("stand", 1), Do("squats", 1, times=2), Do("sit", 1)),
             perform(Do("stand", 1), Do("lunges", 1, times=2), Do("bend", 1))]
    assert [a.name for a in told(plays)] == []
