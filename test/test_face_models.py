# SPDX-License-Identifier: Apache-2.0
"""Real networks of faces: as accurate as ever, and what they do where there is no whole face to see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.errors import ModelMissingError
from pose_ros.evaluation import Job, estimate, score
from pose_ros.models.store import Store
from pose_ros.wiring import build

#: Model and labels -> what ``pose-ros eval`` printed (docs/models.md), and how far off is still no mistake.
NME = {
    ("pfld-68", "300w/test_300w.json"): (0.044, 0.003),
    ("pfld-68", "300wlp/test_300wlp.json"): (0.054, 0.003),
    ("pfld-68", "300vw/anno_300vw.json"): (0.032, 0.003),
    ("ultraface-rfb-320+pfld-68", "wflw/test_wflw.json"): (0.044, 0.003),
    ("dlib-68", "300w/test_300w.json"): (0.049, 0.003),
    ("dlib-68", "300vw/anno_300vw.json"): (0.027, 0.003),
    ("mediapipe-face-detection-full-range+dlib-68", "300vw/anno_300vw.json"): (0.028, 0.004),
    ("ultraface-rfb-320+dlib-68", "300vw/anno_300vw.json"): (0.026, 0.004),
    ("mediapipe-face-detection-full-range+mediapipe-face-mesh-iris", "300w/test_300w.json"): (0.051, 0.006),
    ("mediapipe-face-detection-full-range+mediapipe-face-mesh-iris", "300wlp/test_300wlp.json"): (0.058, 0.006),
}
#: Of the test data.
_FILES = {"ultraface-rfb-320": "face/ultraface_rfb_320.onnx", "pfld-68": "face/pfld_68.onnx"}
MESH, TREES, SMALL = "mediapipe-face-mesh-iris", "ultraface-rfb-320+dlib-68", "ultraface-rfb-320+pfld-68"


@pytest.fixture(scope="module")
def store(testdata, tmp_path_factory):
    """What ``make test`` fetched from PyPI, and networks of the test data."""
    folder = tmp_path_factory.mktemp("cache") / "models"
    folder.mkdir()
    cached, own = Store(), Store(folder, offline=True, accept_licences=["dlib-68", "pfld-68"])
    for name in ("dlib-68", "mediapipe-face-mesh-iris", "mediapipe-iris-landmark",
                 "mediapipe-face-detection-short-range", "mediapipe-face-detection-full-range"):  # fmt: skip
        try:
            path = cached.path(cached.card(name))
        except ModelMissingError as error:
            pytest.skip(str(error))
        (folder / path.name).symlink_to(path)
    for name, file in _FILES.items():
        own.fetch(own.card(name), source=testdata / "models" / file)
    return own


@pytest.fixture(scope="module")
def pipelines(store):
    return {m: build({"model": m, "top_down": {"max_subjects": 50}}, store) for m in (MESH, TREES, SMALL)}


@pytest.fixture(scope="module")
def face(testdata):
    return _read(testdata / "face/300w/indoor_020.png")


@pytest.fixture(scope="module")
def woman(testdata):
    return _read(testdata / "face/300vw/001/imgs/000006.jpg")[60:360, 620:1000]


def _read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def seen(pipeline, image):
    pipeline.reset()
    return pipeline(Frame(np.ascontiguousarray(image), 0)).poses


@pytest.mark.parametrize(("model", "labels"), NME)
def test_figures(testdata, store, monkeypatch, model, labels):
    monkeypatch.setenv("POSE_ROS_CACHE", str(store.folder.parent))
    monkeypatch.setenv("POSE_ROS_ACCEPT_LICENCES", ",".join(store.accepted))
    path = testdata / "face" / labels
    data = {"300wlp": "300w-lp"}.get(path.parent.name, path.parent.name)
    job = Job(data, path.parent, model, path.name, "" if "+" in model else "keypoints")
    scores = score(job.dataset(), estimate(job), job.skeleton(), 0)
    figure, margin = NME[model, labels]
    assert scores.found == len(scores.subjects) > 0
    assert scores.measures[0].name == "NME"
    assert scores.measures[0].value == pytest.approx(figure, abs=margin)


@pytest.mark.parametrize("model", [MESH, TREES, SMALL])
def test_nobody_is_nobody(pipelines, model, testdata, rng):
    """The mesh's detector takes noise and a palm for faces; the mesh itself says that they are none."""
    for image in (np.full((480, 640, 3), 128, np.uint8), rng.integers(0, 256, (480, 640, 3), np.uint8),
                  _read(sorted((testdata / "hand/freihand").rglob("*.jpg"))[0])):  # fmt: skip
        assert len(seen(pipelines[model], image)) == 0


