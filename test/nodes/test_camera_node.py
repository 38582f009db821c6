# SPDX-License-Identifier: Apache-2.0
"""camera_node as others see it: images, stamps, calibration, the end."""

from __future__ import annotations

import contextlib
import errno
import http.server
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from pose_ros.msg import SharedImage
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.sources import open_source
from pose_ros.media.video import VideoWriter, write_image
from pose_ros.nodes.camera_node import CameraNode
from pose_ros.nodes.showing import fit_size
from pose_ros.ros.cameras import camera_from_info
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb
from pose_ros.ros.qos import sensor
from pose_ros.ros.shared import SharedReader

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames at 30 Hz whose brightness is 20 times their number."""
    with VideoWriter(tmp_path / "clip.mp4", 30.0) as video:
        for index in range(12):
            video.write(np.full((48, 64, 3), 20 * index, np.uint8))
    return tmp_path / "clip.mp4"


class Stage:
    """A camera node and who listens to it."""

    def __init__(self, ros: Any) -> None:
        self.ros, self.listener = ros, ros.node("listener")
        self.images: list[Any] = []
        self.compressed: list[Any] = []
        self.infos: list[Any] = []
        self.codes: list[int] = []
        self.node: CameraNode | None = None

    def listen(self, kind: type, into: list[Any], topic: str, reliability: str = "reliable") -> None:
        self.listener.create_subscription(kind, topic, into.append, sensor(reliability, 100))

    def play(self, listen: str = "images", reliability: str = "reliable", **parameters: Any) -> None:
        """Run a camera until it ends by itself."""
        if "images" in listen:
            self.listen(Image, self.images, "/camera/image", reliability)
        if "compressed" in listen:
            self.listen(CompressedImage, self.compressed, "/camera/image/compressed", reliability)
        self.listen(CameraInfo, self.infos, "/camera/camera_info")
        self.start(**parameters)
        assert self.ros.spin_until(lambda: self.codes, 20.0)

    def start(self, **parameters: Any) -> CameraNode:
        given = {"wait_for_subscribers": 1, "pace": "as_fast", **parameters}
        self.node = self.ros.add(CameraNode(
            context=self.ros.context, stop=self.codes.append,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        ))
        assert self.ros.spin_until(lambda: self.node._work or not given.get("autostart", True))
        return self.node


@pytest.fixture
def stage(ros: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("pose_ros.nodes.showing._MATCH_S", 0.05)  # both sides are in one process
    made = Stage(ros)
    yield made
    if made.node is not None:
        made.node.close()


def stamps(messages: list[Any]) -> list[int]:
    return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]


def numbers(images: list[np.ndarray]) -> list[int]:
    return [round(float(image.mean()) / 20) for image in images]


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_every_frame_arrives_in_order_as_it_was(stage: Stage, clip: Path, encoding: str) -> None:
    stage.play(source=str(clip), encoding=encoding, depth=100)
    assert {m.encoding for m in stage.images} == {encoding}
    with open_source(str(clip)) as source:
        truth = [frame.image for frame in source]
    assert len(stage.images) == len(truth) == 12
    for msg, expected in zip(stage.images, truth, strict=True):
        np.testing.assert_allclose(image_to_rgb(msg), expected, atol=2 if encoding == "mono8" else 0)
    assert all(b > a for a, b in zip(stamps(stage.images), stamps(stage.images)[1:], strict=False))
    assert stamps(stage.infos) == stamps(stage.images)
    assert {m.header.frame_id for m in [*stage.images, *stage.infos]} == {"camera_optical_frame"}
    assert stage.codes == [0]


def test_compressed_and_nothing_else_when_nobody_asks(stage: Stage, clip: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("pose_ros.nodes.showing.write_image", lambda *_: pytest.fail("nobody wants it"))
    stage.play("compressed", source=str(clip), depth=100)
    assert numbers([compressed_to_rgb(m) for m in stage.compressed]) == list(range(12))
    assert stamps(stage.infos) == stamps(stage.compressed)
    assert stage.codes == [0]


def test_shared_images_lie_in_memory_until_the_end(stage: Stage, clip: Path) -> None:
    read, found = SharedReader(), list[np.ndarray]()
    stage.listener.create_subscription(SharedImage, "/camera/image/shared", lambda m: found.append(read(m)), 100)
    stage.play("", source=str(clip), pace="real_time", depth=100)
    assert numbers(found) == list(range(12))
    assert stage.node is not None
    memory = Path("/dev/shm", read._last[0])
    assert memory.is_file()
    stage.node.close()
    assert not memory.exists()


def test_without_room_for_shared_images_the_others_come(
    stage: Stage, clip: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    stage.listen(SharedImage, [], "/camera/image/shared")
    stage.play(source=str(clip), depth=100, wait_for_subscribers=2)
    assert len(stage.images) == 12
    assert capfd.readouterr().err.count("No space left on device; give more, or subscribe to raw images") == 1


def test_nothing_is_encoded_when_nobody_asks(stage: Stage, clip: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("pose_ros.nodes.showing.rgb_to_compressed", lambda *_, **__: pytest.fail("nobody wants it"))
    stage.play("images", source=str(clip))
    assert stage.codes == [0]


def test_both_have_the_same_stamps(stage: Stage, clip: Path) -> None:
    stage.play("images compressed", source=str(clip), depth=100, wait_for_subscribers=2)
    assert stamps(stage.images) == stamps(stage.compressed)
    assert len(stage.images) == 12


def test_best_effort_listeners_are_served_too(stage: Stage, clip: Path) -> None:
    stage.play(reliability="best_effort", source=str(clip))
    assert stage.images


def test_an_uncalibrated_camera_says_so(stage: Stage, clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stage.play(source=str(clip))
    info = stage.infos[0]
    assert (info.width, info.height) == (64, 48)
    assert not any([*info.k, *info.p, *info.d])
    assert info.distortion_model == ""
    hints = [line for line in capfd.readouterr().err.splitlines() if "no calibration" in line]
    assert len(hints) == 1
    assert "set parameter camera_info (a file), or guess with fov (degrees)" in hints[0]


def test_a_guess_on_demand(stage: Stage, clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stage.play(source=str(clip), fov=90.0)
    camera = camera_from_info(stage.infos[0], (64, 48))
    assert camera.K[0, 0] == pytest.approx(32 / math.tan(math.radians(45)))
    assert "no calibration" not in capfd.readouterr().err


def test_resized_images_have_a_resized_calibration(stage: Stage) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    stage.play(source="demo:0.1", width=320)
    assert (stage.images[0].width, stage.images[0].height) == (320, 240)
    full, half = Camera(np.eye(3), (1, 1)), camera_from_info(stage.infos[0], (320, 240))
    with open_source("demo:0.1") as source:
        full = next(iter(source)).camera or full
    np.testing.assert_allclose(half.rays(np.array([99.5, 49.5])), full.rays(np.array([199.5, 99.5])))


def test_calibration_file(stage: Stage, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(
        "{image_width: 64, image_height: 48, camera_matrix: {data: [50, 0, 31, 0, 51, 23, 0, 0, 1]},"
        " distortion_model: plumb_bob, distortion_coefficients: {data: [0.1, 0, 0, 0, 0]}}"
    )
    stage.play(source=str(clip), camera_info=str(tmp_path / "camera.yaml"), frame_id="left_optical_frame")
    camera = camera_from_info(stage.infos[0], (64, 48))
    assert camera.K.ravel().tolist() == [50, 0, 31, 0, 51, 23, 0, 0, 1]
    assert camera.D[0] == 0.1
    assert stage.infos[0].header.frame_id == "left_optical_frame"


def test_a_calibration_of_another_size_ends_it(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(
        "{image_width: 64, image_height: 48, camera_matrix: {data: [50, 0, 31, 0, 51, 23, 0, 0, 1]},"
        " distortion_model: '', distortion_coefficients: {data: []}}"
    )
    write_image(tmp_path / "a.png", np.zeros((10, 10, 3), np.uint8))
    stage.play(source=str(tmp_path / "a.png"), camera_info=str(tmp_path / "camera.yaml"))
    assert stage.codes == [2]
    assert not stage.images


def test_a_source_that_breaks_ends_it(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    stage.play(source=str(tmp_path / "a.png"))
    assert stage.codes == [1]


class _Stream(http.server.BaseHTTPRequestHandler):
    """Sends some pictures and hangs up."""

    COUNT, PAUSE_S = 10, 0.0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(self.COUNT):
            data = cv2.imencode(".jpg", np.full((48, 64, 3), 20 * (index % 12), np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(self.PAUSE_S)


class _Endless(_Stream):
    """Sends pictures until nobody reads them any more."""

    COUNT, PAUSE_S = 1_000_000, 0.01
    watched: ClassVar[list[bool]] = []

    def do_GET(self) -> None:
        """Answer, and remember whether anybody is there."""
        self.watched.append(True)
        with contextlib.suppress(ConnectionError):
            super().do_GET()
        self.watched.append(False)


@contextlib.contextmanager
def plugged_in(port: int = 0, kind: type[_Stream] = _Stream) -> Iterator[int]:
    """A network camera; yields its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), kind) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield httpd.server_port
        finally:
            httpd.shutdown()
            thread.join()


