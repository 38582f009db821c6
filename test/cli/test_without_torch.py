# SPDX-License-Identifier: Apache-2.0
"""A machine without PyTorch: what it cannot run is said before anything is fetched, and all else does not need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_MISSING = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n'


@pytest.fixture
def spawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command in a process in which PyTorch cannot be imported."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "torch.py").write_text(_MISSING)
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")

    def run(*argv: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path / "without"), str(Path(__file__).parents[2]), *filter(None, sys.path)])
        command = [sys.executable, "-m", "pose_ros.cli", *map(str, argv)]
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    ("model", "instead"), [("hrnet-w32", ""), ("rtmpose-m-pth", "; or take 'rtmpose-m', the same network as ONNX")]
)
def test_a_checkpoint_is_refused_before_its_download(spawn, picture, monkeypatch, tmp_path, model, instead):
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path / "cache"))
    ran = spawn("run", picture, "--model", model)
    assert ran.returncode not in (0, None)
    # Offline, a download would have been what fails.
    assert ran.stderr == f"pose-ros: device 'auto': torch not installed: pip install 'pose_ros[torch]'{instead}\n"


def test_an_export_says_what_is_missing(spawn):
    ran = spawn("models", "export", "hrnet-w32")
    assert ran.returncode not in (0, None)
    assert "the Python package 'torch' is missing" in ran.stderr
    assert "licence" not in ran.stderr, "its file is fetched first"


def test_cards_are_listed(spawn):
    ran = spawn("models", "list", "hrnet-w32")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "17 points of COCO by HRNet-W32." in ran.stdout


def test_a_network_as_onnx_runs(spawn, models, testdata):
    image = testdata / "body2d" / "coco_mini" / "000000000139.jpg"
    ran = spawn("run", image, "--model", "yolox-nano+simplepose-ultralight")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "640 x 426, 2 found" in ran.stdout
