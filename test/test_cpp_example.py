# SPDX-License-Identifier: Apache-2.0
"""The headers of the C++ examples compile against our generated messages and do what they say; rclcpp is not needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def eigen() -> Path:
    """Folder of Eigen's headers: of the system, or of the wheel cmeel-eigen."""
    roots = [Path("/usr/include"), Path("/usr/local/include")]
    roots += [Path(entry) / "cmeel.prefix" / "include" for entry in sys.path]
    for root in roots:
        if (root / "eigen3" / "Eigen" / "Core").is_file():
            return root / "eigen3"
    pytest.skip("Eigen is not installed: apt install libeigen3-dev, or pip install cmeel-eigen")


def message_headers() -> list[Path]:
    """One include folder per installed ROS package that has headers of messages."""
    index = pytest.importorskip("ament_index_python", reason="ROS 2 is not installed")
    prefixes = index.get_packages_with_prefixes() if os.environ.get("AMENT_PREFIX_PATH") else {}
    if "pose_ros" not in prefixes:
        pytest.skip("AMENT_PREFIX_PATH names no folder where the messages of pose_ros are installed")
    folders = [Path(prefix) / "include" / name for name, prefix in prefixes.items()]
    return [folder for folder in folders if folder.is_dir()]


@pytest.mark.parametrize("name", ["skeleton_view_test", "gripper_test"])
def test_header_compiles_and_does_what_it_says(name: str, tmp_path: Path) -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if not compiler:
        pytest.skip("no C++ compiler")
    folders = [REPOSITORY / "examples" / "cpp", *message_headers()]
    includes = [f"-I{folder}" for folder in folders] + [f"-isystem{eigen()}"]
    program = tmp_path / name
    source = REPOSITORY / "test" / f"{name}.cpp"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]
    built = subprocess.run([compiler, *flags, *includes, source, "-o", program], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
