# SPDX-License-Identifier: Apache-2.0
"""A command line with a toy model: no weights, no network, known answers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pose_ros import registry
from pose_ros.cli.main import main
from pose_ros.core.poses import Poses
from pose_ros.estimators.base import ImageEstimator
from pose_ros.media.video import write_image
from pose_ros.runtime.session import FakeSession, Tensor

_CARD = """\
kind: estimator
plugin: toy
summary: One person in every bright image.
file: {path: toy.onnx}
licence: {weights: Apache-2.0}
input_wh: [8, 8]
skeleton: coco17
"""


class Toy(ImageEstimator):
    """One person in a bright image, with the nose missing; nobody in a dark one."""

    def estimate(self, image: np.ndarray) -> Poses:
        if image.mean() < 100:
            return Poses.empty(self.skeleton)
        keypoints = np.tile(np.array([[[10.0, 20.5]]], np.float32), (1, 17, 1))
        keypoints[0, 0] = np.nan
        scores = np.full((1, 17), 0.9, np.float32)
        scores[0, 0] = 0
        boxes, subject_scores = np.array([[1, 2, 30, 40]]), np.array([0.75])
        return Poses(self.skeleton, keypoints, scores, boxes=boxes, subject_scores=subject_scores)


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process."""

    def run(*argv: object) -> Ran:
        code = main([str(a) for a in argv])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a model that needs no weights; its card stands in a folder of the user's own."""
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "toy.yaml").write_text(_CARD)
    (cards / "toy.onnx").write_bytes(b"no network here")
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(cards))
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path / "cache"))
    estimators = {**registry.BUILTIN["estimators"], "toy": f"{__name__}:Toy"}
    monkeypatch.setattr(registry, "BUILTIN", {**registry.BUILTIN, "estimators": estimators})
    session = FakeSession(Tensor("in", (-1, 3, 8, 8)), [], lambda batch: {})
    monkeypatch.setattr(importlib.import_module("pose_ros.build"), "open_session", lambda path, **_: session)
    return "toy"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A bright image, 48 x 64."""
    path = tmp_path / "pictures" / "000000000139.png"
    write_image(path, np.full((64, 48, 3), 200, np.uint8))
    return path
