# SPDX-License-Identifier: Apache-2.0
"""A pose node with a model of a third party that needs no weights."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_CARD = """\
kind: estimator
plugin: {plugin}
summary: Known answers.
file: {{path: tiny.onnx{sha256}}}
licence: {{weights: Apache-2.0}}
input_wh: [8, 8]
skeleton: {skeleton}
"""


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stub_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that is like a site-packages with the plugin ``stub``, and like one with its model cards."""
    folder = tmp_path_factory.mktemp("stub_package")
    shutil.copy(_HERE / "stub_pose.py", folder)
    info = folder / "stub_pose-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stub-pose\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pose_ros.estimators]\nstub = stub_pose:Stub\nbroken = stub_pose:Nothing\n"
    )
    _load(_HERE.parent / "runtime" / "onnx_file.py").write(folder / "tiny.onnx")
    cards = {
        "stub": ("stub", "coco17", ""),
        "stub33": ("stub", "mediapipe33", ""),
        "broken": ("broken", "coco17", ""),
        "nameless": ("stubb", "coco17", ""),
        "tampered": ("stub", "coco17", ", sha256: " + "0" * 64),
    }
    for name, (plugin, skeleton, sha256) in cards.items():
        (folder / f"{name}.yaml").write_text(_CARD.format(plugin=plugin, skeleton=skeleton, sha256=sha256))
    (folder / "gone.yaml").write_text(
        _CARD.format(plugin="stub", skeleton="coco17", sha256="").replace("tiny.onnx", "gone.onnx")
    )
    return folder


@pytest.fixture
def stub_environment(stub_package: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of this process, and of others, in which the stub is installed."""
    monkeypatch.syspath_prepend(stub_package)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(stub_package))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(stub_package), str(_HERE.parents[1]), *sys.path]))
    return dict(os.environ)


@pytest.fixture
def pose_node(ros: Any, stub_environment: dict[str, str]) -> Callable[..., Any]:
    """Make a pose node in the test's executor; keyword arguments are parameters, ``__`` stands for a dot."""
    from rclpy.parameter import Parameter

    from pose_ros.nodes.pose_node import PoseNode

    made = []

    def make(**parameters: Any) -> Any:
        values = {"model": "stub", **{name.replace("__", "."): value for name, value in parameters.items()}}
        node = PoseNode(
            context=ros.context, parameter_overrides=[Parameter(n, value=v) for n, v in values.items()]
        )
        made.append(node)
        return ros.add(node)

    yield make
    for node in made:
        node.close()


