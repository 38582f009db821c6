# SPDX-License-Identifier: Apache-2.0
"""The package as others get it: one version, complete wheels, declared dependencies, a light import."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import pose_ros

ROOT = Path(__file__).parents[1]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()

#: Python library -> its rosdep key.
ROSDEP = {
    "aiohttp": "python3-aiohttp",
    "cv2": "python3-opencv",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "yaml": "python3-yaml",
}
#: Libraries that rosdep has no key for.
WITHOUT_KEY = {"ai_edge_litert", "openvino", "tomli"}
#: Libraries that only checkpoints, their export, measuring accuracy, files of motion capture and Rerun's viewer need:
#: extras, which no robot has to have.
EXTRAS = {"distributed", "ezc3d", "onnx", "onnxscript", "pyarrow", "pycocotools", "rerun", "safetensors", "torch"}
#: Programs that are compared with, in environments of their own; nothing here imports them.
COMPARED = {"mediapipe", "rtmlib"}


def test_version_is_written_once() -> None:
    assert MANIFEST.findtext("version") == pose_ros.__version__


def test_importing_the_package_is_light() -> None:
    heavy = ("cv2", "numpy", "onnxruntime", "openvino", "ai_edge_litert", "torch", "rclpy", "matplotlib", "rich")
    code = f"import sys, pose_ros; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_messages_and_code_are_one_package() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from pose_ros.msg import SkeletonArray

    from pose_ros.core.skeleton import Skeleton

    assert SkeletonArray().skeletons == []
    assert Skeleton.__module__ == "pose_ros.core.skeleton"


def test_every_imported_library_is_declared() -> None:
    declared = {element.text for element in MANIFEST if element.tag in ("depend", "exec_depend")}
    used: set[str] = set()
    for path in [*(ROOT / "pose_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                used.add(str(node.module).split(".")[0])
    others = used - sys.stdlib_module_names - {"pose_ros"} - WITHOUT_KEY - EXTRAS - COMPARED
    assert {ROSDEP.get(name, name) for name in others} <= declared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """What ``pip install .`` installs."""
    if int(metadata.version("setuptools").split(".")[0]) < 70:  # not imported: it replaces distutils as it loads
        pytest.skip("needs setuptools 70 or newer, which pip would get for itself")
    copy = tmp_path_factory.mktemp("source")
    for name in ("package.xml", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "pose_ros", copy / "pose_ros", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    built = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(copy.glob("*.whl")))


def test_wheel_has_all_code_and_data(wheel: zipfile.ZipFile) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pose_ros").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"pose_ros/py.typed", "pose_ros/skeletons/coco17.yaml"} <= expected
    assert expected - set(wheel.namelist()) == set()


def test_wheel_says_version_and_program(wheel: zipfile.ZipFile) -> None:
    folder = f"pose_ros-{pose_ros.__version__}.dist-info"
    assert f"Version: {pose_ros.__version__}\n" in wheel.read(f"{folder}/METADATA").decode()
    assert "pose-ros = pose_ros.cli.main:main" in wheel.read(f"{folder}/entry_points.txt").decode()