@pytest.mark.parametrize("model", [TREES, SMALL])
def test_thirty_faces_in_one_picture(pipelines, model, woman):
    poses = seen(pipelines[model], np.tile(woman, (5, 6, 1)))
    assert len(poses) == 30
    middles = np.nanmean(poses.keypoints, axis=1)
    cells = {(int(x // woman.shape[1]), int(y // woman.shape[0])) for x, y in middles}
    assert len(cells) == 30
    # All are the same face but for how it falls on the detector's pixels.
    local = poses.keypoints - middles[:, None]
    width = np.ptp(local[0, :, 0])
    assert np.median(np.linalg.norm(local - np.nanmedian(local, axis=0), axis=2)) < 0.05 * width


@pytest.mark.parametrize("model", [MESH, TREES, SMALL])
def test_a_face_of_12_pixels_is_not_seen(pipelines, model, face):
    image = np.full((480, 640, 3), 110, np.uint8)
    tiny = cv2.resize(face, None, fx=12 / 500, fy=12 / 500, interpolation=cv2.INTER_AREA)
    image[200 : 200 + len(tiny), 300 : 300 + tiny.shape[1]] = tiny
    assert len(seen(pipelines[model], image)) == 0


@pytest.mark.parametrize("model", [MESH, TREES, SMALL])
def test_a_face_at_the_border_stays_within_reason(pipelines, model, face):
    """A third of it is outside; trees say nothing of what they cannot see, networks guess it."""
    poses = seen(pipelines[model], face[:, 250:])
    assert len(poses) == 1
    points = poses.keypoints[0]
    outside = (points[:, 0] < -0.5).sum()
    assert (outside == 0) == (model == TREES)
    assert np.isfinite(points).all(axis=1).sum() == (62 if model == TREES else len(points))
    np.testing.assert_array_less(np.abs(points[np.isfinite(points).all(axis=1)]), 2000)


@pytest.mark.parametrize("model", [MESH, TREES, SMALL])
def test_a_photo_of_a_photo_is_a_face(pipelines, model, face):
    picture = np.full((720, 960, 3), 160, np.uint8)
    corners = np.float32([[0, 0], [725, 0], [725, 767], [0, 767]])
    matrix = cv2.getPerspectiveTransform(corners, np.float32([[320, 200], [600, 170], [630, 520], [330, 500]]))
    small = cv2.warpPerspective(face, matrix, (960, 720), flags=cv2.INTER_AREA)
    inside = cv2.warpPerspective(np.full_like(face, 255), matrix, (960, 720)) > 0
    poses = seen(pipelines[model], np.where(inside, small, picture))
    assert len(poses) == 1
    middle = np.nanmean(poses.keypoints[0], axis=0)
    assert (np.abs(middle - [455, 360]) < 40).all()


def test_profiles(pipelines, testdata):
    """The mesh follows a face to its profile. Trees were trained on faces that look at the camera, and draw one."""
    image = _read(testdata / "body2d/aic/fa436c914fe4a8ec1ec5474af4d3820b84d17561.jpg")
    for model, right in ((MESH, True), (TREES, False)):
        poses = seen(pipelines[model], image[130:320, 60:340])
        assert len(poses) == 1
        assert np.isfinite(poses.keypoints).all()
        nose = "point_1" if model == MESH else "nose_bridge_3"
        eyes = ("point_33", "point_263") if model == MESH else ("right_eye_0", "left_eye_3")
        assert (poses.keypoint(nose)[0, 0] > max(poses.keypoint(eye)[0, 0] for eye in eyes)) == right
