# SPDX-License-Identifier: Apache-2.0
"""Names -> a pipeline. Networks are replaced by numbers; what is tested is the wiring."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.errors import (
    CardError,
    ConfigError,
    DeviceError,
    ModelCorruptError,
    ModelMissingError,
    UnknownNameError,
)
from pose_ros.models import files
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.sources import TopDown
from pose_ros.wiring import pieces

DETECTOR = {"kind": "detector", "plugin": "yolox", "summary": "A test.", "file": {"path": "d.onnx"},
            "licence": {"weights": "MIT"}, "input_wh": [64, 64], "classes": ["person"]}
ESTIMATOR = {"kind": "estimator", "plugin": "heatmap", "summary": "A test.", "file": {"path": "e.onnx"},
             "licence": {"weights": "MIT"}, "input_wh": [48, 64], "skeleton": "coco17", "detector": "finder"}
#: The outline of an .onnx file.
_FILE = b"\x08\x08\x3a\x05graph"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two small cards of the user's own; returns what sessions were opened with."""
    for name, card, file in (("finder", DETECTOR, "d.onnx"), ("poser", ESTIMATOR, "e.onnx")):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(card))
        (tmp_path / file).touch()
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))
    calls: list[dict[str, Any]] = []

    def open_session(path: Path, **how: Any) -> FakeSession:
        calls.append({"path": path, **how})
        width, height = (64, 64) if path.name == "d.onnx" else (48, 64)
        # One person around (16, 48), 48 wide and high; one blob in the middle of every map.
        found = np.zeros((84, 6), np.float32)
        found[82] = [0.5, 0.5, np.log(1.5), np.log(1.5), 1, 0.9]
        maps = np.zeros((17, 16, 12), np.float32)
        maps[:, 8, 6] = 0.7
        answer = found if path.name == "d.onnx" else maps
        return FakeSession(
            Tensor("image", (-1, 3, height, width)), [Tensor("out", (-1, *answer.shape))],
            lambda batch: {"out": np.repeat(answer[None], len(batch), axis=0)},
        )

    monkeypatch.setattr(pieces, "open_session", open_session)
    return calls


@pytest.fixture
def build(opened: list[dict[str, Any]], tmp_path: Path) -> Callable[..., Pipeline]:
    store = Store(tmp_path / "cache", offline=True)
    return lambda config=None, **how: wiring.build(config, store, **how)


IMAGE = np.zeros((64, 64, 3), np.uint8)


def test_a_name_is_enough(build):
    pipeline = build("poser")
    assert pipeline.source.name == "finder+poser"
    result = pipeline(Frame(IMAGE))
    assert result.poses.ids.tolist() == [1]
    np.testing.assert_allclose(result.poses.boxes, [[-8.5, 23.5, 39.5, 71.5]], atol=1e-4)
    np.testing.assert_allclose(result.poses.subject_scores, [0.9], atol=1e-6)
    np.testing.assert_allclose(result.poses.keypoints[0], [[15.5, 47.5]] * 17, atol=1e-4)
    assert result.poses.skeleton.name == "coco17"


def test_detector_and_estimator_by_name(build):
    assert build({"model": "finder+poser"}).source.name == "finder+poser"


def test_options_reach_their_parts(build, opened):
    pipeline = build({
        "model": "poser", "device": "cpu", "runtime": "onnxruntime", "threads": 2, "smooth": False,
        "detector": {"score_threshold": 0.7}, "estimator": {"plugin": "heatmap", "flip_test": True},
        "top_down": {"max_subjects": 3}, "tracker": {"max_lost": 2.5},
    })
    assert isinstance(pipeline.source, TopDown)
    assert pipeline.source.detector.options.score_threshold == 0.7
    assert pipeline.source.estimator.options.flip_test
    assert pipeline.source.options.max_subjects == 3
    assert pipeline.tracker.options.max_lost == 2.5
    assert pipeline.smoother is None
    assert [(c["path"].name, c["device"], c["runtime"], c["threads"]) for c in opened] == [
        ("e.onnx", "cpu", "onnxruntime", 2), ("d.onnx", "cpu", "onnxruntime", 2),
    ]


def test_tracking_can_be_left_out(build):
    assert build({"model": "poser", "track": False}).tracker is None


def test_a_block_may_be_empty_as_in_yaml(build):
    assert build({"model": "poser", "estimator": None, "detector": {}}).source.name == "finder+poser"


@pytest.mark.parametrize(("config", "message"), [
    ({"modle": "poser"}, "modle: unknown key; did you mean 'model'"),
    ({"model": "poser", "estimator": {"flip": True}}, r"estimator\.flip: unknown key; did you mean 'flip_test'"),
    ({"model": "poser", "detector": {"nms_iou": 2.0}}, r"detector\.nms_iou: expected 0 \.\. 1, got 2.0"),
    ({"model": "poser", "top_down": {"max_subject": 1}}, r"top_down\.max_subject: unknown key; did you mean"),
    ({"model": "poser", "tracker": {"max_lost": -1.0}}, r"tracker\.max_lost: expected 0 \.\. 60, got -1.0"),
    ({"model": "poser", "estimator": {"plugin": "rtmpose"}},
     r"estimator\.plugin: model 'poser' needs plugin 'heatmap', got 'rtmpose'"),
    ({"model": "finder"}, r"model: expected '\[detector\+\]estimator', got 'finder': 'finder' is a detector"),
    ({"model": "poser+poser"}, r"got 'poser\+poser': 'poser' is no detector"),
    ({"model": "poser+finder"}, "'finder' is a detector"),
])
def test_what_does_not_fit_is_named(build, config, message):
    with pytest.raises(ConfigError, match=message):
        build(config)


