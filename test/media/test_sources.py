# SPDX-License-Identifier: Apache-2.0
"""Every kind of source: what comes out, in which order, with which stamps; and what is said when nothing does."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numbered import frames_of, number, ramp

from pose_ros.errors import SourceError
from pose_ros.media import capture
from pose_ros.media.sources import open_source
from pose_ros.media.video import write_image


def stamps_increase(stamps: list[int]) -> bool:
    return all(b > a for a, b in pairwise(stamps))


def test_video(clip: Path) -> None:
    with open_source(str(clip)) as source:
        assert (source.fps, source.length, source.live, source.absolute) == (10.0, 10, False, False)
        frames = list(source)
    assert [number(f.image) for f in frames] == list(range(10))
    assert [f.stamp_ns for f in frames] == [i * 100_000_000 for i in range(10)]
    assert frames[0].camera is None


def test_a_loop_goes_on_in_time(clip: Path) -> None:
    with open_source(str(clip), loop=True) as source:
        assert source.length is None
        frames = list(islice(source, 25))
    assert [number(f.image) for f in frames] == [*range(10), *range(10), *range(5)]
    assert [f.stamp_ns for f in frames] == [i * 100_000_000 for i in range(25)]


def test_colours_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    write_image(tmp_path / "red.png", red)
    (frame,) = frames_of(tmp_path / "red.png")
    np.testing.assert_array_equal(frame.image, red)


def test_image(folder: Path) -> None:
    with open_source(str(folder / "frame10.png")) as source:
        assert source.length == 1
        frames = list(source)
    assert [number(f.image) for f in frames] == [1]


def test_folder_in_natural_order(folder: Path) -> None:
    with open_source(str(folder), fps=4.0) as source:
        assert (source.fps, source.length) == (4.0, 3)
        frames = list(source)
    assert [number(f.image) for f in frames] == [0, 1, 2]
    assert [f.stamp_ns for f in frames] == [0, 250_000_000, 500_000_000]


def test_a_broken_image_in_a_folder_is_left_out_and_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "frame5.png").write_bytes(b"\x89PNG nothing")
    (folder / "frame6.png").write_bytes(b"")
    assert [number(f.image) for f in frames_of(folder)] == [0, 1, 2]
    assert "frame5.png" in caplog.text
    assert "frame6.png" in caplog.text


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "no such file"),
        ("nowhere.mp4", "no such file"),
        ("nowhere#/topic", "no such file"),
        ("demo:soon", "demo:SECONDS"),
        ("demo:0", "demo:SECONDS"),
        ("77", "no webcam 77"),
        ("/dev/video77", "no webcam 77"),
    ],
)
def test_what_is_not_there(spec: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        open_source(spec)
    assert caught.value.source == spec


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.mp4", b"this is no video", "cannot be opened as a video"),
        ("empty.mp4", b"", "cannot be opened as a video"),
        ("empty.png", b"", "cannot be decoded"),
        ("text.jpg", b"this is no image", "cannot be decoded"),
        ("text.mcap", b"this is no bag", "cannot be read as a ROS 2 bag"),
        ("empty.mcap", b"", "cannot be read as a ROS 2 bag"),
        ("text.db3", b"this is no bag", "cannot be read as a ROS 2 bag"),
        ("old.bag", b"#ROSBAG V2.0", "rosbags-convert"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    if ".mcap" in name or ".db3" in name:
        pytest.importorskip("rosbags", reason="rosbags is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says):
        frames_of(tmp_path / name)


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected images .*metadata\.yaml"):
        open_source(str(tmp_path))


def test_truncated_video_ends_or_says_so(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(SourceError):
        frames_of(clip)


class _Server(http.server.SimpleHTTPRequestHandler):
    """A camera at /live that sends five numbered JPEGs, and files."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path != "/live":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(5):
            data = cv2.imencode(".jpg", ramp(index))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Server, directory=str(tmp_path))
    ) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_stream(server: str) -> None:
    with open_source(f"{server}/live") as source:
        assert (source.live, source.absolute, source.length) == (True, True, None)
        frames = list(source)
    assert [number(f.image) for f in frames] == [0, 1, 2, 3, 4]
    assert stamps_increase([f.stamp_ns for f in frames])
    assert frames[0].stamp_ns > 1_700_000_000 * 10**9


def test_a_looped_stream_is_opened_again(server: str) -> None:
    with open_source(f"{server}/live", loop=True) as source:
        frames = list(islice(source, 8))
    assert [number(f.image) for f in frames] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert stamps_increase([f.stamp_ns for f in frames])
    assert frames[-1].stamp_ns <= time.time_ns(), "capture times, not a time line that goes on"


def test_stream_that_is_not_there(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "STREAM_TIMEOUT_MS", 300)
    with pytest.raises(SourceError, match=r"did not open within 0\.3 s"):
        open_source(f"{server}/nothing")


class _Webcam:
    """Answers like cv2.VideoCapture of a webcam, three frames long."""

    def __init__(self, index: int) -> None:
        assert index == 3
        self.left, self.open = 3, True

    def isOpened(self) -> bool:
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}[what]

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, ramp(2)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.open = False


@pytest.mark.parametrize("spec", ["3", "/dev/video3"])
def test_webcam(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", _Webcam)
    with open_source(spec) as source:
        assert (source.live, source.absolute, source.fps, source.length) == (True, True, 30.0, None)
        frames = list(source)
    assert [number(f.image) for f in frames] == [2, 2, 2]
    assert stamps_increase([f.stamp_ns for f in frames])


REAL = {
    # path -> frames, size, frames per second
    "video/mmpose_demo.mp4": (5, (960, 540), 5.0),
    "video/nvgesture_hand_color.avi": (20, (320, 240), 30.0),
    "video/mmpose_demo_coco.gif": (39, (320, 180), None),
    "body2d/coco_mini": (38, (640, 426), 10.0),
    "bags/pose2sim_single_4cam#/cam01/image_raw/compressed": (20, (540, 960), None),
}


@pytest.mark.parametrize("path", REAL)
def test_real_files(testdata: Path, path: str) -> None:
    if path.startswith("bags"):
        pytest.importorskip("rosbags", reason="rosbags is not installed")
    count, size_wh, fps = REAL[path]
    with open_source(str(testdata / path)) as source:
        frames = list(source)
        assert source.length == count
    assert len(frames) == count
    assert frames[0].size_wh == size_wh
    assert fps is None or source.fps == fps
    assert stamps_increase([f.stamp_ns for f in frames])
    assert frames[0].image.std() > 10, "there is something to see"
