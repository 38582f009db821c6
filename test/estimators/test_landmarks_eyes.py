# SPDX-License-Identifier: Apache-2.0
"""Faces with irises: a mesh, and a network that looks at both eyes of all faces."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pose_ros.errors import CardError
from pose_ros.estimators.eyes import CONTOUR
from pose_ros.estimators.landmarks import Landmarks, LandmarksOptions
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue

FACE, EYE = cards.get("mediapipe-face-mesh-iris"), cards.get("mediapipe-iris-landmark")
MESH = catalogue.get("facemesh478")
IMAGE = np.zeros((400, 600, 3), np.uint8)
#: The mesh covers the middle half of its crop.
REGION = np.float32([300, 200, 192, 192, 0])
CORNERS = {"right": (33, 133), "left": (362, 263)}


def mesh() -> np.ndarray:
    """Return the average face as the network for the mesh says it, (468, 3) in pixels of the crop."""
    points = np.full((468, 3), [96.0, 96.0, 0.0])
    for index, (x, y, z) in MESH.rigid.items():
        points[index] = [96 + 600 * y, 90 - 600 * z, -600 * x]
    return points


def sessions(points: np.ndarray, contour: Any, iris: Any) -> tuple[Landmarks, FakeSession]:
    contour, iris = np.broadcast_to(contour, (71, 2)), np.broadcast_to(iris, (5, 2))
    eye = [np.concatenate([p, np.full((len(p), 1), 9.0)], axis=1).ravel() for p in (contour, iris)]
    face = [points.ravel()[None, None], np.float64([[[4.0]]])]
    networks = []
    for card, answers in ((FACE, face), (EYE, eye)):
        named = {n: np.float32(a) for n, a in zip(card.outputs, answers, strict=True)}
        networks.append(FakeSession(
            Tensor("input", (-1, *card.input_wh, 3)), [Tensor(n, (-1, *a.shape)) for n, a in named.items()],
            lambda batch, named=named: {n: np.repeat(a[None], len(batch), axis=0) for n, a in named.items()},
        ))
    return Landmarks(Model(FACE, networks[0], {"iris": Model(EYE, networks[1])})), networks[1]


def test_both_eyes_of_all_faces_are_seen_in_one_call():
    estimator, eyes = sessions(mesh(), [32, 32], [32, 32])
    poses = estimator.estimate(IMAGE, np.stack([REGION, REGION + np.float32([20, 0, 0, 0, 1.0]), [np.nan] * 5]))
    assert eyes.calls == [6]
    assert np.isfinite(poses.keypoints[:2]).all()
    assert np.isnan(poses.keypoints[2]).all()
    assert np.isnan(poses.local_points[2]).all()
    np.testing.assert_array_equal(poses.scores[:, 468] > 0, [True, True, False])


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
def test_the_middle_of_the_crop_is_the_middle_of_the_eye(angle):
    estimator, _ = sessions(mesh(), [32, 32], [32, 32])
    region = REGION.copy()
    region[4] = angle
    keypoints = estimator.estimate(IMAGE, region[None]).keypoints[0]
    plain = estimator.estimate(IMAGE, REGION[None]).keypoints[0]
    for iris, corners in zip((468, 473), CORNERS.values(), strict=True):
        middle = plain[list(corners)].mean(axis=0) - REGION[:2]
        cos, sin = np.cos(angle), np.sin(angle)
        np.testing.assert_allclose(keypoints[iris] - REGION[:2], middle @ [[cos, sin], [-sin, cos]], atol=0.01)


def test_left_eyes_are_shown_in_a_mirror_and_come_back():
    """A quarter of the crop towards its right is towards the nose in a right eye, and so it is in a left one."""
    contour = np.full((71, 2), 32.0)
    contour[3] = [40, 36]
    estimator, _ = sessions(mesh(), contour, [48, 32])
    keypoints = estimator.estimate(IMAGE, REGION[None]).keypoints[0]
    found = {side: keypoints[iris] - keypoints[list(CORNERS[side])].mean(axis=0)
             for side, iris in (("right", 468), ("left", 473))}
    side = 2.3 * np.abs(mesh()[33, 0] - mesh()[133, 0])
    refined = keypoints[[CONTOUR[3], MESH.flip[CONTOUR[3]]]]
    np.testing.assert_allclose(found["right"][0], -found["left"][0], atol=0.01)
    assert refined[0, 0] + refined[1, 0] == pytest.approx(2 * REGION[0], abs=0.01)
    assert keypoints[468, 0] + keypoints[473, 0] == pytest.approx(2 * REGION[0], abs=0.01)
    plain = mesh()[[33, 133], 0].mean() - 96 + REGION[0]
    assert keypoints[468, 0] - plain == pytest.approx(side / 4, abs=0.02)


def test_eyelids_stay_those_of_the_mesh_where_that_is_wanted():
    estimator, _ = sessions(mesh(), [10, 10], [32, 32])
    rough = Landmarks(estimator.model, LandmarksOptions(refine_eyes=False)).estimate(IMAGE, REGION[None]).keypoints
    fine = estimator.estimate(IMAGE, REGION[None]).keypoints
    moved = (np.abs(rough - fine) > 1e-3).any(axis=2)[0]
    contours = set(CONTOUR) | {MESH.flip[i] for i in CONTOUR}
    assert set(np.flatnonzero(moved)) <= contours
    assert moved.sum() > 100
    np.testing.assert_allclose(rough[0, :468], mesh()[:, :2] + REGION[:2] - 96, atol=1e-3)


def ring(diameter_px: float) -> np.ndarray:
    """Return an iris in the crop of an eye; it is ``diameter_px`` pixels of the crop of the face wide."""
    side = 2.3 * np.abs(mesh()[33, 0] - mesh()[133, 0])
    r = diameter_px / 2 * 64 / side
    return np.array([[32, 32], [32 + r, 32], [32, 32 - r], [32 - r, 32], [32, 32 + r]])


@pytest.mark.parametrize("scale", [0.85, 1.0])
def test_a_face_is_as_large_as_its_irises_say(scale):
    """600 pixels per metre of an average face are 600 / scale of one that is smaller: so is its iris."""
    estimator, _ = sessions(mesh(), [32, 32], ring(0.01171 * 600 / scale))
    # A large picture, in which irises can be measured.
    poses = estimator.estimate(IMAGE, REGION[None] * [1, 1, 12, 12, 1])
    between = np.linalg.norm(poses.local_points[0, 127] - poses.local_points[0, 356])
    true = np.linalg.norm(np.subtract(MESH.rigid[127], MESH.rigid[356]))
    assert between / true == pytest.approx(scale, abs=0.06)


def test_metres_are_those_of_the_average_face_without_irises():
    """A turned region turns them too; z is away from the camera, and the origin is the root."""
    card = cards.get("mediapipe-face-landmark")
    answers = dict(zip(card.outputs, (mesh().ravel()[None, None], np.float64([[[4.0]]])), strict=True))
    session = FakeSession(
        Tensor("input", (-1, 192, 192, 3)), [Tensor(n, (-1, *a.shape)) for n, a in answers.items()],
        lambda batch: {n: np.repeat(np.float32(a)[None], len(batch), axis=0) for n, a in answers.items()},
    )
    regions = np.stack([REGION, [300, 200, 384, 384, np.pi / 2]])
    found = Landmarks(Model(card, session)).estimate(IMAGE, regions).local_points
    rigid, true = list(MESH.rigid), np.array(list(MESH.rigid.values()))
    optical = np.stack([true[:, 1], -true[:, 2], -true[:, 0]], axis=1)
    for points, turn in zip(found, (np.eye(3), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), strict=True):
        between = points[rigid] - points[rigid[0]]
        np.testing.assert_allclose(between, (optical - optical[0]) @ turn, atol=1e-4)
        np.testing.assert_array_equal(points[1], 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_networks_that_fail_give_nothing_that_is_not_a_keypoint(value):
    """Where only the eyes fail, the rest of the face stays, and so does what the mesh knows of lids."""
    blind, _ = sessions(mesh(), np.full((71, 2), value), np.full((5, 2), value))
    poses = blind.estimate(IMAGE, REGION[None])
    seen = np.isfinite(poses.keypoints[0]).all(axis=1)
    assert seen[:468].all()
    assert not seen[468:].any()
    assert (poses.scores[0] > 0).tolist() == seen.tolist()
    assert np.isfinite(poses.local_points[0, :468]).all()
    lost, _ = sessions(np.full((468, 3), value), [32, 32], [32, 32])
    poses = lost.estimate(IMAGE, REGION[None])
    assert np.isnan(poses.keypoints).all()
    assert np.isnan(poses.local_points).all()
    assert (poses.scores == 0).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 3)])
def test_eyes_are_looked_for_in_images_of_any_size(shape):
    estimator, _ = sessions(mesh(), [32, 32], [32, 32])
    assert np.isfinite(estimator.estimate(np.zeros(shape, np.uint8), REGION[None]).keypoints).all()
    assert len(estimator.estimate(IMAGE, np.empty((0, 5)))) == 0


@pytest.mark.parametrize(("skeleton", "outputs", "problem"), [
    ("facemesh468", EYE.outputs, "expected a face with roles .*; got 'facemesh468'"),
    ("facemesh478", EYE.outputs[:1], "outputs: expected contour and iris"),
])
def test_networks_that_do_not_fit_are_refused(skeleton, outputs, problem):
    session = FakeSession(Tensor("input", (-1, 64, 64, 3)), [], lambda batch: {})
    eye = Model(dataclasses.replace(EYE, outputs=outputs), session)
    with pytest.raises(CardError, match=problem):
        Landmarks(Model(dataclasses.replace(FACE, skeleton=skeleton), session, {"iris": eye}))


def test_a_part_of_another_model_does_not_run_alone():
    session = FakeSession(Tensor("input", (-1, 64, 64, 3)), [], lambda batch: {})
    with pytest.raises(CardError, match="is a part of others"):
        Landmarks(Model(EYE, session))
