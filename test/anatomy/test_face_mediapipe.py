# SPDX-License-Identifier: Apache-2.0
"""The real networks against what MediaPipe 0.10.21 said about the same images, and heads against its canonical face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.anatomy.face import described
from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.errors import ModelMissingError
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

RECORD = Path(__file__).parents[1] / "data/face/face_mesh_0_10_21.npz"
MESH = 468


def built(model: str) -> Pipeline:
    try:
        return build({"model": model, "track": False, "top_down": {"max_subjects": 10}}, allow_fetch=False)
    except ModelMissingError as error:
        pytest.skip(f"needs the networks: {error}")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return built("mediapipe-face-mesh-iris")


def camera(image: np.ndarray) -> Camera:
    """Return a camera that could have taken the image."""
    height, width = image.shape[:2]
    return Camera(np.array([[1.2 * width, 0, width / 2], [0, 1.2 * width, height / 2], [0, 0, 1]]), (width, height))


def look(pipeline: Pipeline, image: np.ndarray) -> Poses:
    pipeline.reset()
    eye = camera(image)
    return described(pipeline(Frame(image, 0, camera=eye)).poses, eye)


@pytest.fixture(scope="module")
def pairs(testdata: Path, pipeline: Pipeline) -> list[tuple[Poses, np.ndarray]]:
    """Every face that MediaPipe found, as we (one face) and as it (478, 2) saw it."""
    return list(_pairs(testdata, pipeline))


def _pairs(testdata: Path, pipeline: Pipeline) -> Iterator[tuple[Poses, np.ndarray]]:
    with np.load(RECORD) as file:
        names, landmarks = file["files"], file["landmarks"] / float(file["per_pixel"])
    for name in dict.fromkeys(names.tolist()):
        poses = look(pipeline, cv2.cvtColor(cv2.imread(str(testdata / name)), cv2.COLOR_BGR2RGB))
        for theirs in landmarks[names == name]:
            away = np.linalg.norm(poses.keypoints - theirs, axis=2)
            row = int(np.median(away, axis=1).argmin())
            assert np.median(away[row]) < 0.1 * np.ptp(theirs, axis=0).max(), f"{name}: the same face"
            yield poses.select(np.array([row])), theirs


def test_points_and_irises_are_where_mediapipe_sees_them(pairs):
    """MediaPipe's own model has irises and lips from attention (Grishchenko et al. 2020), not the same networks."""
    assert len(pairs) == 17
    distances = np.array([
        np.linalg.norm(ours.keypoints[0] - theirs, axis=1) / np.ptp(theirs[:MESH], axis=0).max()
        for ours, theirs in pairs
    ])
    assert np.median(distances[:, :MESH]) < 0.02
    assert np.median(distances[:, MESH:]) < 0.01
    assert np.median(distances, axis=1).max() < 0.06


def test_heads_are_turned_as_the_three_dimensional_mesh_is(pairs):
    """The mesh's own depth, laid on the canonical face (Kabsch), knows nothing of cameras; near the edge of the image
    a camera sees a head from the side, which is taken into account here."""
    off = []
    for poses, _ in pairs:
        rigid = poses.skeleton.rigid
        true, seen = np.array(list(rigid.values())), poses.local_points[0, list(rigid)]
        u, _, vt = np.linalg.svd((seen - seen.mean(axis=0)).T @ (true - true.mean(axis=0)))
        kabsch = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        ray = poses.frames[0, 0, :3] / np.linalg.norm(poses.frames[0, 0, :3])
        axis = np.cross([0, 0, 1], ray)
        aside = cv2.Rodrigues(axis / np.linalg.norm(axis) * np.arcsin(np.linalg.norm(axis)))[0]
        relative = (aside @ kabsch).T @ quaternion.to_matrices(poses.frames[0, 0, 3:])
        off.append(np.rad2deg(np.arccos(np.clip((np.trace(relative) - 1) / 2, -1, 1))))
    assert np.median(off) < 6


def test_metres_fit_a_person(pairs):
    """Faces of adults are 12 to 17 cm wide between the temples."""
    widths = [np.linalg.norm(poses.local_points[0, 127] - poses.local_points[0, 356]) for poses, _ in pairs]
    assert min(widths) > 0.12
    assert max(widths) < 0.18


def test_shut_eyes_measure_less_than_open_ones(testdata, pipeline):
    """The man on the right of the clip looks to the floor, eyes nearly shut; the one of 300-W looks up."""
    frames = cv2.VideoCapture(str(testdata / "video/mmaction2_demo_skeleton.mp4"))
    for _ in range(7):
        ok, image = frames.read()
        assert ok
    farther = built("mediapipe-face-detection-full-range+mediapipe-face-mesh-iris")
    found = look(farther, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    shut = found.measures[found.boxes[:, 0].argmax(), :2]
    open_eyes = look(pipeline, cv2.cvtColor(cv2.imread(str(testdata / "face/300w/indoor_020.png")), cv2.COLOR_BGR2RGB))
    assert shut.max() < 0.15
    assert open_eyes.measures[0, :2].min() > 0.25
