# SPDX-License-Identifier: Apache-2.0
"""Faces with known rotations, gazes and openings, projected by cameras with and without distortion."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from pose_ros.anatomy.face import described
from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue

SETS = ("facemesh468", "facemesh478", "face68", "openpose_face70", "wflw98", "lapa106", "wholebody133")
WITH_IRISES = ("facemesh478", "openpose_face70", "wflw98", "lapa106")
CAMERAS = {
    "ideal": Camera(np.array([[600, 0, 320], [0, 600, 240], [0, 0, 1.0]]), (640, 480)),
    "distorted": Camera(np.array([[900, 0, 640], [0, 910, 360], [0, 0, 1.0]]), (1280, 720),
                        np.array([-0.3, 0.1, 0.001, -0.001, 0]), "plumb_bob"),
    "fisheye": Camera(np.array([[500, 0, 640], [0, 500, 480], [0, 0, 1.0]]), (1280, 960),
                      np.array([0.05, 0.01, -0.003, 0.0005]), "equidistant"),
}
#: Face frame of somebody who looks straight into the camera: x towards it, y to the right of the image, z up.
FACING = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0.0]])
TURNS = [np.array(t) for t in itertools.product((-60, -30, 0, 30, 60), (-40, 0, 40), (-60, 0, 60))]
#: Width of an average face, metres; and how wide it is in the images here, pixels.
WIDTH_M, WIDTH_PX = 0.153, 200


def about(axis: str, degrees: float) -> np.ndarray:
    return np.asarray(cv2.Rodrigues(np.eye(3)["xyz".index(axis)] * np.deg2rad(degrees))[0])


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return FACING @ about("z", yaw) @ about("y", pitch) @ about("x", roll)


def place(camera: Camera) -> np.ndarray:
    """Return where a face is WIDTH_PX wide, a little beside the middle of the image."""
    return np.array([0.15, 0.08, 1.0]) * camera.K[0, 0] * WIDTH_M / WIDTH_PX


def away(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between two rotations in degrees."""
    return float(np.rad2deg(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))


def seen(name: str, camera: Camera, faces: list[tuple[np.ndarray, ...]], noise_px: float = 0) -> Poses:
    """Return what is seen of faces: points in the face (K, 3), NaN where not seen, rotation and position of each."""
    skeleton = catalogue.get(name)
    rng = np.random.default_rng(7)
    pixels = np.stack([camera.project(points @ rotation.T + position) for points, rotation, position in faces])
    pixels += rng.normal(0, noise_px, pixels.shape)
    return Poses(skeleton, pixels, np.isfinite(pixels).all(axis=2))


def average(name: str) -> np.ndarray:
    """Return the points of an average face (K, 3); NaN where the skeleton does not say."""
    skeleton = catalogue.get(name)
    points = np.full((len(skeleton), 3), np.nan)
    points[list(skeleton.rigid)] = list(skeleton.rigid.values())
    return points


