# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: what a projection must give, and why a calibration is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 messages are not installed")
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.ros.cameras import camera_from_info, camera_to_info
from pose_ros.ros.images import compressed_to_rgb

K = np.array([[500.0, 0, 319.5], [0, 510.0, 239.5], [0, 0, 1]])
POINTS = np.array([[0.1, -0.2, 2.0], [-0.3, 0.25, 1.5], [0.0, 0.0, 1.0]])


def info(**fields: object) -> CameraInfo:
    p = np.hstack([K, np.zeros((3, 1))])
    given = {"width": 640, "height": 480, "k": K.ravel(), "p": p.ravel(), "distortion_model": "plumb_bob",
             "d": [0.1, -0.05, 0.001, 0.002, 0.0], **fields}
    return CameraInfo(**given)


def test_raw_images_use_k_and_d() -> None:
    camera = camera_from_info(info(), (640, 480))
    expected = Camera(K, (640, 480), np.array([0.1, -0.05, 0.001, 0.002, 0.0]), "plumb_bob").project(POINTS)
    np.testing.assert_allclose(camera.project(POINTS), expected)
    assert np.abs(expected - Camera(K, (640, 480)).project(POINTS)).max() > 0.1, "the distortion is felt"


def test_rectified_images_use_p_alone() -> None:
    p = np.array([[400.0, 0, 300, 0], [0, 400, 200, 0], [0, 0, 1, 0]])
    camera = camera_from_info(info(p=p.ravel()), rectified=True)
    np.testing.assert_array_equal(camera.K, p[:, :3])
    assert camera.ideal


@pytest.mark.parametrize("model", ["plumb_bob", "whatever", ""])
def test_without_distortion_the_model_does_not_matter(model: str) -> None:
    assert camera_from_info(info(distortion_model=model, d=[0.0] * 5)).ideal
    assert camera_from_info(info(distortion_model=model, d=[])).ideal


@pytest.mark.parametrize(
    ("model", "d", "known_as"),
    [("rational_polynomial", 8, "rational_polynomial"), ("equidistant", 4, "equidistant"),
     ("fisheye", 4, "equidistant"), ("radtan", 4, "plumb_bob")],
)
def test_names_of_distortion_models(model: str, d: int, known_as: str) -> None:
    assert camera_from_info(info(distortion_model=model, d=[0.01] * d)).model == known_as


@pytest.mark.parametrize("binning", [1, 2, 4])
@pytest.mark.parametrize("offset", [(0, 0), (64, 32)])
def test_region_and_binning_move_the_projection(binning: int, offset: tuple[int, int]) -> None:
    roi = RegionOfInterest(x_offset=offset[0], y_offset=offset[1], width=400, height=320)
    msg = info(d=[], roi=roi, binning_x=binning, binning_y=binning)
    camera = camera_from_info(msg, (400 // binning, 320 // binning))
    full = Camera(K, (640, 480)).project(POINTS) - offset
    # Binned pixel i covers the pixels b i .. b i + b - 1, so its centre lies at b i + (b - 1) / 2.
    np.testing.assert_allclose(camera.project(POINTS) * binning + (binning - 1) / 2, full)


def test_zero_means_the_whole_image_and_no_binning() -> None:
    camera = camera_from_info(info(d=[], binning_x=0, binning_y=0))
    np.testing.assert_array_equal(camera.K, K)
    assert camera.size_wh == (640, 480)


def test_the_message_is_not_changed() -> None:
    msg = info(binning_x=2, binning_y=2)
    camera_from_info(msg)
    np.testing.assert_array_equal(msg.k, K.ravel())


NAN_K = np.where(K == 500, np.nan, K).ravel()
PAIR = np.array([[500.0, 0, 320, -60], [0, 500, 240, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("msg", "options", "words"),
    [
        (CameraInfo(), {}, "not calibrated; calibrate it"),
        (CameraInfo(), {"rectified": True}, "camera_info.p.*not calibrated"),
        (info(k=NAN_K), {}, "got nan and 510.*calibrate it"),
        (info(d=[np.nan] * 5), {}, "finite"),
        (info(distortion_model="magic"), {}, "distortion_model: expected one of"),
        (info(d=[0.1] * 3), {}, "coefficients for 'plumb_bob', got 3"),
        (info(p=PAIR.ravel()), {"rectified": True}, "left one of a pair"),
        (info(), {"size_wh": (320, 240)}, "images of 640x480, got one of 320x240"),
        (info(width=0, height=0), {}, "region inside 0x0"),
        (info(roi=RegionOfInterest(x_offset=600, width=100, height=100)), {}, "got 100x100 at 600, 0"),
        (info(roi=RegionOfInterest(x_offset=640)), {}, "at 640, 0"),
        (info(binning_x=641), {}, r"binned by \[641, 1\]"),
    ],
)
def test_what_does_not_fit_says_why(msg: CameraInfo, options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        camera_from_info(msg, **options)


@pytest.mark.parametrize(
    "camera",
    [Camera(K, (640, 480), np.full(n, 0.01), model)
     for model, n in (("", 0), ("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4))],
    ids=lambda c: c.model or "ideal",
)
@pytest.mark.parametrize("rectified", [False, True])
def test_writing_and_reading_returns_the_camera(camera: Camera, rectified: bool) -> None:
    header = Header(frame_id="camera_optical")
    msg = camera_to_info(camera, header)
    assert msg.header == header
    back = camera_from_info(msg, (640, 480), rectified=rectified)
    np.testing.assert_array_equal(back.K, camera.K)
    assert back.size_wh == camera.size_wh
    if not rectified:
        assert back.model == camera.model
        np.testing.assert_array_equal(back.D, camera.D)


def test_cameras_and_images_of_a_recording_fit(testdata: Path) -> None:
    highlevel = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed")
    cameras, images = {}, {}
    with highlevel.AnyReader([testdata / "bags" / "pose2sim_single_4cam"]) as reader:
        for connection, _, raw in reader.messages():
            name = connection.topic.split("/")[1]
            if connection.topic.endswith("camera_info") and name not in cameras:
                cameras[name] = camera_from_info(reader.deserialize(raw, connection.msgtype))
            elif connection.topic.endswith("compressed") and name not in images:
                images[name] = compressed_to_rgb(reader.deserialize(raw, connection.msgtype))
    assert sorted(cameras) == sorted(images) == ["cam01", "cam02", "cam03", "cam04"]
    for name, image in images.items():
        assert image.shape == (cameras[name].size_wh[1], cameras[name].size_wh[0], 3)
        # A person in front of four cameras is somewhere in the middle of all of them.
        on_axis = cameras[name].project(np.array([0.0, 0, 3]))
        assert (np.abs(on_axis - np.array(cameras[name].size_wh) / 2) < 60).all()