def test_a_camera_that_is_unplugged_and_back(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.listen(Image, stage.images, "/camera/image")
    with plugged_in() as port:
        stage.start(source=f"http://127.0.0.1:{port}/camera", reconnect=0.2)
        assert stage.ros.spin_until(lambda: len(stage.images) > 5, 30.0)
    stage.ros.spin_for(1.5)
    stage.images.clear()
    stage.ros.spin_for(0.5)
    assert not stage.images
    assert not stage.codes
    with plugged_in(port):
        assert stage.ros.spin_until(lambda: len(stage.images) > 5, 30.0)
    times = stamps(stage.images)
    assert times == sorted(times)
    said = capfd.readouterr().err
    assert "no images from 'http://127.0.0.1:" in said
    assert "tried again every 0.2 s" in said
    assert "/camera' is back" in said


def test_a_camera_that_nobody_looks_at_is_let_go_of(stage: Stage) -> None:
    with plugged_in(kind=_Endless) as port:
        node = stage.start(source=f"http://127.0.0.1:{port}/camera", rest_after=0.2, wait_for_subscribers=0)
        assert stage.ros.spin_until(lambda: node._work.rests and _Endless.watched[-1:] == [False], 30.0)
        shown = node._work.published
        stage.listen(Image, stage.images, "/camera/image")
        assert stage.ros.spin_until(lambda: len(stage.images) > 5, 30.0)
        assert _Endless.watched[-1]
        assert node._work.published > shown
        assert not stage.codes
        node.close()


@pytest.mark.parametrize("stamping", ["now", "source"])
def test_a_file_stands_still_while_nobody_looks(stage: Stage, clip: Path, stamping: str) -> None:
    stage.listen(CameraInfo, stage.infos, "/camera/camera_info")
    node = stage.start(source=str(clip), rest_after=0.1, wait_for_subscribers=0, pace="real_time", stamps=stamping,
                       depth=100)
    assert stage.ros.spin_until(lambda: node._work.rests)
    shown, heard = node._work.published, len(stage.infos)
    assert 1 < shown < 12
    stage.ros.spin_for(1.5)
    assert node._work.published == shown
    # One a second, for whoever waits for the images; none where only images have stamps.
    assert len(stage.infos) - heard in ((1, 2, 3) if stamping == "now" else (0, 1))
    stage.listen(Image, stage.images, "/camera/image")
    assert stage.ros.spin_until(lambda: stage.codes, 20.0)
    assert numbers([image_to_rgb(m) for m in stage.images]) == list(range(12))[shown:]
    assert stamps(stage.infos) == sorted(stamps(stage.infos))
    assert stamps(stage.infos)[-len(stage.images):] == stamps(stage.images)
    late_s = (stage.listener.get_clock().now().nanoseconds - stamps(stage.images)[-1]) / 1e9
    assert late_s < 1.0, "the time line was moved on by the rest"


def test_a_camera_may_be_told_not_to_rest(stage: Stage, clip: Path) -> None:
    node = stage.start(source=str(clip), rest_after=0.0, wait_for_subscribers=0, pace="real_time")
    assert stage.ros.spin_until(lambda: stage.codes)
    assert node._work.published == 12


def test_a_camera_that_ends_may_end_the_node(stage: Stage) -> None:
    with plugged_in() as port:
        stage.play(source=f"http://127.0.0.1:{port}/camera", reconnect=0.0)
    assert stage.codes == [0]


def test_a_loop_does_not_end(stage: Stage, clip: Path) -> None:
    stage.listen(Image, stage.images, "/camera/image")
    stage.start(source=str(clip), loop=True, pace="real_time", rate=200.0)
    assert stage.ros.spin_until(lambda: len(stage.images) > 30)
    assert not stage.codes
    assert set(numbers([image_to_rgb(m) for m in stage.images])) == set(range(12))


def test_real_time_stamps_are_as_far_apart_as_the_sources(stage: Stage, clip: Path) -> None:
    stage.play(source=str(clip), pace="real_time", stamps="source", depth=100)
    steps = np.diff(stamps(stage.images))
    np.testing.assert_allclose(steps, 1e9 / 30, rtol=1e-3)
    now = stage.listener.get_clock().now().nanoseconds
    assert 0 < now - stamps(stage.images)[-1] < 10e9, "anchored at the time of the first image"


def test_a_bag_is_played_with_its_own_stamps_and_frames(stage: Stage, testdata: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    bag = f"{testdata}/bags/pose2sim_single_4cam#/cam02/image_raw/compressed"
    stage.play(source=bag, stamps="source", depth=100)
    assert stamps(stage.images)[:2] == [1_700_000_000_000_000_000, 1_700_000_000_083_333_333]
    assert {m.header.frame_id for m in stage.images} == {"cam02_optical_frame"}
    assert camera_from_info(stage.infos[0], (540, 960)).K[0, 0] == pytest.approx(836.86, abs=0.01)


def test_it_waits_for_its_audience(stage: Stage, clip: Path) -> None:
    node = stage.start(source=str(clip))
    stage.ros.spin_for(0.3)
    assert node._work.published == 0
    stage.listen(Image, stage.images, "/camera/image")
    assert stage.ros.spin_until(lambda: stage.codes)
    assert numbers([image_to_rgb(stage.images[0])]) == [0]


def test_it_does_not_wait_forever(stage: Stage, clip: Path) -> None:
    stage.start(source=str(clip), wait_timeout=0.1)
    assert stage.ros.spin_until(lambda: stage.codes)
    assert stage.codes == [0]
    assert stage.node is not None
    assert stage.node._work.published == 12


@pytest.mark.parametrize(
    ("parameters", "error", "says"),
    [
        ({}, ConfigError, "expected what to show"),
        ({"source": "nowhere.mp4"}, SourceError, "no such file"),
        ({"source": "demo", "frame_id": "camera_link"}, ConfigError, "_optical_frame"),
        ({"source": "demo", "camera_info": "nowhere.yaml"}, ConfigError, "cannot be read"),
        ({"source": "demo", "sorce": "x"}, ConfigError, "did you mean 'source'"),
        ({"source": "demo", "rate": -1.0}, ConfigError, "rate"),
        ({"source": "demo", "pace": "fast"}, ConfigError, "real_time"),
    ],
)
def test_what_does_not_fit(stage: Stage, parameters: dict, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        CameraNode(
            context=stage.ros.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
        )


@pytest.mark.parametrize(("width", "height", "size"), [(32, 0, (32, 24)), (0, 24, (32, 24)), (10, 20, (10, 20))])
def test_fit_size(width: int, height: int, size: tuple[int, int]) -> None:
    assert fit_size((64, 48), width, height) == size


def test_a_life_cycle_manager_opens_shows_rests_and_begins_anew(stage: Stage, clip: Path, ros: Any) -> None:
    stage.listen(Image, stage.images, "/camera/image")
    node = stage.start(source=str(clip), autostart=False, pace="real_time", rate=60.0, loop=True)
    ros.spin_for(0.2)
    assert (node._work, node.count_publishers("/camera/image")) == (None, 0)
    for _ in range(2):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.count_publishers("/camera/image") == 1
        for _ in range(2):
            stage.images.clear()
            node.trigger_activate()
            assert ros.spin_until(lambda: len(stage.images) > 2)
            assert numbers([image_to_rgb(m) for m in stage.images[:3]]) == [0, 1, 2]
            node.trigger_deactivate()
            assert node._work._source is None  # nobody else waits for the device
            ros.spin_for(0.2)
            count = len(stage.images)
            ros.spin_for(0.2)
            assert len(stage.images) == count
        node.trigger_cleanup()
        assert ros.spin_until(lambda: not node.count_publishers("/camera/image"))
    assert stage.codes == []


def test_it_pauses_and_begins_anew_when_asked(stage: Stage, clip: Path, ros: Any) -> None:
    stage.listen(Image, stage.images, "/camera/image")
    node = stage.start(source=str(clip), pace="real_time", rate=30.0, loop=True)
    assert ros.spin_until(lambda: len(stage.images) > 2)
    node._work.enabled = False
    assert ros.spin_until(lambda: node._work.rests)
    ros.spin_for(0.1)
    count = len(stage.images)
    ros.spin_for(0.3)
    assert len(stage.images) == count
    node._work.enabled = True
    # It goes on where it was.
    assert ros.spin_until(lambda: len(stage.images) > count)
    before, after = numbers([image_to_rgb(m) for m in stage.images[count - 1 : count + 1]])
    assert after == before + 1
    node._work.reset()
    count = len(stage.images)
    assert ros.spin_until(lambda: len(stage.images) > count + 1)
    assert 0 in numbers([image_to_rgb(m) for m in stage.images[count : count + 2]])


def test_as_a_process(ros: Any, clip: Path) -> None:
    node, got = ros.node(), []
    node.create_subscription(Image, "/robot/left/image", got.append, sensor("reliable", 100))
    command = [sys.executable, "-m", "pose_ros.nodes.camera_node", "--ros-args", "-r", "__node:=left", "-r",
               "__ns:=/robot", "-p", f"source:={clip}", "-p", "wait_for_subscribers:=1", "-p", "depth:=100"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert ros.spin_until(lambda: process.poll() is not None, 30.0)
        err = process.stderr.read()
    ros.spin_until(lambda: len(got) == 12)
    assert numbers([image_to_rgb(m) for m in got]) == list(range(12))
    assert process.returncode == 0, err
