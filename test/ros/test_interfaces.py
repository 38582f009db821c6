# SPDX-License-Identifier: Apache-2.0
"""The interface packages of interfaces/ are those that the rest of the world speaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

#: As `ros2 topic info --verbose` prints it on any robot since Iron.
TF_MESSAGE_HASH = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"


def test_tf_message_is_that_of_geometry2() -> None:
    packages = pytest.importorskip("ament_index_python.packages", reason="ROS 2 is not installed")
    share = Path(packages.get_package_share_directory("tf2_msgs"))
    described = share / "msg" / "TFMessage.json"
    if not described.is_file():
        pytest.skip("this ROS 2 is older than type hashes")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(described.read_text())["type_hashes"]}
    assert hashes["tf2_msgs/msg/TFMessage"] == TF_MESSAGE_HASH


@pytest.mark.parametrize(
    ("package", "message", "fields"),
    [
        ("hri_msgs", "Skeleton2D", ["header", "skeleton"]),
        ("hri_msgs", "NormalizedRegionOfInterest2D", ["header", "xmin", "ymin", "xmax", "ymax", "c"]),
        ("vision_msgs", "Detection2D", ["header", "results", "bbox", "id"]),
        ("vision_msgs", "ObjectHypothesis", ["class_id", "score"]),
    ],
)
def test_fields(package: str, message: str, fields: list[str]) -> None:
    module = pytest.importorskip(f"{package}.msg", reason=f"{package} is not installed")
    assert list(getattr(module, message).get_fields_and_field_types()) == fields
