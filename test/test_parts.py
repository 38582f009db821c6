# SPDX-License-Identifier: Apache-2.0
"""Hands of bodies: where they are looked for and how often, when they end, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import Detections
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.parts import Part, PartOptions, _Places

ARMS = Skeleton("arms", ("left_elbow", "left_wrist", "right_elbow", "right_wrist"))
HAND = Skeleton("hand", ("wrist", "tip"))
IMAGE = np.zeros((400, 600, 3), np.uint8)
#: Length of lower arms and of hands, pixels.
ARM, SIZE = 100, 40
STEP = 33_000_000


@dataclass
class Truth:
    """What is to be seen: where the wrists of hands are, fingers up, and the side that the network takes them for."""

    hands: dict[tuple[int, int], int] = field(default_factory=dict)
    presence: float = 0.95
    #: How often each piece was asked for how many places.
    asked: dict[str, list[int]] = field(default_factory=dict)
    #: Where the network looked last.
    looked: np.ndarray = field(default_factory=lambda: np.empty((0, 5)))

    def near(self, region: np.ndarray, reach: float) -> tuple[int, int] | None:
        """Return the wrist of the hand in the middle of a region."""
        middle = region[:2] + np.array([0, SIZE / 2])
        found = sorted((float(np.hypot(*(middle - wrist))), wrist) for wrist in self.hands)
        return found[0][1] if found and found[0][0] <= reach else None


def _region(wrist: tuple[int, int]) -> list[float]:
    return [wrist[0], wrist[1] - SIZE / 2, 2 * SIZE, 2 * SIZE, 0]


class Landmarks(CropEstimator):
    """Sees a hand that is within half of its size of the region's middle."""

    steady = False

    def __init__(self, truth: Truth, follows: bool = True) -> None:
        self.truth, self.follows, self.skeleton = truth, follows, HAND
        self.card: Any = SimpleNamespace(name="fake-hand")
        self.session: Any = SimpleNamespace(runtime="fake", device="cpu")

    def estimate(self, image: np.ndarray, regions: np.ndarray, sides: np.ndarray | None = None) -> Poses:
        self.truth.asked.setdefault("estimate", []).append(len(regions))
        self.truth.looked = regions
        seen = [self.truth.near(region, SIZE / 2) for region in regions]
        points = np.full((len(regions), 2, 2), np.nan)
        for row, wrist in enumerate(seen):
            if wrist:
                points[row] = [wrist, (wrist[0], wrist[1] - SIZE)]
        following = np.array([_region(wrist) if wrist else [np.nan] * 5 for wrist in seen]).reshape(-1, 5)
        own = np.array([self.truth.hands[wrist] if wrist else 0 for wrist in seen], np.uint8)
        return Poses(
            HAND, points, np.isfinite(points[..., 0]).astype(float), sides=own, side_scores=np.full(len(seen), 0.9),
            subject_scores=[self.truth.presence if wrist else 0.0 for wrist in seen],
            regions=following if self.follows else None,
        )  # fmt: skip


