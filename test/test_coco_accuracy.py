# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the top-down models on real photographs, through the public interface, by pycocotools."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from pose_ros.models.store import Store

MODEL = "yolox-nano+simplepose-ultralight"
#: How much less than the recorded baseline is still no mistake.
MARGIN = 0.01


@pytest.fixture(scope="module")
def coco() -> ModuleType:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed; see the extra 'dev'")
    spec = importlib.util.spec_from_file_location("coco", Path(__file__).parents[1] / "benchmarks" / "coco.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store(coco: ModuleType, testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the models of the test data and nothing else."""
    made = Store(tmp_path_factory.mktemp("models"), offline=True, accept_licences=["simplepose-ultralight"])
    coco.stock(made, testdata / "models", MODEL)
    return made


@pytest.fixture(scope="module")
def baselines(testdata: Path) -> dict[str, list[float]]:
    return json.loads((testdata / "expected.json").read_text())["baselines"]


def test_keypoints_in_boxes_of_the_truth(coco, store, testdata, baselines):
    stats = coco.evaluate(testdata / "body2d/coco_mini", MODEL, "truth", store)
    assert stats["keypoints"]["AP"] >= baselines["coco_mini simplepose gtbox"][0] - MARGIN
    assert "boxes" not in stats


def test_keypoints_and_boxes_of_the_detector(coco, store, testdata, baselines):
    stats = coco.evaluate(testdata / "body2d/coco_mini", MODEL, "detector", store)
    assert stats["keypoints"]["AP"] >= baselines["coco_mini simplepose yolox"][0] - MARGIN
    assert stats["boxes"]["AP"] >= baselines["coco_mini yolox_nano person bbox"][0] - MARGIN
