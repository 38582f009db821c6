# SPDX-License-Identifier: Apache-2.0
"""A command line, and a toy model of a third party: no weights, no network, known answers."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pose_ros.cli.main import main
from pose_ros.media.video import write_image

_HERE = Path(__file__).parent
_CARD = """\
kind: estimator
plugin: toy
summary: One person in every bright image.
file: {path: tiny.onnx}
licence: {weights: Apache-2.0}
input_wh: [8, 8]
skeleton: coco17
"""


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
    """Name of a model that is installed for this process and for those it starts; nothing else can be fetched."""
    folder = tmp_path / "site-packages"
    info = folder / "toy_pose-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-pose\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pose_ros.estimators]\ntoy = toy_pose:Toy\n")
    shutil.copy(_HERE / "toy_pose.py", folder)
    (folder / "toy.yaml").write_text(_CARD)
    spec = importlib.util.spec_from_file_location("onnx_file", _HERE.parent / "runtime" / "onnx_file.py")
    assert spec is not None
    assert spec.loader is not None
    onnx_file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(onnx_file)
    onnx_file.write(folder / "tiny.onnx", size=(3, 8, 8))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(folder))
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    return "toy"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A bright image, 48 x 64."""
    path = tmp_path / "pictures" / "000000000139.png"
    write_image(path, np.full((64, 48, 3), 200, np.uint8))
    return path
