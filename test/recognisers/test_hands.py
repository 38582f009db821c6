# SPDX-License-Identifier: Apache-2.0
"""Shapes and swipes of hands of which these are known."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import hands

from pose_ros.core.poses import RIGHT, Poses
from pose_ros.recognisers.hand_shape import HandShape, HandShapeOptions
from pose_ros.recognisers.swipe import Swipe, SwipeOptions
from pose_ros.recognisers.window import Window
from pose_ros.skeletons import catalogue

HAND = catalogue.get("hand21")
#: Which fingers are bent: thumb, forefinger, middle, ring and little finger.
BENT = {"open_hand": "", "fist": "01234", "pointing_finger": "0234", "victory": "034", "four": "0", "call": "123",
        "rock": "023", "thumb_up": "1234", "thumb_down": "1234"}  # fmt: skip
#: Pixels per metre, and the camera's middle.
FOCAL, SIZE_WH = 600.0, (1280, 720)


def hand(shape, side="right"):
    """Return the points (21, 3) of a hand with some fingers bent, metres, fingers upwards and palm to the camera."""
    stretched, bent = hands.hand(np.array([0.05, 0.95]), side)
    chosen = [str((i - 1) // 4) in BENT[shape] if i else False for i in range(21)]
    points = np.where(np.array(chosen)[:, None], bent, stretched)
    if "0" in BENT[shape]:
        # A thumb folds across the palm; that of the scene does not.
        points[2:5] = points[1] + np.array([[0.1], [0.55], [0.9]]) * (points[13] - points[1]) * 0.8
    # Fingers are along -z and the palm looks along y or -y there; in a camera y is down and z away from it.
    out = points @ np.array([[1.0, 0, 0], [0, 0, 1.0 if side == "right" else -1.0], [0, 1.0, 0]])
    if shape in ("thumb_up", "thumb_down"):
        thumb = out[4] - out[2]
        angle = np.arctan2(thumb[0], -thumb[1]) + (np.pi if shape == "thumb_down" else 0)
        out = turned(out, -angle)
    return out


def turned(points, angle, axis=2):
    """Turn about the camera's axis, or about the way down."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = {2: [[c, -s, 0], [s, c, 0], [0, 0, 1]], 1: [[c, 0, s], [0, 1, 0], [-s, 0, c]]}[axis]
    return points @ np.array(matrix, float).T


def look(rule, points, *, rate_hz=30.0, space="points", sigma_m=0.002, drop=0.0, seed=0):
    """Return what is seen at the end of images of a hand (T, 21, 3), 1 m before the camera."""
    rng, window = np.random.default_rng(seed), Window(HAND, rule.window_s)
    for image, true in enumerate(points):
        own = true + [0.0, 0.0, 1.0] + sigma_m * rng.standard_normal(true.shape)
        pixels = own[:, :2] / own[:, 2:] * FOCAL + np.array(SIZE_WH) / 2
        columns = {"points": {"points": own}, "local_points": {"local_points": own - own[:1]}, "none": {}}[space]
        poses = Poses(HAND, pixels[None], np.full((1, 21), 0.9), ids=np.array([1]), sides=np.array([RIGHT]),
                      **{name: column[None] for name, column in columns.items()})
        if rng.random() >= drop or image in (0, len(points) - 1):
            window.put(poses, round(image / rate_hz * 1e9) + 10**9, SIZE_WH)
    clip = window.clip(rule.steps, rule.step_s)
    return sorted(rule.see(clip), key=lambda s: -s.score), clip