def errors(name: str, camera: Camera, stretch: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of rotations in degrees, and of positions as a part of the distance, with 1 px of noise."""
    rng = np.random.default_rng(0)
    faces = [(average(name) * (1 + rng.uniform(-stretch, stretch, 3)), turned(*t), place(camera)) for t in TURNS]
    frames = described(seen(name, camera, faces, 1.0), camera).frames[:, 0]
    rotations = [away(r, f) for (_, r, _), f in zip(faces, quaternion.to_matrices(frames[:, 3:]), strict=True)]
    distance = np.linalg.norm(place(camera))
    return np.array(rotations), np.linalg.norm(frames[:, :3] - place(camera), axis=1) / distance


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("name", SETS)
def test_a_turned_head_comes_back_within_three_degrees(name, camera):
    rotations, positions = errors(name, CAMERAS[camera], 0)
    assert rotations.max() < 3
    assert positions.max() < 0.03


@pytest.mark.parametrize("name", SETS)
def test_a_face_of_another_shape_costs_little(name):
    """Each face is up to 5 % wider, higher and deeper or less so than the average: so is its distance."""
    rotations, positions = errors(name, CAMERAS["ideal"], 0.05)
    assert np.median(rotations) < 2
    assert rotations.max() < 5.5
    assert positions.max() < 0.07


def test_axes_are_those_of_rep_155():
    """Somebody looks straight into the camera: x towards it, y to his left, which is right in the image, z up."""
    camera = CAMERAS["ideal"]
    poses = described(seen("facemesh468", camera, [(average("facemesh468"), FACING, np.array([0, 0, 0.6]))]), camera)
    face, gaze = poses.frames[0]
    np.testing.assert_allclose(face[:3], [0, 0, 0.6], atol=1e-3)
    np.testing.assert_allclose(quaternion.to_matrices(face[3:]), FACING, atol=1e-3)
    # Without irises the gaze is the face's x axis; x of the gaze is the subject's right, y is down.
    np.testing.assert_allclose(gaze[:3], face[:3])
    np.testing.assert_allclose(quaternion.to_matrices(gaze[3:]), np.diag([-1, 1, -1]), atol=1e-3)
    sellion, nose = poses.keypoints[0, [168, 4]]
    assert nose[1] > sellion[1], "the nose is below the sellion in the image"


def looking(name: str, left_deg: float, up_deg: float, scale: float = 1.0) -> np.ndarray:
    """Return an average face (K, 3) with irises on eyeballs that are turned."""
    skeleton, points = catalogue.get(name), average(name)
    turn = about("z", left_deg) @ about("y", -up_deg)
    for side in ("left", "right"):
        eyeball = points[list(skeleton.roles[f"{side}_eye_corners"])].mean(axis=0) + np.array([-0.0069, 0, 0.0012])
        ring = 0.01171 / 2 * np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]])
        iris = list(skeleton.roles[f"{side}_iris"])
        points[iris] = eyeball + (ring[: len(iris)] + np.array([0.0105, 0, 0])) @ turn.T
        open_lids(points, skeleton, side, 0.3)
    return points * scale


def open_lids(points: np.ndarray, skeleton, side: str, opening: float) -> None:
    corners = points[list(skeleton.roles[f"{side}_eye_corners"])]
    between = np.linalg.norm(corners[0] - corners[1])
    for lid, sign in (("upper", 1), ("lower", -1)):
        index = list(skeleton.roles[f"{side}_eye_{lid}_lid"])
        points[index] = corners.mean(axis=0) + np.array([0, 0, sign * opening * between / 2])


@pytest.mark.parametrize(("left", "up"), [(0, 0), (25, 0), (-25, 0), (0, 20), (0, -20), (20, -15)])
@pytest.mark.parametrize("name", WITH_IRISES)
def test_gaze_comes_back_whatever_way_the_head_is_turned(name, left, up):
    camera, local = CAMERAS["distorted"], about("z", left) @ about("y", -up) @ [1, 0, 0]
    heads = [turned(*t) for t in ((0, 0, 0), (30, 0, 0), (-30, 10, 20), (10, -25, -40))]
    poses = described(seen(name, camera, [(looking(name, left, up), r, place(camera)) for r in heads]), camera)
    rotations = quaternion.to_matrices(poses.frames[..., 3:])
    for row, head in enumerate(heads):
        angle = np.rad2deg(np.arccos(np.clip(rotations[row, 1, :, 2] @ head @ local, -1, 1)))
        assert angle < 2.5, (name, row, angle)
        np.testing.assert_allclose(np.linalg.det(rotations[row, 1]), 1, atol=1e-5)
        assert rotations[row, 1, :, 1] @ rotations[row, 0, :, 2] < -0.8, "y is down the face"


def test_noise_in_small_eyes_turns_the_gaze_a_lot():
    """An iris is 15 pixels wide here: a pixel of one iris is 4 degrees, and noise in the corners adds to that."""
    camera = CAMERAS["ideal"]
    faces = [(looking("facemesh478", 10, 5), FACING, place(camera))] * 200
    poses = described(seen("facemesh478", camera, faces, 1.0), camera)
    gaze = quaternion.to_matrices(poses.frames[:, 1, 3:])[:, :, 2]
    true = FACING @ about("z", 10) @ about("y", -5) @ [1, 0, 0]
    off = np.rad2deg(np.arccos(np.clip(gaze @ true, -1, 1)))
    assert np.median(off) < 6
    assert np.percentile(off, 95) < 13


def test_eyes_that_are_shut_do_not_look():
    camera, skeleton = CAMERAS["ideal"], catalogue.get("facemesh478")
    points = looking("facemesh478", 25, 0)
    for side in ("left", "right"):
        open_lids(points, skeleton, side, 0.05)
    poses = described(seen("facemesh478", camera, [(points, FACING, place(camera))]), camera)
    face, gaze = quaternion.to_matrices(poses.frames[0, :, 3:])
    np.testing.assert_allclose(gaze[:, 2], face[:, 0], atol=1e-5)


@pytest.mark.parametrize("aside", [0, 30])
@pytest.mark.parametrize("scale", [0.85, 1.0, 1.1])
def test_irises_say_how_far_away_a_smaller_or_larger_face_is(scale, aside):
    """The iris of a child is as large as an adult's. What an average face says has a weight too: some error remains."""
    camera = Camera(np.array([[2400, 0, 960], [0, 2400, 540], [0, 0, 1.0]]), (1920, 1080))
    true = np.array([0, 0, 0.5])
    points = looking("facemesh478", aside, 0, scale)
    for side in ("left", "right"):
        iris = list(catalogue.get("facemesh478").roles[f"{side}_iris"])
        points[iris] = points[iris[0]] + (points[iris] - points[iris[0]]) / scale
    position = described(seen("facemesh478", camera, [(points, FACING, true)]), camera).frames[0, 0, :3]
    assert abs(position[2] / true[2] - 1) < 0.3 * abs(1 - scale) + 0.01


@pytest.mark.parametrize("name", SETS)
def test_open_eyes_and_mouths_measure_more_than_shut_ones(name):
    skeleton, camera = catalogue.get(name), CAMERAS["ideal"]
    found = []
    for opening in (0.05, 0.2, 0.35):
        points = average(name)
        for side in ("left", "right"):
            open_lids(points, skeleton, side, opening)
        points[list(skeleton.roles["mouth_corners"])] = [[-0.01, -0.025, -0.07], [-0.01, 0.025, -0.07]]
        for lip, sign in (("upper_lip", 1), ("lower_lip", -1)):
            points[list(skeleton.roles[lip])] = [0, 0, -0.07 + sign * opening * 0.05 / 2]
        found.append(described(seen(name, camera, [(points, FACING, place(camera))]), None).measures[0, :3])
    np.testing.assert_allclose(found, np.repeat([[0.05], [0.2], [0.35]], 3, axis=1), rtol=0.15)


def test_what_is_not_seen_is_unknown_and_disturbs_nobody():
    """Half a face has a pose and one eye; five points have none; nobody is nobody; no camera, no frames."""
    camera = CAMERAS["ideal"]
    whole = looking("facemesh478", 0, 0)
    half, few = whole.copy(), np.full_like(whole, np.nan)
    half[whole[:, 1] < -0.001] = np.nan
    rigid = list(catalogue.get("facemesh478").rigid)[:5]
    few[rigid] = whole[rigid]
    faces = [(points, turned(10, 5, 0), place(camera)) for points in (whole, half, few, np.full_like(whole, np.nan))]
    poses = seen("facemesh478", camera, faces)
    result = described(poses, camera)
    rotations = quaternion.to_matrices(result.frames[:2, 0, 3:])
    assert away(rotations[0], rotations[1]) < 1
    assert np.isfinite(result.frames[:2]).all()
    assert np.isnan(result.frames[2:]).all()
    left, right, _ = result.measures.T
    assert np.isfinite(left[:2]).all()
    assert np.isfinite(right[0])
    assert np.isnan(right[1:]).all()
    np.testing.assert_array_equal(described(poses.select(np.array([1])), camera).frames, result.frames[1:2])
    assert described(poses, None).frames is None
    nobody = described(Poses.empty(poses.skeleton), camera)
    assert nobody.frames.shape == (0, 2, 7)
    assert nobody.measures.shape == (0, 3)


def test_a_head_that_is_only_guessed_has_no_pose():
    """A whole-body network names keypoints of a face that is turned away, with low scores."""
    camera = CAMERAS["ideal"]
    poses = seen("wholebody133", camera, [(average("wholebody133"), FACING, place(camera))])
    assert np.isfinite(described(poses, camera).frames[:, :2]).all()
    assert np.isnan(described(poses.replace(scores=poses.scores * 0.1), camera).frames).all()


def test_points_that_are_all_in_one_place_are_no_face():
    skeleton = catalogue.get("face68")
    poses = Poses(skeleton, np.full((1, 68, 2), 50.0), np.ones((1, 68)))
    result = described(poses, CAMERAS["ideal"])
    assert np.isnan(result.frames).all()
    assert np.isnan(result.measures).all()


def test_other_subjects_come_back_as_they_are():
    poses = Poses.empty(catalogue.get("hand21"))
    assert described(poses, CAMERAS["ideal"]) is poses