def test_unknown_names_list_near_ones(build):
    with pytest.raises(UnknownNameError, match="unknown model 'posr'; did you mean 'poser'"):
        build("posr")
    with pytest.raises(UnknownNameError, match="unknown model 'findr'; did you mean 'finder'"):
        build("findr+poser")
    with pytest.raises(UnknownNameError, match=r"unknown skeleton 'coco-17'; did you mean .*'coco17'"):
        build({"model": "poser", "skeleton": "coco-17"})


def test_an_estimator_of_crops_needs_a_detector(build, tmp_path):
    (tmp_path / "poser.yaml").write_text(yaml.safe_dump({k: v for k, v in ESTIMATOR.items() if k != "detector"}))
    with pytest.raises(ConfigError, match=r"model: 'poser' needs a detector: 'DETECTOR\+poser'"):
        build("poser")


@pytest.mark.parametrize("allow_fetch", [True, False])
def test_a_missing_file_is_named(build, tmp_path, allow_fetch):
    (tmp_path / "e.onnx").unlink()
    with pytest.raises(ModelMissingError, match=r"model 'poser': expected its file at .*e\.onnx"):
        build("poser", allow_fetch=allow_fetch)


def test_precision_and_batch_reach_every_network(build, opened):
    build({"model": "poser", "precision": "bfloat16", "batch": 4})
    assert [(c["name"], c["precision"], c["batch"]) for c in opened] == [
        ("poser", "bfloat16", 4), ("finder", "bfloat16", 4),
    ]
    with pytest.raises(ConfigError, match=r"precision: expected one of float32, float16, bfloat16; got 'int8'"):
        build({"model": "poser", "precision": "int8"})


@pytest.mark.parametrize(("card", "fits"), [
    ({}, True),
    ({"input_wh": [64, 48]}, False),
    ({"preprocess": {"layout": "nhwc"}}, False),
    ({"preprocess": {"dtype": "uint8"}}, False),
    ({"preprocess": {"color": "gray"}}, False),
])
def test_the_input_has_to_be_what_the_card_says(build, tmp_path, card, fits):
    (tmp_path / "poser.yaml").write_text(yaml.safe_dump({**ESTIMATOR, **card}))
    if fits:
        build("poser")
    else:
        with pytest.raises(CardError, match=r"'poser': expected an input .* as its card says .*, got float32 "
                                            r"\('N', 3, 64, 48\) in .*e.onnx; mend the card or take another file"):
            build("poser")


@pytest.mark.parametrize("shape", [(-1, 3, -1, -1), (-1, 3, 64, -1)])
def test_an_input_of_any_size_fits_every_card(build, monkeypatch, shape):
    plain = pieces.open_session

    def any_size(path: Path, **how: Any) -> FakeSession:
        session = plain(path, **how)
        session.inputs = (Tensor("image", shape),)
        return session

    monkeypatch.setattr(pieces, "open_session", any_size)
    assert build("poser").source.name == "finder+poser"


def test_a_device_that_is_absent_names_the_same_network_as_onnx(build, tmp_path, monkeypatch):
    def absent(path: Path, **how: Any) -> FakeSession:
        raise DeviceError("auto", "torch not installed: pip install 'pose_ros[torch]'")

    (tmp_path / "poser-pth.yaml").write_text(yaml.safe_dump(ESTIMATOR))
    monkeypatch.setattr(pieces, "open_session", absent)
    with pytest.raises(DeviceError, match=r"'auto': torch not .*; or take 'poser', the same network as ONNX$"):
        build("poser-pth")
    with pytest.raises(DeviceError, match=r"\[torch\]'$"):
        build("poser")


@pytest.mark.parametrize("sha256", ["", "known"])
@pytest.mark.parametrize("first", [False, True])
def test_a_new_file_that_does_not_fit_is_not_kept_unless_it_is_known(tmp_path, opened, monkeypatch, sha256, first):
    def download(card: Any, place: Path, *_: object) -> None:
        (tmp_path / "new").write_bytes(_FILE)
        files.keep(card, tmp_path / "new", place, card.file.url)

    def corrupt(path: Path, **how: Any) -> FakeSession:
        raise ModelCorruptError("poser", "another architecture")

    digest = {"sha256": hashlib.sha256(_FILE).hexdigest()} if sha256 else {}
    card = {**ESTIMATOR, "file": {"url": "https://example.org/e.onnx", **digest}}
    (tmp_path / "poser.yaml").write_text(yaml.safe_dump(card))
    monkeypatch.setattr("pose_ros.models.download.fetch", download)
    store = Store(tmp_path / "cache", offline=False)
    if first:  # as the command line does, to show how far it is
        store.fetch(store.card("poser"))
    monkeypatch.setattr(pieces, "open_session", corrupt)
    with pytest.raises(ModelCorruptError, match="another architecture"):
        wiring.build("poser", store)
    assert store.state(store.card("poser")) == ("ready" if sha256 else "missing")
