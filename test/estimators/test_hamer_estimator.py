# SPDX-License-Identifier: Apache-2.0
"""HaMeR's estimator with planted outputs: sides, angles, the surface, and the network that finds the hand."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros import wiring
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.decode.mano import HandModel
from pose_ros.decode.rois import enclosing_regions
from pose_ros.errors import CardError, ModelMissingError
from pose_ros.estimators.hamer import Hamer
from pose_ros.models import cards, mano
from pose_ros.models.store import Store
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

CARD, HAND = cards.get("hamer"), cards.get("mediapipe-hand-landmark-full")
IMAGE = np.zeros((480, 640, 3), np.uint8)
#: The hand's middle is at the region's middle, and its crop spans 2 / scale metres.
SCALE = 8.0
REGION = np.float32([[320, 240, 75, 100, 0]])


def network(rotations=None, camera=(SCALE, 0, 0)):
    """A session that always sees the same hand, and remembers what it was shown."""
    rotations = np.broadcast_to(np.eye(3), (16, 3, 3)) if rotations is None else rotations
    seen = []

    def run(batch):
        seen.append(batch)
        values = (rotations, np.zeros(10), camera)
        return {k: np.tile(np.float32(v), (len(batch), *[1] * np.ndim(v)))
                for k, v in zip(CARD.outputs, values, strict=True)}  # fmt: skip

    shapes = ((16, 3, 3), (10,), (3,))
    outputs = [Tensor(name, (-1, *shape)) for name, shape in zip(CARD.outputs, shapes, strict=True)]
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), outputs, run)
    session.seen = seen
    return session


def finder(landmarks, presence, right, card=HAND):
    """A network that finds the hand there, in pixels of its crop."""
    found = (np.concatenate([landmarks, np.zeros((21, 1))], axis=1).ravel(), [presence], [right], np.zeros(63))

    def run(batch):
        return {k: np.tile(np.float32(v), (len(batch), 1)) for k, v in zip(card.outputs, found, strict=True)}

    outputs = [Tensor(name, (-1, len(v))) for name, v in zip(card.outputs, found, strict=True)]
    return Model(card, FakeSession(Tensor("image", (-1, 224, 224, 3)), outputs, run))


@pytest.fixture
def make(mano_file):
    def made(session=None, hand=None, **options):
        needs = {} if hand is None else {"hand": hand}
        return Hamer(Model(CARD, session or network(), needs), Hamer.Options(mano=str(mano_file), **options))

    return made


@pytest.fixture
def points(mano_file):
    """The points of the hand at rest, around MANO's own origin."""
    model = HandModel(**mano.read(mano_file))
    return model(np.broadcast_to(np.eye(3, dtype=np.float32), (1, 16, 3, 3)), np.zeros((1, 10), np.float32))[1][0]


def test_points_are_where_the_camera_sees_them(make, points):
    poses = make().estimate(IMAGE, REGION)
    # At the depth of the origin the crop, twice as high as the region, shows two metres over the scale.
    depth = 2 * 5000 / 256 / SCALE
    pixels = 200 / (2 / SCALE) * depth / (depth + points[:, 2:])
    np.testing.assert_allclose(poses.keypoints[0], [320, 240] + points[:, :2] * pixels, atol=1e-3)
    np.testing.assert_allclose(poses.local_points[0], points - points[0], atol=1e-6)
    assert poses.points is None
    assert (poses.scores == 1).all()
    assert poses.sides.tolist() == [RIGHT]
    assert poses.regions is None


def test_left_hand_is_the_mirror_image_of_a_right_one(make):
    image = np.random.default_rng(3).integers(0, 256, IMAGE.shape, np.uint8)
    session = network(camera=(SCALE, 0.01, 0.02))
    right = make(session).estimate(image, REGION, np.uint8([RIGHT]))
    # The column of pixels at 320 stays where it is.
    left = make(session).estimate(np.roll(image[:, ::-1], 1, axis=1), REGION, np.uint8([LEFT]))
    np.testing.assert_allclose(*session.seen, atol=0.05)
    np.testing.assert_allclose(left.keypoints, [640, 0] + right.keypoints * [-1, 1], atol=1e-3)
    np.testing.assert_allclose(left.local_points, right.local_points * [-1, 1, 1], atol=1e-6)
    assert left.sides.tolist() == [LEFT]


def test_side_of_a_hand_of_which_nothing_says_it(make):
    sides = np.uint8([0, LEFT, RIGHT])
    assert make().estimate(IMAGE, REGION.repeat(3, 0), sides).sides.tolist() == [RIGHT, LEFT, RIGHT]
    assert make(side="left").estimate(IMAGE, REGION.repeat(3, 0), sides).sides.tolist() == [LEFT, LEFT, RIGHT]


def test_turned_region_turns_the_hand(make):
    straight = make().estimate(IMAGE, REGION)
    turned = make().estimate(IMAGE, REGION + np.float32([0, 0, 0, 0, np.pi / 2]))
    # From x to y, as angles of regions are counted.
    np.testing.assert_allclose(turned.local_points[..., 1], straight.local_points[..., 0], atol=1e-6)
    away = straight.keypoints - REGION[0, :2]
    np.testing.assert_allclose(turned.keypoints - REGION[0, :2], np.stack([-away[..., 1], away[..., 0]], -1), atol=1e-3)
    np.testing.assert_allclose(turned.local_points[..., 2], straight.local_points[..., 2], atol=1e-6)


