# SPDX-License-Identifier: Apache-2.0
"""Markers: where they stand, what they are called, and that they go away."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from pose_ros.core.camera import Camera
from pose_ros.core.colors import LEFT, MIDDLE, RIGHT
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.ros.markers import poses_to_markers
from pose_ros.skeletons import catalogue

ARM = Skeleton("arm", ("nose", "left_hand", "right_hand"), edges=((0, 1), (0, 2)), flip=(0, 2, 1))
CAMERA = Camera(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), (640, 480))
METRES = np.array([[0.0, -0.5, 2], [-0.4, 0.2, 2.1], [0.4, 0.3, 1.9]])


def made_of(*args: object, **options: object) -> MarkerArray:
    return MarkerArray(markers=poses_to_markers(*args, **options))


def arms(n: int = 1, **columns: object) -> Poses:
    keypoints = np.repeat(CAMERA.project(METRES)[None], n, axis=0)
    return Poses(ARM, keypoints, np.full((n, 3), 0.9), **columns)


def header() -> Header:
    made = Header(frame_id="camera_optical")
    made.stamp.sec, made.stamp.nanosec = 3, 5
    return made


def by_name(markers: MarkerArray) -> dict[tuple[str, int], Marker]:
    """Return the markers by namespace and id, as a viewer keeps them."""
    found = {(m.ns, m.id): m for m in markers.markers}
    assert len(found) == len(markers.markers), "no marker replaces another"
    return found


def xyz(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_metric_points_stand_where_they_are() -> None:
    made = made_of(arms(points=METRES[None], ids=[4], local_points=METRES[None]), header(), CAMERA)
    made = by_name(deserialize_message(serialize_message(made), MarkerArray))
    assert set(made) == {("metric/joints", 4), ("metric/bones", 4), ("metric/label", 4)}
    assert all(m.header == header() and m.action == Marker.ADD for m in made.values())
    assert all(m.lifetime.nanosec == 500_000_000 and m.pose.orientation.w == 1 for m in made.values())
    np.testing.assert_allclose(xyz(made["metric/joints", 4]), METRES, atol=1e-7)
    np.testing.assert_allclose(xyz(made["metric/bones", 4]), METRES[[0, 1, 0, 2]], atol=1e-7)
    label = made["metric/label", 4]
    assert label.text == "#4"
    assert label.pose.position.y < METRES[:, 1].min(), "above the head: y points down"


def test_sides_have_colours() -> None:
    joints, bones = made_of(arms(points=METRES[None]), header()).markers[:2]
    rgb = [tuple(round(255 * value) for value in (c.r, c.g, c.b)) for c in [*joints.colors, *bones.colors]]
    assert rgb == [MIDDLE, LEFT, RIGHT, LEFT, LEFT, RIGHT, RIGHT]


def test_pixels_of_a_known_camera_lie_on_a_plane() -> None:
    made = by_name(made_of(arms(ids=[1]), header(), CAMERA))
    points = xyz(made["plane/joints", 1])
    np.testing.assert_allclose(points[:, 2], 1)
    np.testing.assert_allclose(CAMERA.project(points), CAMERA.project(METRES), atol=1e-3)


def test_pixels_of_an_unknown_camera_are_not_drawn() -> None:
    assert made_of(arms(), header()).markers == []


def test_local_shapes_stand_on_the_ray_of_their_root() -> None:
    local = (METRES - METRES[0] + 7)[None]
    made = by_name(made_of(arms(local_points=local, ids=[1]), header(), CAMERA, distance_m=2.0))
    np.testing.assert_allclose(xyz(made["local/joints", 1]), METRES, atol=1e-5)


def test_local_shapes_without_a_camera_stand_side_by_side() -> None:
    local = np.repeat((METRES - METRES[0])[None], 2, axis=0)
    made = by_name(made_of(arms(2, local_points=local, ids=[1, 2]), header(), distance_m=3.0))
    np.testing.assert_allclose(xyz(made["local/joints", 1])[0], [0, 0, 3], atol=1e-6)
    np.testing.assert_allclose(xyz(made["local/joints", 2])[0], [1, 0, 3], atol=1e-6)


def test_missing_and_doubtful_keypoints_take_their_bones_along() -> None:
    points = METRES[None].copy()
    points[0, 1] = np.nan
    made = made_of(arms(points=points), header()).markers
    assert [len(m.points) for m in made] == [2, 2, 0]
    doubtful = arms(points=METRES[None]).replace(scores=np.array([[0.9, 0.9, 0.1]]))
    assert [len(m.points) for m in made_of(doubtful, header()).markers] == [2, 2, 0]
    assert made_of(arms(points=points * np.nan), header()).markers == []


def test_bones_that_lost_their_ends_are_deleted() -> None:
    lonely = arms(points=METRES[None]).replace(scores=np.array([[0.1, 0.9, 0.1]]))
    joints, bones, label = made_of(lonely, header()).markers
    assert [m.action for m in (joints, bones, label)] == [Marker.ADD, Marker.DELETE, Marker.ADD]


def test_subjects_without_an_id_do_not_share_markers() -> None:
    points = np.repeat(METRES[None], 2, axis=0)
    made = by_name(made_of(arms(2, points=points), header()))
    assert {i for _, i in made} == {-1, -2}
    assert made["metric/label", -1].text == "?"


@pytest.mark.parametrize("columns", [{"points": METRES[None]}, {"local_points": METRES[None]}, {}])
def test_every_marker_of_an_ended_track_is_deleted(columns: dict) -> None:
    shown = by_name(made_of(arms(ids=[9], **columns), header(), CAMERA))
    after = made_of(Poses.empty(ARM), header(), ended_ids=[9, 10]).markers
    deleted = {(m.ns, m.id) for m in after if m.action == Marker.DELETE}
    assert len(shown) == 3
    assert shown.keys() <= deleted
    assert len(deleted) == len(after) == 18
    assert all(m.header == header() for m in after)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_skeleton_can_be_drawn(name: str) -> None:
    skeleton = catalogue.get(name)
    k = len(skeleton)
    poses = Poses(skeleton, np.zeros((1, k, 2)), np.ones((1, k)), points=np.ones((1, k, 3)))
    joints, bones, _ = made_of(poses, header()).markers
    assert (len(joints.points), len(bones.points)) == (k, 2 * len(skeleton.edges))


def test_parts_have_namespaces_of_their_own_and_say_whose_they_are() -> None:
    hands = arms(2, points=np.repeat(METRES[None], 2, axis=0), ids=[5, 6], parents=[1, 0], sides=[1, 2])
    made = by_name(made_of(hands, header(), ended_ids=[9], prefix="hands/", kind="hand"))
    assert all(name.startswith("hands/") for name, _ in made)
    labels = {i: m.text for (name, i), m in made.items() if name == "hands/metric/label" and m.action == Marker.ADD}
    assert labels == {5: "left hand #1", 6: "#6 right"}
    assert ("hands/metric/joints", 9) in made


def test_small_subjects_have_small_joints_and_labels() -> None:
    joints, bones, label = made_of(arms(points=METRES[None] / 20), header()).markers
    extent = 0.8 / 20
    assert joints.scale.x == pytest.approx(0.25 * extent / 3**0.5, rel=1e-3)
    assert bones.scale.x == joints.scale.x / 2
    assert label.scale.z == pytest.approx(extent / 2, rel=1e-3)


def test_frames_are_axes() -> None:
    face = dataclasses.replace(ARM, frames=("face", "gaze"))
    half = 0.5**0.5  # a quarter turn about z: x to y, y to -x
    frames = np.array([[[1, 2, 3, 0, 0, half, half], [np.nan] * 7], [[np.nan] * 7] * 2])
    keypoints = np.repeat(CAMERA.project(METRES)[None], 2, axis=0)
    poses = Poses(face, keypoints, np.full((2, 3), 0.9), ids=[4, 5], frames=frames)
    made = by_name(made_of(poses, header(), ended_ids=[9], prefix="faces/"))
    axes = made["faces/axes", 4]
    np.testing.assert_allclose(
        xyz(axes), [[1, 2, 3], [1, 2.1, 3], [1, 2, 3], [0.9, 2, 3], [1, 2, 3], [1, 2, 3.1]], atol=1e-6)
    assert [c.r > 0.9 for c in axes.colors] == [True, True, False, False, False, False]
    assert made["faces/axes", 5].action == made["faces/axes", 9].action == Marker.DELETE


def test_labels_stand_above_heads_in_a_room_too() -> None:
    made = by_name(made_of(arms(points=METRES[None], ids=[4]), header(), up="z"))
    place = made["metric/label", 4].pose.position
    assert place.z > METRES[:, 2].max()
    np.testing.assert_allclose([place.x, place.y], METRES[:, :2].mean(axis=0), atol=1e-6)