@pytest.mark.parametrize("space", ["local_points", "none"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("turn", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("shape", BENT)
def test_each_shape_is_told_and_no_other(shape, turn, side, space):
    still = np.repeat(turned(hand(shape, side), turn)[None], 20, axis=0)
    found, _ = look(HandShape(), still, space=space)
    assert found[0].name == shape
    assert found[0].score >= (0.6 if space == "none" else 0.8)
    assert not [s for s in found[1:] if s.score > 0.4]


@pytest.mark.parametrize("tilt", [-0.6, 0.6])
@pytest.mark.parametrize("shape", ["open_hand", "pointing_finger", "victory", "four"])
def test_shapes_in_metres_may_be_seen_obliquely(shape, tilt):
    found, _ = look(HandShape(), np.repeat(turned(hand(shape), tilt, axis=1)[None], 20, axis=0))
    assert found[0].name == shape


def test_a_pinch_is_nothing_else_and_has_a_gap():
    points = hand("open_hand")
    points[7:9] = points[4] + (points[6] - points[4]) * np.array([[0.5], [0.08]])
    found, _ = look(HandShape(), np.repeat(points[None], 20, axis=0))
    assert found[0].name == "pinch"
    assert not [s for s in found[1:] if s.score > 0.4]
    palm = np.linalg.norm(points[9] - points[0])
    assert found[0].values["gap"] == pytest.approx(np.linalg.norm(points[8] - points[4]) / palm, abs=0.03)
    apart, _ = look(HandShape(HandShapeOptions(pinch=0.05)), np.repeat(points[None], 20, axis=0))
    assert not [s for s in apart if s.name == "pinch" and s.score > 0.4]


def test_a_shape_begins_when_the_fingers_do_it():
    points = np.concatenate([np.repeat(hand(shape)[None], 12, axis=0) for shape in ("open_hand", "fist")])
    found, clip = look(HandShape(), points)
    assert found[0].name == "fist"
    assert (clip.stamps_ns[-1] - found[0].onset_ns) * 1e-9 == pytest.approx(11 / 30, abs=0.11)


def test_fingers_that_are_hidden_tell_nothing():
    still = np.repeat(hand("fist")[None], 20, axis=0)
    still[:, 8] = np.nan
    assert not [s for s in look(HandShape(), still)[0] if s.name in BENT]


def swiped(way, rate_hz=30.0, took=0.3, rest=0.3, back=False, again=0):
    """Return a hand that rests, goes (x to the right, y upwards; metres), rests; or comes back; or goes on waving."""
    legs = [(1.0, np.zeros(2), np.zeros(2)), (took, np.zeros(2), np.array(way, float))]
    for number in range(again):
        ends = [np.array(way, float), np.zeros(2)]
        legs.append((took, ends[number % 2], ends[1 - number % 2]))
    legs.append((rest, legs[-1][2], legs[-1][2]))
    if back:
        legs += [(took, legs[-1][2], np.zeros(2)), (rest, np.zeros(2), np.zeros(2))]
    length = sum(leg[0] for leg in legs)
    times, places = np.arange(int(length * rate_hz + 1e-9) + 1) / rate_hz, []
    # The last image is taken at the end.
    times = times + (length - times[-1])
    for time in times:
        begun = 0.0
        for leg in legs:
            seconds, a, b = leg
            if time <= begun + seconds + 1e-9:
                break
            begun += seconds
        part = np.clip((time - begun) / seconds, 0, 1)
        x, y = a + (b - a) * part * part * (3 - 2 * part)
        places.append(hand("open_hand") + np.array([x, -y, 0.0]))
    return np.array(places)


WAYS = {"swipe_left": (0.35, 0), "swipe_right": (-0.35, 0), "swipe_up": (0, 0.35), "swipe_down": (0, -0.35)}


@pytest.mark.parametrize("space", ["points", "none"])
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("rate_hz", [30.0, 15.0, 10.0])
def test_a_swipe_is_told_with_its_times(rate_hz, name, space):
    """The image's right is the left of whoever looks at the camera."""
    (found,), clip = look(Swipe(), swiped(WAYS[name], rate_hz), rate_hz=rate_hz, space=space)
    assert found.name == name
    assert found.score > 0.6
    assert found.values["distance"] == pytest.approx(0.35, rel=0.15)
    onset, end = ((ns - clip.stamps_ns[-1]) * 1e-9 for ns in (found.onset_ns, found.end_ns))
    assert onset == pytest.approx(-0.6, abs=0.12)
    assert end == pytest.approx(-0.3, abs=0.12)


def test_the_image_may_say_what_is_left():
    (found,), _ = look(Swipe(SwipeOptions(mirror=False)), swiped(WAYS["swipe_left"]))
    assert found.name == "swipe_right"


def test_lost_images_do_no_harm():
    told = [[s.name for s in look(Swipe(), swiped(WAYS["swipe_up"]), drop=0.3, seed=seed)[0]] for seed in range(10)]
    assert told == [["swipe_up"]] * 10


@pytest.mark.parametrize(
    ("way", "more"),
    [((0.35, 0), {"took": 1.2}), ((0.06, 0), {}), ((0.25, 0.25), {}), ((0.35, 0), {"again": 1}),
     ((0.35, 0), {"again": 2}), ((0.35, 0), {"again": 3}), ((0.35, 0), {"rest": 0.03})],
    ids=["slow", "short", "aslant", "to and fro", "wave", "longer wave", "not over"],
)  # fmt: skip
def test_what_is_no_swipe(way, more):
    assert not [s for s in look(Swipe(), swiped(way, **more))[0] if s.score > 0.4]


def test_the_way_back_is_none():
    found, _ = look(Swipe(), swiped((0.35, 0), back=True, rest=0.2))
    assert {s.name for s in found} <= {"swipe_left"}


def test_a_hand_that_is_lost_on_its_way_tells_nothing():
    points = swiped((0.35, 0))
    points[33:] = np.nan
    found, _ = look(Swipe(), points)
    assert found == []
