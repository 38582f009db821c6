# SPDX-License-Identifier: Apache-2.0
"""Cameras out of files, guesses and other sizes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import guess_camera, read_calibration, resize_camera

FILE = """\
image_width: 640
image_height: 480
camera_name: webcam
camera_matrix: {rows: 3, cols: 3, data: [500.5, 0, 321, 0, 501.5, 238, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0.001, 0.002, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [490, 0, 320, 0, 0, 490, 240, 0, 0, 0, 1, 0]}
"""


def test_file(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(FILE)
    camera = read_calibration(tmp_path / "camera.yaml")
    assert camera.size_wh == (640, 480)
    assert camera.K[1].tolist() == [0, 501.5, 238]
    assert camera.D.tolist() == [0.1, -0.2, 0.001, 0.002, 0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("image_width: 640\n", "", "no 'image_width'"),
        ("500.5, 0, 321", "0, 0, 321", "not calibrated"),
        ("data: [500.5, ", "data: [", "does not fit"),
        ("plumb_bob", "magic", "magic"),
        ("rows: 3, cols: 3", "rows: 3, cols: [", "does not fit"),
        (FILE, "", "does not fit"),
    ],
)
def test_broken_files(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "camera.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(ConfigError, match=says) as caught:
        read_calibration(tmp_path / "camera.yaml")
    assert "camera.yaml" in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_calibration(tmp_path / "camera.yaml")


def test_guess_sees_the_angle_it_was_told() -> None:
    camera = guess_camera((640, 480), math.radians(90))
    left, right = camera.rays(np.array([[-0.5, 239.5], [639.5, 239.5]]))
    np.testing.assert_allclose([left[0], right[0]], [-1, 1])


def test_a_resized_camera_sees_the_same() -> None:
    camera = Camera(np.array([[500.0, 0, 321], [0, 510, 238], [0, 0, 1]]), (640, 480), np.array([0.1, 0, 0, 0, 0.0]),
                    "plumb_bob")
    half = resize_camera(camera, (320, 120))
    points = np.array([[0.1, 0.2, 1.0], [-0.3, 0.1, 2.0]])
    scale = np.array([0.5, 0.25])
    np.testing.assert_allclose(half.project(points), (camera.project(points) + 0.5) * scale - 0.5)
    assert resize_camera(camera, (640, 480)) is camera