def test_rotation_of_the_wrist_turns_all_points(make, points):
    rotations = np.tile(np.eye(3), (16, 1, 1))
    rotations[0] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    found = make(network(rotations)).estimate(IMAGE, REGION).local_points[0]
    np.testing.assert_allclose(found, (points - points[0]) @ rotations[0].T, atol=1e-6)


def test_bent_finger_leaves_the_others(make, points):
    rotations = np.tile(np.eye(3), (16, 1, 1))
    rotations[2] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # MANO's second joint of the index finger
    names = make().skeleton.index
    found = make(network(rotations)).estimate(IMAGE, REGION).local_points[0]
    moved = np.linalg.norm(found - (points - points[0]), axis=1) > 0.01
    assert set(np.flatnonzero(moved)) == {names["forefinger3"], names["forefinger4"]}


def test_surface(make):
    poses, vertices, faces = make().mesh(IMAGE, REGION.repeat(2, 0), np.uint8([LEFT, RIGHT]))
    assert vertices.shape == (2, 778, 3)
    assert faces.shape == (2, 1538, 3)
    np.testing.assert_allclose(vertices[0] * [-1, 1, 1], vertices[1], atol=1e-6)
    # The tip of the thumb is a vertex; a mirrored triangle runs the other way round.
    np.testing.assert_allclose(vertices[:, 744], poses.local_points[:, 4], atol=1e-6)
    assert (faces[0] == faces[1][:, ::-1]).all()


@pytest.mark.parametrize("scale", [0, -1])
def test_a_hand_behind_the_camera_is_none(make, scale):
    poses = make(network(camera=(scale, 0, 0))).estimate(IMAGE, REGION)
    assert np.isnan(poses.keypoints).all()
    assert (poses.scores == 0).all()


def test_a_point_behind_the_camera_is_none(make, points):
    # So near that the origin is 1 cm in front of the camera.
    poses = make(network(camera=(2 * 5000 / 256 / 0.01, 0, 0))).estimate(IMAGE, REGION)
    front = points[:, 2] > -0.01
    assert 5 < front.sum() < 21
    assert (np.isfinite(poses.keypoints[0]).all(axis=1) == front).all()
    assert (poses.scores[0] == front).all()


#: A hand of 60 by 80 pixels in a region of 224 by 224, of which a pixel is one of the image.
LANDMARKS = np.stack([np.linspace(70, 130, 21), np.linspace(60, 140, 21)[::-1]], axis=1)
WHERE = np.float32([[112, 112, 224, 224, 0]])


def test_box_side_and_presence_come_from_the_network_that_finds_hands(make):
    found = make(hand=finder(LANDMARKS, 0.9, 0.2)).estimate(IMAGE, WHERE)
    boxes = make().estimate(IMAGE, np.float32([[100, 100, 60, 80, 0]]), np.uint8([LEFT]))
    np.testing.assert_allclose(found.keypoints, boxes.keypoints, atol=1e-3)
    assert found.sides.tolist() == [LEFT]
    np.testing.assert_allclose([found.side_scores[0], found.subject_scores[0], found.scores[0, 0]], [0.8, 0.9, 0.9])
    roi = enclosing_regions(LANDMARKS[None], **HAND.params["roi"])
    np.testing.assert_allclose(found.regions, roi, atol=1e-3)


def test_what_is_known_of_the_side_counts_more(make):
    found = make(hand=finder(LANDMARKS, 0.9, 0.2)).estimate(IMAGE, WHERE, np.uint8([RIGHT]))
    assert found.sides.tolist() == [RIGHT]
    np.testing.assert_allclose(found.side_scores, 0.2)


def test_no_hand_is_not_looked_at(make):
    session = network()
    found = make(session, hand=finder(LANDMARKS, 0.1, 0.9)).estimate(IMAGE, WHERE)
    assert session.calls == []
    assert np.isnan(found.keypoints).all()
    np.testing.assert_allclose(found.subject_scores, 0.1)


def test_a_region_that_is_none_gives_no_hand(make):
    found = make(hand=finder(LANDMARKS, 0.9, 0.9)).estimate(IMAGE, np.float32([[np.nan] * 5, *WHERE]))
    assert np.isnan(found.keypoints[0]).all()
    assert np.isnan(found.regions[0]).all()
    assert np.isfinite(found.keypoints[1]).all()
    np.testing.assert_allclose(found.subject_scores, [0, 0.9])


def test_other_cards_are_refused(make):
    face = cards.get("mediapipe-face-landmark")
    with pytest.raises(CardError, match=r"needs\.hand: expected a network like mediapipe-hand-landmark-full"):
        make(hand=Model(face, network()))


def test_without_mano_nothing_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("POSE_ROS_MANO", raising=False)
    store = Store(tmp_path / "cache", accept_licences=["hamer"])
    monkeypatch.setattr(store, "fetch", lambda card: pytest.fail(f"fetches {card.name}"))
    monkeypatch.setattr("pose_ros.wiring.pieces.check", lambda *_, **__: None)
    with pytest.raises(ModelMissingError, match=r"register at https://mano\.is\.tue\.mpg\.de"):
        wiring.build("hamer", store)
