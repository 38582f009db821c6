# SPDX-License-Identifier: Apache-2.0
"""RTMO's two kinds of files: candidates of our network, and subjects as OpenMMLab's files have them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros.errors import CardError, ShapeError
from pose_ros.estimators.rtmo import Rtmo, RtmoOptions
from pose_ros.models.card import Licence, ModelCard, ModelFile, Preprocess
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

sys.path.append(str(Path(__file__).parents[1] / "detectors"))
import end2end_file

RNG = np.random.default_rng(3)
BOXES = np.float32([[10, 10, 30, 50], [11, 10, 31, 50], [40, 5, 60, 30]])
SCORES = np.float32([0.9, 0.8, 0.7])
KEYPOINTS = np.concatenate([RNG.uniform(0, 60, (3, 17, 2)), RNG.uniform(0, 1, (3, 17, 1))], axis=2).astype(np.float32)
CANDIDATES = ("boxes", "scores", "keypoints", "visibilities")


def card(*outputs: str) -> ModelCard:
    return ModelCard("tiny", "estimator", "rtmo", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), (64, 64),
                     Preprocess(color="bgr"), skeleton="coco17", outputs=outputs)


def fake(*values: np.ndarray, names: tuple[str, ...]) -> FakeSession:
    outputs = {name: value[None] for name, value in zip(names, values, strict=True)}
    seen: list[np.ndarray] = []
    session = FakeSession(
        Tensor("image", (-1, 3, 64, 64)), [Tensor(name, (-1, *value.shape[1:])) for name, value in outputs.items()],
        lambda batch: seen.append(batch) or outputs,  # type: ignore[func-returns-value]
    )
    session.seen = seen  # type: ignore[attr-defined]
    return session


@pytest.fixture(params=["ours", "onnxruntime", "openvino"])
def session(request: pytest.FixtureRequest, tmp_path: Path):
    """The same people in each kind of file."""
    if request.param == "ours":
        return fake(BOXES, SCORES, KEYPOINTS[..., :2], KEYPOINTS[..., 2], names=CANDIDATES)
    end2end_file.write(tmp_path / "end2end.onnx", BOXES, KEYPOINTS)
    return open_session(tmp_path / "end2end.onnx", device="cpu", runtime=request.param, outputs=("dets", "keypoints"))


def estimate(session, image: np.ndarray | None = None, **options):
    made = Rtmo(Model(card(*(t.name for t in session.outputs)), session), RtmoOptions(**options))
    return made.estimate(np.full((128, 96, 3), 255, np.uint8) if image is None else image)


def test_people_come_back_to_the_image(session):
    """The longer side, 128, is twice the input's: pixels are points, so everything is twice as large."""
    poses = estimate(session)
    np.testing.assert_allclose(poses.keypoints, 2 * KEYPOINTS[[0, 2], :, :2], atol=1e-4)
    np.testing.assert_allclose(poses.scores, KEYPOINTS[[0, 2], :, 2], atol=1e-6)
    np.testing.assert_allclose(poses.boxes, 2 * BOXES[[0, 2]], atol=1e-4)
    np.testing.assert_allclose(poses.subject_scores, SCORES[[0, 2]], atol=1e-6)


def test_thresholds(session):
    assert len(estimate(session, score_threshold=0.75)) == 1
    assert len(estimate(session, max_detections=1)) == 1
    assert len(estimate(session, nms_iou=0.1)) == 2


def test_the_network_sees_bgr_in_the_corner_with_grey_around():
    session = fake(BOXES, SCORES, KEYPOINTS[..., :2], KEYPOINTS[..., 2], names=CANDIDATES)
    estimate(session, np.full((128, 96, 3), (10, 20, 30), np.uint8))
    (batch,) = session.seen
    assert batch[0, :, 0, 0].tolist() == batch[0, :, 60, 40].tolist() == [30, 20, 10]
    assert batch[0, :, 60, 55].tolist() == [114, 114, 114]


def test_a_row_of_zeros_is_nobody():
    session = fake(np.zeros((1, 5)), np.zeros((1, 17, 3)), names=("dets", "keypoints"))
    assert len(estimate(session, score_threshold=0.0)) == 0


def test_keypoints_that_are_none_are_missing():
    keypoints = KEYPOINTS.copy()
    keypoints[0, 5, 0] = np.nan
    keypoints[2] = np.inf
    poses = estimate(fake(BOXES, SCORES, keypoints[..., :2], keypoints[..., 2], names=CANDIDATES))
    assert len(poses) == 1, "a subject without any keypoint is none"
    assert np.flatnonzero(np.isnan(poses.keypoints[0, :, 0])).tolist() == [5]
    assert poses.scores[0, 5] == 0


def test_other_outputs_are_refused():
    with pytest.raises(CardError, match="outputs: expected boxes, scores, keypoints and visibilities; or"):
        Rtmo(Model(card("dets"), fake(np.zeros((1, 5)), names=("dets",))))
    session = fake(np.zeros((2, 5)), np.zeros((2, 14, 3)), names=("dets", "keypoints"))
    with pytest.raises(ShapeError, match=r"expected \(n, 5\) and \(n, 17, 3\), got \(2, 5\) and \(2, 14, 3\)"):
        estimate(session)