class Palms(Detector):
    """Finds a hand anywhere in a coarse region, or in the image."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def detect(self, image: np.ndarray) -> Detections:
        self.truth.asked.setdefault("detect", []).append(1)
        regions = np.array([_region(wrist) for wrist in self.truth.hands], np.float32).reshape(-1, 5)
        boxes = np.concatenate([regions[:, :2] - SIZE, regions[:, :2] + SIZE], axis=1)
        return Detections(boxes, np.ones(len(boxes)), regions=regions)

    def locate(self, image: np.ndarray, regions: np.ndarray) -> np.ndarray:
        self.truth.asked.setdefault("locate", []).append(len(regions))
        seen = [self.truth.near(region, region[2] / 2) for region in regions]
        return np.array([_region(w) if w else [np.nan] * 5 for w in seen], np.float32).reshape(-1, 5)


class Scene:
    """A part that looks at hands, and time that passes."""

    def __init__(self, truth: Truth, *, locator: bool = True, detector: bool = False, follows: bool = True,
                 **options: Any) -> None:
        self.truth, self.now = truth, 0
        palms = Palms(truth)
        self.part = Part("hands", Landmarks(truth, follows), PartOptions(**options),
                         locator=palms if locator else None, detector=palms if detector else None)

    def __call__(self, *bodies: dict[int, tuple[int, int]], ids: list[int] | None = None) -> Poses:
        """Show the next frame to bodies with wrists by side; elbows are below them."""
        self.now += STEP
        points = np.full((len(bodies), 4, 2), np.nan)
        for row, wrists in enumerate(bodies):
            for side, wrist in wrists.items():
                points[row, 2 * side - 1], points[row, 2 * side - 2] = wrist, (wrist[0], wrist[1] + ARM)
        whole = Poses(ARMS, points, np.isfinite(points[..., 0]).astype(float),
                      ids=np.arange(len(bodies)) + 1 if ids is None else ids)
        return self.part(Frame(IMAGE, self.now), Stages(), whole)

    def asked(self, what: str) -> int:
        """Return for how many places a piece was asked since the last time."""
        return sum(self.truth.asked.pop(what, []))


def pairs(poses: Poses) -> list[tuple[int, int]]:
    return list(zip(poses.parents.tolist(), poses.sides.tolist(), strict=True))


def test_hands_start_from_their_bodies_and_are_then_followed():
    scene = Scene(Truth({(100, 200): LEFT, (300, 200): RIGHT}))
    for frame in range(5):
        found = scene({LEFT: (104, 195), RIGHT: (300, 204)})
        assert pairs(found) == [(1, LEFT), (1, RIGHT)]
        np.testing.assert_array_equal(found.keypoint("wrist"), [[100, 200], [300, 200]])
        assert scene.asked("locate") == (2 if frame == 0 else 0)
        assert scene.asked("estimate") == 2


def test_nobody_costs_nothing():
    scene = Scene(Truth({(100, 200): LEFT}))
    assert len(scene()) == 0
    assert len(scene({})) == 0
    assert scene.asked("locate") == scene.asked("estimate") == 0


def test_what_is_outside_of_the_image_is_not_looked_for():
    truth = Truth({(300, 40): RIGHT, (300, 20): RIGHT})
    assert len(Scene(truth)({RIGHT: (300, 40)})) == 1
    truth.asked.clear()
    assert len(Scene(truth)({RIGHT: (300, 20)})) == 0, "a third of the arm beyond the wrist, the image ends"
    assert not truth.asked


def test_what_moves_is_located_again():
    truth = Truth({(100, 200): LEFT})
    scene = Scene(truth)
    scene({LEFT: (100, 200)})
    truth.hands = {(180, 220): LEFT}  # further than the network sees
    found = scene({LEFT: (180, 220)})
    np.testing.assert_array_equal(found.keypoint("wrist"), [[180, 220]])
    assert scene.asked("locate") == 2
    # A body that trembles is no reason.
    scene({LEFT: (183, 218)})
    assert scene.asked("locate") == 0


def test_what_is_located_where_it_is_followed_goes_on_from_its_own_landmarks():
    truth = Truth({(100, 200): LEFT})
    scene = Scene(truth)
    scene({LEFT: (100, 200)})
    truth.hands = {(110, 200): LEFT}
    scene({LEFT: (130, 200)})
    assert scene.asked("locate") == 2
    np.testing.assert_allclose(truth.looked, [_region((100, 200))])
    truth.hands = {(127, 200): LEFT}  # more than a fifth of the region's side
    scene({LEFT: (110, 200)})
    np.testing.assert_allclose(truth.looked, [_region((127, 200))])


def test_a_hand_that_is_seen_badly_is_located_again():
    truth = Truth({(100, 200): LEFT}, presence=0.7)
    scene = Scene(truth)
    for _ in range(3):
        assert len(scene({LEFT: (100, 200)})) == 1
    assert scene.asked("locate") == 3


def test_what_the_network_does_not_see_ends_and_is_looked_for_ever_more_seldom():
    truth = Truth({(100, 200): LEFT})
    scene = Scene(truth, retry=0.5)
    assert len(scene({LEFT: (100, 200)})) == 1
    truth.presence = 0.4
    assert len(scene({LEFT: (100, 200)})) == 0
    asked = []
    for _ in range(1200):
        scene({LEFT: (100, 200)})
        asked.append(scene.asked("estimate"))
    assert all(asked[:10])
    assert 0.15 < np.mean(asked[150:200]) < 0.5
    assert sum(asked[-160:]) in range(9, 12)  # every half second
    truth.presence = 0.95
    wait = next(frame for frame in range(20) if len(scene({LEFT: (100, 200)})))
    assert wait <= 16
    # Found again; a loss from now on is a new one.
    truth.presence = 0.4
    scene({LEFT: (100, 200)})
    truth.presence = 0.95
    assert len(scene({LEFT: (100, 200)})) == 1


def test_what_does_not_look_like_a_hand_at_all_is_looked_for_more_seldom():
    tries = {}
    for presence in (0.4, 0.001):
        truth = Truth({(100, 200): LEFT}, presence=presence)
        scene = Scene(truth)
        for _ in range(60):
            scene({LEFT: (100, 200)})
        tries[presence] = scene.asked("estimate")
    assert tries[0.001] < 0.7 * tries[0.4]


def test_a_face_that_is_nearly_seen_gets_a_second_look_where_its_landmarks_are():
    truth = Truth({(100, 200): LEFT}, presence=0.4)
    looks = []
    for kind in ("faces", "hands"):
        part = Part(kind, Landmarks(truth))
        places = _Places(np.float32([_region((104, 200))]), np.array([1]), np.array([0], np.uint8), np.array([1]),
                         np.float32([_region((104, 200))]))
        part._estimated(IMAGE, places)
        looks.append(truth.asked.pop("estimate"))
        np.testing.assert_allclose(truth.looked[0], _region((100 if kind == "faces" else 104, 200)))
    assert looks == [[1, 1], [1]]


def test_a_hand_ends_where_its_body_does_not_have_it():
    truth = Truth({(100, 200): LEFT})
    scene = Scene(truth, locator=False)
    assert len(scene({LEFT: (100, 200)})) == 1
    assert len(scene({LEFT: (140, 200)})) == 1
    assert len(scene({LEFT: (160, 200)})) == 0
    assert len(scene({LEFT: (160, 200)})) == 0


def test_a_hand_whose_wrist_is_not_seen_any_more_goes_on():
    scene = Scene(Truth({(100, 200): LEFT}))
    scene({LEFT: (100, 200)})
    found = scene({})
    assert pairs(found) == [(1, LEFT)]


def test_hands_go_with_their_body():
    scene = Scene(Truth({(100, 200): LEFT, (300, 200): LEFT}))
    assert pairs(scene({LEFT: (100, 200)}, {LEFT: (300, 200)}, ids=[4, 8])) == [(4, LEFT), (8, LEFT)]
    assert pairs(scene({LEFT: (300, 200)}, ids=[8])) == [(8, LEFT)]


def test_one_hand_is_never_two():
    """The right hand leaves; what followed the left one is at the right one's place, or the other way round."""
    truth = Truth({(200, 200): LEFT, (240, 200): RIGHT})
    scene = Scene(truth)
    assert len(scene({LEFT: (200, 200), RIGHT: (240, 200)})) == 2
    truth.hands = {(220, 200): RIGHT}
    for _ in range(3):
        found = scene({LEFT: (196, 200), RIGHT: (240, 200)})
        # Both see it, and it is nearer to the wrist of the right arm.
        assert scene.asked("estimate") >= 2
        assert pairs(found) == [(1, RIGHT)]


