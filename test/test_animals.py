# SPDX-License-Identifier: Apache-2.0
"""Animals through the whole pipeline: which are looked for, what they are called, and how well they are measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from pose_ros.metrics.average_precision import of_keypoints
from pose_ros.metrics.columns import GroundTruth, Predictions
from pose_ros.models import cards
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def animals():
    """The module benchmarks/animals.py."""
    spec = importlib.util.spec_from_file_location("animals", ROOT / "benchmarks" / "animals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_keypoints_of_animals_are_measured_as_mmpose_does():
    """With AP-10K's sigmas, as recorded of xtcocotools by record_animal_oks.py."""
    data = json.loads((DATA / "animal_oks.json").read_text())
    labels, found = data["truth"]["annotations"], data["results"]
    own, other = (np.reshape([row["keypoints"] for row in rows], (len(rows), 17, 3)) for rows in (labels, found))
    boxes = np.array([row["bbox"] for row in labels], float)
    boxes[:, 2:] += boxes[:, :2]
    areas, crowd, images = (np.array([row[key] for row in labels]) for key in ("area", "iscrowd", "image_id"))
    truth = GroundTruth(images, boxes, areas, own[..., :2], own[..., 2], crowd)
    scores, images = (np.array([row[key] for row in found]) for key in ("score", "image_id"))
    results = Predictions(images, scores, keypoints=other[..., :2])
    sigmas = np.array(catalogue.get("ap10k17").sigmas)
    stats = of_keypoints(truth, results, sigmas.tolist()).summary()
    np.testing.assert_allclose([*stats.values()], data["stats"], atol=1e-6)
    assert 0.2 < stats["AP"] < 0.8
    assert of_keypoints(truth, results, (1.1 * sigmas).tolist()).summary()["AP"] > stats["AP"] + 0.01


@pytest.fixture
def stand_in(animals, testdata, tmp_path, monkeypatch):
    """A store with a detector, and the card of a network whose keypoints lie at the same places of every box."""
    animals.make_stand_in(tmp_path)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))
    store = Store(tmp_path / "store", offline=True)
    store.fetch(store.card("yolox-nano"), source=testdata / "models/detector/yolox_nano.onnx")
    return store


#: Photograph -> what is in it, by the names that the detector has.
SEEN = {
    "animal/ak/AAOYRUDX/AAOYRUDX_f000027.jpg": {"elephant"},
    "animal/animalpose/ca110.jpeg": {"cat"},
    "animal/horse10/0292.png": {"horse"},
}


@pytest.mark.parametrize("name", SEEN)
def test_animals_are_found_and_called_by_their_names(animals, stand_in, testdata, name):
    poses = build("stand-in", stand_in)(animals.Frame(animals.read(testdata / name), 0)).poses
    assert set(poses.labels) == SEEN[name]
    assert np.isfinite(poses.keypoints).all()


def test_people_are_no_animals_and_named_classes_win(animals, stand_in, testdata):
    image = animals.read(testdata / "animal/animalpose/ca110.jpeg")
    config = {"model": "stand-in", "detector": {"classes": "dog, person", "score_threshold": 0.6}}
    assert not len(build(config, stand_in)(animals.Frame(image, 0)).poses)
    detector = build("stand-in", stand_in).source.detector
    assert {detector.card.classes[i] for i in detector._classes} == set(cards.get("rtmpose-m-ap10k").subjects)


def test_a_dog_keeps_its_id(animals, stand_in, testdata, capsys, monkeypatch):
    """In every tenth frame of a clip."""
    import cv2

    video = cv2.VideoCapture(str(testdata / "video/dlclive_dog_clip.avi"))
    pipeline = build("stand-in", stand_in)
    ids = set()
    for i in range(200):
        image = video.read()[1]
        if i % 10 == 0:
            ids.update(pipeline(animals.Frame(image[..., ::-1].copy(), round(i / 30 * 1e9))).poses.ids.tolist())
    assert ids == {1}
