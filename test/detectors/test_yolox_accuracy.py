# SPDX-License-Identifier: Apache-2.0
"""YOLOX-nano's real weights find the people of COCO as often as an independent program does with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_ros.core.regions import nms
from pose_ros.decode import yolox
from pose_ros.detectors.boxes import BoxOptions
from pose_ros.detectors.yolox import YoloxDetector
from pose_ros.models.store import Store
from pose_ros.plugin import Model
from pose_ros.runtime import open_session

#: Those with which the numbers of expected.json come out to the last digit.
MIN_SCORE, MAX_IOU = 0.05, 0.45
#: What bilinear interpolation at slightly other places costs or gains with 38 images.
MARGIN = 0.01


@pytest.fixture(scope="module")
def detector(testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> YoloxDetector:
    store = Store(tmp_path_factory.mktemp("models"), offline=True)
    card = store.card("yolox-nano")
    path = store.fetch(card, source=testdata / "models/detector/yolox_nano.onnx")
    return YoloxDetector(Model(card, open_session(path, device="cpu", runtime="onnxruntime", outputs=card.outputs)),
                         BoxOptions(score_threshold=MIN_SCORE, nms_iou=MAX_IOU))


@pytest.fixture
def score(testdata: Path) -> Callable[..., list[float]]:
    """Return the twelve numbers of pycocotools for a function: RGB image -> boxes from the image's edge, scores."""
    folder = testdata / "body2d/coco_mini"

    def evaluate(find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> list[float]:
        with redirect_stdout(StringIO()):
            truth = COCO(str(folder / "instances.json"))
            found = []
            for number, entry in truth.imgs.items():
                boxes, scores = find(cv2.imread(str(folder / entry["file_name"]))[..., ::-1])
                found += [
                    {"image_id": number, "category_id": 1, "score": float(s), "bbox": [*b[:2], *(b[2:] - b[:2])]}
                    for b, s in zip(boxes.astype(float), scores, strict=True)
                ]
            evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
            evaluation.params.catIds = [1]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [float(value) for value in evaluation.stats]

    return evaluate


def test_decoder_and_suppression_give_the_same_numbers(detector, score, testdata):
    """With that program's own way to shrink the image."""
    expected = json.loads((testdata / "expected.json").read_text())["baselines"]["coco_mini yolox_nano person bbox"]
    width, height = detector.card.input_wh

    def find(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ratio = min(width / image.shape[1], height / image.shape[0])
        small = cv2.resize(image, (int(image.shape[1] * ratio), int(image.shape[0] * ratio)))
        crop = np.full((1, height, width, 3), 114, np.uint8)
        crop[0, : small.shape[0], : small.shape[1]] = small
        (output,) = detector.session.run(detector.card.preprocess(crop)).values()
        boxes, scores, _ = yolox.decode(output[0], (width, height), classes=np.array([0]), min_score=MIN_SCORE)
        kept = nms(boxes, scores, MAX_IOU)
        return (boxes[kept] + 0.5) / ratio, scores[kept]

    np.testing.assert_allclose(score(find), expected, atol=5e-4)


def test_the_detector_is_as_good(detector, score, testdata):
    expected = json.loads((testdata / "expected.json").read_text())["baselines"]["coco_mini yolox_nano person bbox"]

    def find(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = detector.detect(image)
        return found.boxes + 0.5, found.scores

    assert score(find)[0] > expected[0] - MARGIN
