# SPDX-License-Identifier: Apache-2.0
"""Images in shared memory: what is read is what was written, or is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.msg import SharedImage
from std_msgs.msg import Header

from pose_ros.cli.leftovers import sweep
from pose_ros.errors import ConfigError, ImageError, ShapeError
from pose_ros.ros.shared import SLOTS, SharedReader, SharedWriter

HEADER = Header(frame_id="camera")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SharedWriter]:
    writer = SharedWriter(tmp_path)
    yield writer
    writer.close()
    assert not list(tmp_path.glob("pose_ros_images_*"))


def image(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_last_images_are_read_as_they_were_written(writer: SharedWriter, tmp_path: Path) -> None:
    read = SharedReader(tmp_path)
    messages = [writer.write(image(seed), HEADER) for seed in range(3 * SLOTS)]
    for seed, message in list(enumerate(messages))[-SLOTS:]:
        assert message.header == HEADER
        assert (read(message) == image(seed)).all()


def test_a_mirrored_view_is_written_as_it_looks(writer: SharedWriter, tmp_path: Path) -> None:
    view = image(0)[:, ::-1]
    assert (SharedReader(tmp_path)(writer.write(view, HEADER)) == view).all()


def test_what_was_read_stays(writer: SharedWriter, tmp_path: Path) -> None:
    rgb = SharedReader(tmp_path)(writer.write(image(0), HEADER))
    for seed in range(SLOTS):
        writer.write(image(seed + 1), HEADER)
    assert (rgb == image(0)).all()


def test_an_overwritten_image_is_refused(writer: SharedWriter, tmp_path: Path) -> None:
    message = writer.write(image(0), HEADER)
    for seed in range(SLOTS):
        writer.write(image(seed), HEADER)
    with pytest.raises(ImageError, match="overwritten"):
        SharedReader(tmp_path)(message)


def test_an_image_that_is_being_overwritten_is_refused(
    writer: SharedWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [writer.write(image(seed), HEADER) for seed in range(SLOTS)]
    with monkeypatch.context() as halfway:
        halfway.setattr(np, "copyto", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            writer.write(image(0), HEADER)
    with pytest.raises(ImageError, match="overwritten"):
        SharedReader(tmp_path)(messages[0])
    assert (SharedReader(tmp_path)(messages[1]) == image(1)).all()


def test_another_size_takes_another_memory(writer: SharedWriter, tmp_path: Path) -> None:
    read = SharedReader(tmp_path)
    small, large = writer.write(image(0), HEADER), writer.write(image(1, 400, 300), HEADER)
    assert (read(large) == image(1, 400, 300)).all()
    with pytest.raises(ImageError, match="No such file"):
        read(small)
    assert (read(large) == image(1, 400, 300)).all()


def test_a_reader_keeps_what_its_camera_has_left(writer: SharedWriter, tmp_path: Path) -> None:
    read = SharedReader(tmp_path)
    first, second = writer.write(image(0), HEADER), writer.write(image(1), HEADER)
    read(first)
    writer.close()
    assert (read(second) == image(1)).all()


@pytest.mark.parametrize("memory", ["", "../passwd", "/etc/passwd", "pose_ros_images_0123456789abcdeg"])
def test_other_files_are_not_read(memory: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected the name of a shared memory"):
        SharedReader(tmp_path)(SharedImage(height=1, width=1, memory=memory))


@pytest.mark.parametrize("fields", [{"slot": SLOTS}, {"height": 0}, {"width": 2**32 - 1, "height": 2**32 - 1}])
def test_what_does_not_fit_the_memory_is_refused(writer: SharedWriter, tmp_path: Path, fields: dict) -> None:
    message = writer.write(image(0), HEADER)
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match="different versions"):
        SharedReader(tmp_path)(message)


@pytest.mark.parametrize("kind", ["link", "pipe", "empty"])
def test_what_is_no_memory_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "pose_ros_images_0123456789abcdef"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
    with pytest.raises(ImageError, match="cannot read"):
        SharedReader(tmp_path)(SharedImage(height=1, width=1, memory=path.name))


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MB of shared memory"):
        SharedWriter(tmp_path / "nowhere").write(image(0), HEADER)


def test_no_image(writer: SharedWriter) -> None:
    with pytest.raises(ShapeError):
        writer.write(np.zeros((2, 2), np.uint8), HEADER)


def test_only_memory_of_killed_cameras_is_swept(writer: SharedWriter, tmp_path: Path) -> None:
    message = writer.write(image(0), HEADER)
    left = tmp_path / "pose_ros_images_0123456789abcdef"
    left.touch()
    for path in (left, tmp_path / message.memory):
        os.utime(path, times=(time.time() - 60,) * 2)
    assert sweep(tmp_path) == 1
    assert not left.exists()
    assert (SharedReader(tmp_path)(message) == image(0)).all()
