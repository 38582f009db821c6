# SPDX-License-Identifier: Apache-2.0
"""Bags: which topic is taken, which camera belongs to it, what is said when neither is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numbered import frames_of

pytest.importorskip("rosbags", reason="rosbags is not installed")
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pose_ros.errors import SourceError
from pose_ros.media.sources import open_source

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, INFO, TEXT = (TYPES.types[f"{n}"] for n in ("sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo",
                                                  "std_msgs/msg/String"))
HEADER, TIME = TYPES.types["std_msgs/msg/Header"], TYPES.types["builtin_interfaces/msg/Time"]
ROI = TYPES.types["sensor_msgs/msg/RegionOfInterest"]


def image(index: int, stamp_ns: int, encoding: str = "bgr8") -> object:
    pixels = np.full((4, 6, 3), index, np.uint8)
    header = HEADER(TIME(*divmod(stamp_ns, 10**9)), "cam_optical_frame")
    return IMAGE(header, 4, 6, encoding, 0, 18, pixels.ravel())


def info(focal: float) -> object:
    k = np.array([focal, 0, 2.5, 0, focal, 1.5, 0, 0, 1])
    p = np.array([focal / 2, 0, 2.5, 0, 0, focal / 2, 1.5, 0, 0, 0, 1, 0])
    return INFO(HEADER(TIME(0, 0), "cam"), 4, 6, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), p, 0, 0,
                ROI(0, 0, 0, 0, False))


def write(path: Path, topics: dict[str, list], storage: StoragePlugin = StoragePlugin.MCAP) -> str:
    """Write messages; one every 0.1 s of log time."""
    with Writer(path, version=9, storage_plugin=storage) as bag:
        for topic, messages in topics.items():
            connection = bag.add_connection(topic, messages[0].__msgtype__, typestore=TYPES)
            for index, message in enumerate(messages):
                data = TYPES.serialize_cdr(message, message.__msgtype__)
                bag.write(connection, 5 * 10**9 + index * 10**8, data)
    return str(path)


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_images_with_their_stamps_frame_and_camera(tmp_path: Path, storage: StoragePlugin) -> None:
    images = [image(i, 10**18 + i * 10**8) for i in range(5)]
    spec = write(tmp_path / "bag", {"/cam/image_raw": images, "/cam/camera_info": [info(500.0)]}, storage)
    for path in (spec, str(next(p for p in Path(spec).iterdir() if p.suffix != ".yaml"))):
        with open_source(path) as source:
            assert source.absolute
            assert source.length == 5
            assert source.fps == pytest.approx(10.0)
            frames = list(source)
        assert [f.stamp_ns for f in frames] == [10**18 + i * 10**8 for i in range(5)]
        assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3, 4]
        assert frames[0].frame_id == "cam_optical_frame"
        assert frames[0].camera is not None
        assert frames[0].camera.K[0, 0] == 500.0, "also before the first CameraInfo of the bag"


def test_a_rectified_image_belongs_to_p(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/cam/image_rect": [image(0, 1)], "/cam/camera_info": [info(500.0)]})
    (frame,) = frames_of(spec)
    assert frame.camera is not None
    assert frame.camera.K[0, 0] == 250.0


def test_an_uncalibrated_camera_is_none(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/cam/image_raw": [image(0, 1)], "/cam/camera_info": [info(0.0)]})
    (frame,) = frames_of(spec)
    assert frame.camera is None


def test_an_image_without_a_stamp_has_the_time_of_its_recording(tmp_path: Path) -> None:
    (frame,) = frames_of(write(tmp_path / "bag", {"/image": [image(0, 0)]}))
    assert frame.stamp_ns == 5 * 10**9


def test_unreadable_images_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [image(1, 1), image(2, 2, "magic"), image(3, 3)]
    frames = frames_of(write(tmp_path / "bag", {"/image": images}))
    assert [int(f.image[0, 0, 0]) for f in frames] == [1, 3]
    assert "magic" in caplog.text


def test_several_cameras_have_to_be_told_apart(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/left/image": [image(1, 1)], "/right/image": [image(2, 1)]})
    with pytest.raises(SourceError, match="several cameras") as caught:
        open_source(spec)
    assert f"{spec}#/right/image" in str(caught.value)
    (frame,) = frames_of(f"{spec}#/right/image")
    assert int(frame.image[0, 0, 0]) == 2


def test_a_topic_that_is_not_there(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/left/image": [image(1, 1)]})
    with pytest.raises(SourceError, match=r"no images on that topic.*#/left/image"):
        open_source(f"{spec}#/middle/image")


def test_a_bag_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found only the topics: /talk"):
        open_source(write(tmp_path / "bag", {"/talk": [TEXT("hello")]}))


def test_a_bag_that_is_cut_off(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(i, i + 1) for i in range(50)]})
    file = tmp_path / "bag" / "bag.mcap"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(SourceError, match="bag"):
        frames_of(spec)


def test_a_looped_bag_goes_on_in_time(tmp_path: Path) -> None:
    spec = write(tmp_path / "bag", {"/image": [image(i, 10**18 + i * 10**8) for i in range(3)]})
    with open_source(spec, loop=True) as source:
        frames = [frame for frame, _ in zip(source, range(7), strict=False)]
    steps = np.diff([f.stamp_ns for f in frames])
    np.testing.assert_allclose(steps, 10**8, rtol=1e-6)


def test_real_bag_has_calibrated_cameras(testdata: Path) -> None:
    for camera in ("cam01", "cam02", "cam03", "cam04"):
        frames = frames_of(f"{testdata / 'bags' / 'pose2sim_single_4cam'}#/{camera}/image_raw/compressed")
        assert len(frames) == 20
        assert {f.frame_id for f in frames} == {f"{camera}_optical_frame"}
        assert frames[0].stamp_ns == 1_700_000_000_000_000_000
        assert frames[0].camera is not None
        assert frames[0].camera.size_wh == frames[0].size_wh
        assert not frames[0].camera.ideal