def test_the_body_knows_the_side():
    found = Scene(Truth({(100, 200): RIGHT}))({LEFT: (100, 200)})
    assert found.sides.tolist() == [LEFT]
    # The network is of another opinion, and sure of it.
    np.testing.assert_allclose(found.side_scores, 0.1, atol=1e-6)
    found = Scene(Truth({(100, 200): LEFT}))({LEFT: (100, 200)})
    np.testing.assert_allclose(found.side_scores, 0.9, atol=1e-6)


def test_without_a_locator_hands_start_where_the_body_says():
    scene = Scene(Truth({(100, 190): LEFT}), locator=False)
    found = scene({LEFT: (100, 200)})
    np.testing.assert_array_equal(found.keypoint("wrist"), [[100, 190]])


def test_an_estimator_that_does_not_follow_is_told_the_place_every_time():
    scene = Scene(Truth({(100, 200): LEFT}), follows=False)
    for _ in range(3):
        assert pairs(scene({LEFT: (100, 200)})) == [(1, LEFT)]
        assert scene.asked("locate") == scene.asked("estimate") == 1


def test_the_detector_finds_hands_of_nobody():
    truth = Truth({(100, 200): LEFT, (400, 100): RIGHT})
    scene = Scene(truth, detector=True, detect_every=0.1)
    for _ in range(4):
        found = scene({LEFT: (100, 200)})
        assert pairs(found) == [(1, LEFT), (0, RIGHT)]
        assert scene.asked("estimate") == 2
    assert scene.asked("detect") == 1
    for _ in range(3):
        scene({LEFT: (100, 200)})
    assert scene.asked("detect") == 1


def test_a_hand_of_nobody_gets_the_body_that_comes_to_it():
    truth = Truth({(400, 100): RIGHT})
    scene = Scene(truth, locator=False, detector=True, detect_every=10.0)
    assert pairs(scene()) == [(0, RIGHT)]
    # Not yet: its wrist is far away, or it is the other arm's.
    assert pairs(scene({RIGHT: (300, 100)})) == [(0, RIGHT)]
    assert pairs(scene({LEFT: (360, 100)})) == [(0, RIGHT)]
    # That arm says the hand is further to the left, where the network sees none.
    for _ in range(2):
        assert pairs(scene({RIGHT: (360, 100)})) == [(1, RIGHT)]


def test_the_most_that_are_looked_at():
    scene = Scene(Truth({(100, 200): LEFT, (300, 200): RIGHT}), max_subjects=1)
    assert len(scene({LEFT: (100, 200), RIGHT: (300, 200)})) == 1
    assert scene.asked("estimate") == 1


def test_reset_forgets():
    scene = Scene(Truth({(100, 200): LEFT}))
    scene({LEFT: (100, 200)})
    scene.part.reset()
    scene({LEFT: (100, 200)})
    assert scene.asked("locate") == 2


def test_parts_belong_to_somebody():
    with pytest.raises(ConfigError, match="subjects whose parts"):
        Scene(Truth()).part(Frame(IMAGE, 1), Stages())
