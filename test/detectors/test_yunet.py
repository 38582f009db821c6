# SPDX-License-Identifier: Apache-2.0
"""YuNet against OpenCV's own decoder: both read one ONNX file, whose answer is planted in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pose_ros.detectors.yunet import YuNetDetector, YuNetOptions
from pose_ros.errors import CardError, ShapeError
from pose_ros.models import cards
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

CARD = dataclasses.replace(cards.get("yunet-s"), input_wh=(320, 320))
STRIDES = (8, 16, 32)
#: Eyes, nose, corners of the mouth of an upright face in its box.
FACE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def random_outputs(rng: np.random.Generator, faces: int) -> list[np.ndarray]:
    """Return outputs that show some faces anywhere, and doubts everywhere."""
    outputs = []
    for kind, numbers in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in STRIDES:
            count = (320 // stride) ** 2
            if kind in ("cls", "obj"):
                values = rng.uniform(0, 0.3, (count, 1))
                values[rng.choice(count, faces, replace=False)] = rng.uniform(0.5, 1.1, (faces, 1))
            else:
                values = rng.normal(0, 1, (count, numbers))
            outputs.append(values.astype(np.float32))
    for level in range(3):  # what looks like a face is an object
        outputs[3 + level][outputs[level] > 0.5] = rng.uniform(0.5, 1.1)
    return outputs


def planted(box: tuple[float, float, float, float], points: np.ndarray, score: float = 0.9) -> list[np.ndarray]:
    """Return outputs that show one face: xyxy and five points in pixels of the input, from the edge."""
    outputs = [np.zeros(((320 // s) ** 2, n), np.float32) for n in (1, 1, 4, 10) for s in STRIDES]
    centre, size = np.array([box[0] + box[2], box[1] + box[3]]) / 2, np.array([box[2] - box[0], box[3] - box[1]])
    cell = (centre // 16).astype(int)
    row = cell[1] * 20 + cell[0]
    outputs[1][row], outputs[4][row] = score**2, 1
    outputs[7][row] = [*(centre / 16 - cell), *np.log(size / 16)]
    outputs[10][row] = (points / 16 - cell).ravel()
    return outputs


def detector(outputs: list[np.ndarray], **options: float) -> YuNetDetector:
    named = {name: value[None] for name, value in zip(CARD.outputs, outputs, strict=True)}
    session = FakeSession(Tensor("input", (-1, 3, 320, 320)), [Tensor(n, (-1, *v.shape[1:])) for n, v in named.items()],
                          lambda batch: named)
    return YuNetDetector(Model(CARD, session), YuNetOptions(**options))  # type: ignore[arg-type]


def write(outputs: list[np.ndarray], path: Path) -> None:
    """Write a network that says the same for every image, under the names that OpenCV asks for."""
    nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=1),
             helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
             helper.make_node("Reshape", ["nothing", "shape"], ["none"])]
    given = [numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
             numpy_helper.from_array(np.array([1, 1, 1]), "shape")]
    named = zip(CARD.outputs, outputs, strict=True)
    found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *values.shape]) for name, values in named]
    for name, values in zip(CARD.outputs, outputs, strict=True):
        given.append(numpy_helper.from_array(values[None], f"say_{name}"))
        nodes.append(helper.make_node("Add", [f"say_{name}", "none"], [name]))
    seen = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 320, 320])]
    graph = helper.make_graph(nodes, "planted", seen, found, given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_opencv(tmp_path, seed):
    path = tmp_path / "planted.onnx"
    write(random_outputs(np.random.default_rng(seed), 6), path)
    image = np.zeros((320, 320, 3), np.uint8)
    theirs = cv2.FaceDetectorYN.create(str(path), "", (320, 320), 0.5, 1.0, 5000)
    _, faces = theirs.detect(image)
    session = open_session(path, outputs=CARD.outputs)
    ours = YuNetDetector(Model(CARD, session), YuNetOptions(min_score=0.5, max_iou=1.0))
    found = ours.detect(image)
    assert len(found) == len(faces) >= 10
    # OpenCV leaves coordinates from the edge; here the centre of the first pixel is 0.
    boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1) - 0.5
    order, our_order = (np.lexsort((b[:, 1].round(2), b[:, 0].round(2))) for b in (boxes, found.boxes))
    np.testing.assert_allclose(found.boxes[our_order], boxes[order], atol=1e-3)
    np.testing.assert_allclose(found.scores[our_order], faces[order, 14], atol=1e-6)
    eyes = faces[order, 6:8] - faces[order, 4:6]
    np.testing.assert_allclose(found.regions[our_order, 4], np.arctan2(eyes[:, 1], eyes[:, 0]), atol=1e-4)


def test_a_face_comes_back_to_the_image_with_its_tilt():
    """The image is twice as large as the input; the eyes are on a line that falls by 45 degrees."""
    points = FACE * 60 + [100, 80]
    points[1] = points[0] + 20
    found = detector(planted((100, 80, 160, 140), points)).detect(np.zeros((640, 640, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[199.5, 159.5, 319.5, 279.5]], atol=1e-3)
    np.testing.assert_allclose(found.regions, [[259.5, 219.5, 120, 120, np.pi / 4]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-6)


def test_doubtful_faces_are_not_found():
    outputs = planted((100, 80, 160, 140), FACE * 60 + [100, 80], score=0.55)
    image = np.zeros((50, 70, 3), np.uint8)
    assert len(detector(outputs).detect(image)) == 0
    assert len(detector(outputs, min_score=0.5).detect(image)) == 1


@pytest.mark.parametrize(("change", "problem"), [
    ({"outputs": ("cls_8",)}, "outputs: expected cls, obj, bbox and kps"),
    ({"input_wh": (320, 330)}, "input_wh: expected multiples of 32"),
    ({"params": {}}, "params.roi: 'roi'"),
    ({"params": {"roi": {"start": 0, "end": 1, "tilt": 2}}}, "params.roi: .*tilt"),
])
def test_cards_that_do_not_fit_are_refused(change, problem):
    with pytest.raises(CardError, match=problem):
        YuNetDetector(Model(dataclasses.replace(CARD, **change), FakeSession(Tensor("input", (-1,)), [], dict)))


def test_a_network_of_another_size_is_refused():
    outputs = planted((100, 80, 160, 140), FACE * 60 + [100, 80])
    outputs[0] = outputs[0][:400]
    with pytest.raises(ShapeError, match="outputs of stride 8: expected"):
        detector(outputs).detect(np.zeros((9, 9, 3), np.uint8))
