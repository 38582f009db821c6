# SPDX-License-Identifier: Apache-2.0
"""The tutorials do what they say: their commands are run as they stand in the pages, in a folder of their own."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_docs_code import BLOCK, command_lines

ROOT = Path(__file__).resolve().parents[1]
#: Where the balls of the drawn wand are: tip, middle, grip; colours in OpenCV's order.
BALLS = {(500, 80): (0, 0, 255), (300, 240): (0, 255, 0), (100, 400): (255, 0, 0)}


def page(name, *languages):
    """Return the blocks of a page in some languages."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return [match[3] for match in BLOCK.finditer(text) if match[2] in languages]


def commands(name, word):
    """Return the words of the ``pose-ros`` commands of a page that hold a word."""
    found = [words for block in page(name, "bash") for words in command_lines(block, "pose-ros")]
    return [words for words in found if word in " ".join(words)]


def run(words, folder, environment, timeout_s=300.0):
    """Run a command of ours, and return what it printed."""
    command = [sys.executable, *(words if words[0] == "-c" else ["-m", "pose_ros.cli", *words])]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s,
                          check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def drawn():
    image = np.full((480, 640, 3), 128, np.uint8)
    for centre, colour in BALLS.items():
        cv2.circle(image, centre, 14, colour, -1)
    return image


@pytest.fixture(scope="module")
def wand(tmp_path_factory):
    """Folder in which pip has installed the package of the tutorial, as a third party's, and the environment for it."""
    folder = tmp_path_factory.mktemp("wand")
    source = shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    target = folder / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
           "--disable-pip-version-check", "--target", str(target), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(target)]),
                   "POSE_ROS_MODEL_PATH": str(target / "wand" / "models"), "POSE_ROS_OFFLINE": "1"}
    return target, environment


def test_the_estimator_of_the_tutorial_runs_where_pip_installed_it(wand, tmp_path):
    _, environment = wand
    cv2.imwrite(str(tmp_path / "wand.png"), drawn())
    said = [run(words, tmp_path, environment) for words in commands("plugins.md", "")]
    assert len(said) == 3
    assert re.search(r"estimators +wand +wand\.estimator ", said[0]), said[0]
    assert "wand.onnx" in said[1]
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    ((subject,),) = (frame["subjects"] for frame in results["sources"][0]["frames"])
    points = np.array(subject["keypoints"])
    np.testing.assert_allclose(points[:, :2], list(BALLS), atol=0.5)
    assert (points[:, 2] > 0.8).all()


def test_the_test_of_the_tutorial_passes(wand, tmp_path):
    _, environment = wand
    (code,) = (block for block in page("plugins.md", "python") if "FakeSession" in block)
    run(["-c", code], tmp_path, environment)


def test_the_estimator_of_the_tutorial_runs_in_a_node(wand, ros, monkeypatch):
    from pose_ros.msg import SkeletonArray
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from pose_ros.nodes.pose_node import PoseNode
    from pose_ros.ros.images import rgb_to_image

    target, environment = wand
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", environment["POSE_ROS_MODEL_PATH"])
    arrays, other = [], ros.node("other")
    other.create_subscription(SkeletonArray, "/pose/skeletons", arrays.append, 10)
    camera = other.create_publisher(Image, "image", 10)
    given = [Parameter("model", value="wand"), Parameter("estimator.min_score", value=0.6)]
    node = ros.add(PoseNode(context=ros.context, parameter_overrides=given))
    try:
        assert ros.spin_until(camera.get_subscription_count)
        camera.publish(rgb_to_image(drawn()[..., ::-1], Header(frame_id="camera")))
        assert ros.spin_until(lambda: arrays)
        assert node.get_parameter("estimator.min_score").value == 0.6
        assert node.describe_parameter("estimator.min_area").description.startswith("Pixels of the network's input")
    finally:
        node.close()
    (found,) = arrays[0].skeletons
    assert arrays[0].schema == "wand"
    np.testing.assert_allclose(np.reshape(found.keypoints, (-1, 2)), list(BALLS), atol=0.5)


def test_the_tutorial_of_several_cameras_goes_from_a_recording_to_a_file(testdata, models, tmp_path):
    """Calibration converted, nodes run on a recording, skeletons in metres exported: the person stands upright."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    name = "quickstart/cameras.md"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    (board,), (convert,), (live, bag), (export,) = (
        commands(name, word) for word in ("calibrate board", "calibrate convert", "up room.yaml", "export"))
    assert live == bag[:2]
    shutil.copy(testdata / "multiview" / "pose2sim_singleperson" / "Calib.qca.txt", tmp_path)
    (room,) = (block for block in page(name, "yaml") if "multiview_node" in block)
    (tmp_path / "room.yaml").write_text(room, encoding="utf-8")
    recording = str(testdata / "bags" / "pose2sim_single_4cam")

    run(board, tmp_path, environment)
    assert cv2.imread(str(tmp_path / "board.png")) is not None
    run(convert, tmp_path, environment)
    assert {path.name for path in (tmp_path / "rig").iterdir()} >= {"cam01.yaml", "static_transforms.launch.xml"}
    run([recording if word == "BAG" else word for word in bag] + ["--no-table"], tmp_path, environment)
    run(export, tmp_path, environment)

    assert (tmp_path / "walk.trc").is_file()
    with (tmp_path / "walk.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    heights = {joint: np.array([float(row["z_m"]) for row in rows if row["keypoint"] == joint and row["z_m"]])
               for joint in ("nose", "left_ankle")}
    assert all(len(values) > 10 for values in heights.values())
    assert 1.2 < np.median(heights["nose"]) - np.median(heights["left_ankle"]) < 1.9
