# SPDX-License-Identifier: Apache-2.0
"""recorder_node: every processed frame with its own skeletons, and complete files however it ends."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.draw import draw
from pose_ros.media.recording import Recording
from pose_ros.media.sources import open_source
from pose_ros.nodes import recorder_node
from pose_ros.nodes.recorder_node import RecorderNode
from pose_ros.pipeline import Result
from pose_ros.ros.images import rgb_to_compressed, rgb_to_image
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, sensor
from pose_ros.skeletons import catalogue

ROOT = Path(__file__).parents[2]
COCO, MP33 = catalogue.get("coco17"), catalogue.get("mediapipe33")
FILES = ["annotated.mkv", "annotated.png", "skeletons/metadata.yaml", "skeletons/skeletons.mcap", "summary.json",
         "trajectories.png"]


def picture(index: int) -> np.ndarray:
    return np.full((120, 160, 3), 15 * index, np.uint8)


def poses(index: int, skeleton: Any = COCO, n: int = 1) -> Poses:
    """People whose keypoints stand in one row that moves down with time."""
    k = len(skeleton)
    xy = np.stack([np.linspace(20, 140, k), np.full(k, 10.0 + 5 * index)], axis=1)
    return Poses(skeleton, np.broadcast_to(xy, (n, k, 2)), np.full((n, k), 0.9), ids=np.arange(1, n + 1))


class Robot:
    """A camera and an estimator whose answers are known."""

    def __init__(self, ros: Any, folder: Path, transport: str = "raw") -> None:
        self.ros, self.folder, self.node = ros, folder, ros.node("robot")
        suffix, kind = ("/compressed", CompressedImage) if transport == "compressed" else ("", Image)
        self.camera = self.node.create_publisher(kind, f"/camera/image{suffix}", sensor("reliable", 100))
        self.info = self.node.create_publisher(SkeletonInfo, "/pose/skeleton_info", LATCHED)
        self.arrays = self.node.create_publisher(SkeletonArray, "/pose/skeletons", sensor("reliable", 100))
        self.recorder: RecorderNode | None = None
        self.codes: list[int] = []

    def record(self, **parameters: Any) -> RecorderNode:
        given = {"output": str(self.folder), "reliability": "reliable", **parameters}
        self.recorder = self.ros.add(RecorderNode(
            context=self.ros.context, stop=self.codes.append,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        ))
        self.wait_for_recorder()
        return self.recorder

    def wait_for_recorder(self) -> None:
        publishers = (self.camera, self.info, self.arrays)
        assert self.ros.spin_until(lambda: all(p.get_subscription_count() for p in publishers), 30.0)

    def header(self, index: int) -> Header:
        # A little in the past, as stamps are.
        stamp = self.node.get_clock().now().nanoseconds // 10**10 * 10**10 + index * 40_000_000
        header = Header(frame_id="camera_optical_frame")
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
        return header

    def explain(self, skeleton: Any = COCO) -> None:
        self.info.publish(skeleton_to_info(skeleton, "known"))

    def see(self, header: Header, index: int) -> None:
        make = rgb_to_image if self.camera.msg_type is Image else rgb_to_compressed
        self.camera.publish(make(picture(index), header))

    def answer(self, header: Header, people: Poses) -> None:
        stages = Stages()
        stages.add("estimate", 4.0)
        self.arrays.publish(poses_to_array(Result(people, (), stages), header, (160, 120), "known"))

    def finish(self, images: int, arrays: int) -> dict[str, Any]:
        """Wait until the recorder has heard everything, close it, and return its summary."""
        recorder = self.recorder
        assert recorder is not None
        assert self.ros.spin_until(lambda: (recorder.tally.images, recorder.tally.arrays) == (images, arrays))
        assert self.ros.spin_until(lambda: not recorder.whole.early), "the latched explanation did not arrive"
        recorder.close()
        self.recorder = None
        return json.loads((self.folder / "summary.json").read_text())

    def video(self) -> list[np.ndarray]:
        with open_source(str(self.folder / "annotated.mkv")) as source:
            return [frame.image for frame in source]


@pytest.fixture
def robot(ros: Any, tmp_path: Path, request: Any) -> Iterator[Robot]:
    made = Robot(ros, tmp_path / "out", getattr(request, "param", "raw"))
    yield made
    if made.recorder is not None:
        made.recorder.close()


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("robot", ["raw", "compressed"], indirect=True)
def test_every_processed_frame_has_its_own_skeletons(robot: Robot) -> None:
    robot.explain()
    robot.record(image_topic=robot.camera.topic_name, depth=100)
    headers = [robot.header(i) for i in range(12)]
    for index, header in enumerate(headers):
        robot.see(header, index)
        if index % 3 != 2:  # every third image came too fast for the estimator
            robot.answer(header, poses(index))
    summary = robot.finish(images=12, arrays=8)
    frames = robot.video()
    processed = [i for i in range(12) if i % 3 != 2]
    assert len(frames) == len(processed)
    for index, frame in zip(processed, frames, strict=True):
        # The right picture with the right drawing: a video is lossy, another frame's would differ by much more.
        errors = [np.abs(frame.astype(int) - draw(picture(i), poses(i))).mean() for i in range(12)]
        assert int(np.argmin(errors)) == index
    expected = {"images": 12, "arrays": 8, "images_without_skeletons": 4, "video_frames": 8, "arrays_without_image": 0,
                "repeated_stamps": 0, "ids": [1], "subjects_max": 1, "models": {"known": "coco17"},
                "stages_ms": {"estimate": {"p50": 4.0, "p95": 4.0}}, "missing_files": {}}
    assert {key: summary[key] for key in expected} == expected
    assert files(robot.folder) == FILES


def test_answers_may_overtake_their_images(robot: Robot) -> None:
    robot.explain()
    robot.record()
    for index in range(5):
        header = robot.header(index)
        robot.answer(header, poses(index))
        robot.ros.spin_for(0.02)
        robot.see(header, index)
    assert robot.finish(images=5, arrays=5)["video_frames"] == 5


def test_the_explanation_may_come_late_and_change(robot: Robot) -> None:
    robot.record()
    for index in range(8):
        header, skeleton = robot.header(index), (COCO if index < 4 else MP33)
        robot.see(header, index)
        robot.answer(header, poses(index, skeleton))
        robot.ros.spin_for(0.02)
        if index in (2, 6):
            robot.explain(skeleton)
            robot.ros.spin_for(0.1)
    summary = robot.finish(images=8, arrays=8)
    assert summary["video_frames"] == 8
    with AnyReader([robot.folder / "skeletons"]) as reader:
        names = [reader.deserialize(d, c.msgtype).name for c, _, d in reader.messages() if "Info" in c.msgtype]
    assert names == ["coco17", "mediapipe33"]


def test_the_bag_holds_what_was_on_the_wire(robot: Robot) -> None:
    robot.explain()
    robot.record()
    headers = [robot.header(i) for i in range(3)]
    for index, header in enumerate(headers):
        robot.answer(header, poses(index, n=index))
    robot.finish(images=0, arrays=3)
    with AnyReader([robot.folder / "skeletons"]) as reader:
        assert sorted(c.topic for c in reader.connections) == ["/pose/skeleton_info", "/pose/skeletons"]
        read = [reader.deserialize(d, c.msgtype) for c, _, d in reader.messages() if c.topic == "/pose/skeletons"]
    assert [(m.header.stamp.sec, m.header.stamp.nanosec) for m in read] == [
        (h.stamp.sec, h.stamp.nanosec) for h in headers
    ]
    assert [len(m.skeletons) for m in read] == [0, 1, 2]
    np.testing.assert_array_equal(read[2].skeletons[1].keypoints, poses(2).keypoints.ravel())


def test_hands_are_drawn_and_recorded_with_their_people(robot: Robot) -> None:
    arrays = robot.node.create_publisher(SkeletonArray, "/pose/hands/skeletons", sensor("reliable", 100))
    info = robot.node.create_publisher(SkeletonInfo, "/pose/hands/skeleton_info", LATCHED)
    hand = catalogue.get("hand21")
    robot.explain()
    info.publish(skeleton_to_info(hand, "hands"))
    robot.record()
    assert robot.ros.spin_until(lambda: arrays.get_subscription_count() and robot.recorder.parts["hands"].skeleton)

    def hands(index: int) -> Poses:
        return poses(index, hand).replace(ids=[5], parents=[1], sides=[2], keypoints=poses(11 - index, hand).keypoints)

    for index in range(6):
        header = robot.header(index)
        robot.see(header, index)
        robot.answer(header, poses(index))
        if index != 3:  # of one image, the hands got lost
            message = poses_to_array(Result(hands(index), (), Stages()), header, (160, 120), "hands")
            robot.ros.spin_for(0.01)
            arrays.publish(message)
    assert robot.ros.spin_until(lambda: robot.recorder.parts["hands"].tally.arrays == 5)
    summary = robot.finish(images=6, arrays=6)
    frames = robot.video()
    assert (len(frames), summary["video_frames"]) == (6, 6)
    for index, frame in enumerate(frames):
        body = draw(picture(index), poses(index))
        both = draw(body, hands(index), kind="hand")
        errors = [np.abs(frame.astype(int) - drawn).mean() for drawn in (body, both)]
        assert int(np.argmin(errors)) == (index != 3)
    assert summary["parts"] == {"hands": {"arrays": 5, "models": {"hands": "hand21"}, "subjects_mean": 1.0,
                                          "subjects_max": 1, "ids": [5]}}
    with AnyReader([robot.folder / "skeletons"]) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts == {"/pose/skeleton_info": 1, "/pose/skeletons": 6, "/pose/hands/skeleton_info": 1,
                      "/pose/hands/skeletons": 5}


def test_without_images_there_is_still_a_bag_and_a_plot(robot: Robot) -> None:
    robot.explain()
    robot.record()
    robot.answer(robot.header(0), poses(0))
    summary = robot.finish(images=0, arrays=1)
    assert set(summary["missing_files"]) == {"annotated.mkv", "annotated.png"}
    assert summary["arrays_without_image"] == 1
    assert files(robot.folder) == [f for f in FILES if not f.startswith("annotated")]


def test_a_slow_disk_costs_frames_and_says_so(robot: Robot, monkeypatch: Any) -> None:
    may_go_on = threading.Event()
    original = Recording.add_frame
    monkeypatch.setattr(Recording, "add_frame", lambda *a: may_go_on.wait(30) and original(*a))
    robot.explain()
    recorder = robot.record(queue=1)
    for index in range(40):
        header = robot.header(index)
        robot.see(header, index % 12)
        robot.answer(header, poses(index % 12))
        robot.ros.spin_until(lambda count=index + 1: recorder.tally.arrays == recorder.tally.images == count)
        if index == 0:
            assert robot.ros.spin_until(lambda: not recorder.whole.early and not recorder._work.qsize()), "it is drawn"
    may_go_on.set()
    summary = robot.finish(images=40, arrays=40)
    fitting = 1_000_000 // picture(0).nbytes
    assert summary["video_frames"] == fitting + 1, "one is being drawn, the others wait"
    assert summary["frames_not_drawn_in_time"] == 40 - fitting - 1
    assert summary["arrays_without_image"] == 0


def test_nothing_came_at_all(robot: Robot) -> None:
    robot.record()
    summary = robot.finish(images=0, arrays=0)
    assert set(summary["missing_files"]) == {"annotated.mkv", "annotated.png", "trajectories.png"}
    assert summary["rate_hz"] is None


def test_broken_messages_do_not_stop_it(robot: Robot) -> None:
    robot.explain()
    robot.record()
    bad, good = robot.header(0), robot.header(1)
    image = rgb_to_image(picture(0), bad)
    image.step = 7
    robot.camera.publish(image)
    robot.answer(bad, poses(0))
    short = poses_to_array(Result(poses(1), (), Stages()), robot.header(2), (160, 120), "known")
    short.skeletons[0].keypoints = short.skeletons[0].keypoints[:5]
    robot.arrays.publish(short)
    robot.see(good, 1)
    robot.answer(good, poses(1))
    summary = robot.finish(images=2, arrays=3)
    assert (summary["unreadable_images"], summary["video_frames"]) == (1, 1)


def test_without_a_bag(robot: Robot) -> None:
    robot.record(bag=False)
    robot.finish(images=0, arrays=0)
    assert files(robot.folder) == ["summary.json"]


def test_a_video_that_cannot_be_written_ends_the_node(robot: Robot) -> None:
    robot.explain()
    recorder = robot.record(fps=25.0)
    (robot.folder / "annotated.unfinished.mkv").mkdir()
    header = robot.header(0)
    robot.see(header, 0)
    robot.answer(header, poses(0))
    assert robot.ros.spin_until(lambda: robot.codes)
    assert robot.codes == [1]
    (robot.folder / "annotated.unfinished.mkv").rmdir()
    recorder.close()
    robot.recorder = None


@pytest.mark.parametrize(
    ("parameters", "error", "says"),
    [
        ({"outptu": "x"}, ConfigError, "did you mean 'output'"),
        ({"output": "file/out"}, SourceError, "cannot be written"),
        ({"min_score": 2.0}, ConfigError, "min_score"),
    ],
)
def test_what_does_not_fit(
    ros: Any, tmp_path: Path, monkeypatch: Any, parameters: dict, error: type, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=says):
        RecorderNode(context=ros.context, parameter_overrides=[Parameter(n, value=v) for n, v in parameters.items()])


def test_files_are_complete_after_a_signal(robot: Robot) -> None:
    command = [sys.executable, "-m", "pose_ros.nodes.recorder_node", "--ros-args", "-p", f"output:={robot.folder}",
               "-p", "reliability:=reliable"]
    robot.explain()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            robot.wait_for_recorder()
            for index in range(20):
                header = robot.header(index)
                robot.see(header, index % 12)
                robot.answer(header, poses(index % 12))
                robot.ros.spin_for(0.01)
            robot.ros.spin_for(0.3)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()  # a failure above must not wait for it
    assert process.returncode == 0, err
    assert files(robot.folder) == FILES
    assert len(robot.video()) == 20
    with AnyReader([robot.folder / "skeletons"]) as reader:
        assert reader.message_count == 21
    assert all(name in err for name in ("wrote into", "annotated.mkv", "skeletons/skeletons.mcap", "summary.json"))


def test_recording_ends_with_whole_files_before_the_disk_is_full(
    robot: Robot, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder_node, "_LOOK_S", 0.05)
    recorder = robot.record(min_free=50.0)
    robot.explain()
    sent = [robot.header(index) for index in range(12)]
    for index, header in enumerate(sent[:10]):
        robot.see(header, index)
        robot.answer(header, poses(index))
    assert robot.ros.spin_until(lambda: (recorder.tally.images, recorder.tally.arrays) == (10, 10))
    usage = shutil.disk_usage(robot.folder)
    monkeypatch.setattr(recorder_node.shutil, "disk_usage", lambda _: usage._replace(free=49_000_000))
    assert robot.ros.spin_until(lambda: recorder.ended)
    assert robot.ros.spin_until(lambda: (robot.folder / "trajectories.png").exists())
    # The files are whole while the node still runs, and what comes now is not missed by anybody.
    assert len(robot.video()) == 10
    for index, header in enumerate(sent[10:], 10):
        robot.see(header, index)
        robot.answer(header, poses(index))
    robot.ros.spin_for(0.2)
    assert not robot.codes
    summary = robot.finish(images=10, arrays=12)
    assert summary["ended"].endswith("has 49 MB left; free some, or set parameter min_free")
    assert summary["missing_files"] == {}
    with AnyReader([robot.folder / "skeletons"]) as reader:
        assert reader.message_count == 11
    assert "nothing more is recorded: the disk of" in capfd.readouterr().err


def test_a_disk_that_is_full_at_once_is_said_and_ends_nothing_else(robot: Robot) -> None:
    """No file of the process may grow beyond 40 kB, as on a disk that somebody else fills in a moment."""
    command = [sys.executable, "-c", "import resource, sys; "
               "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
               "from pose_ros.nodes.recorder_node import main; raise SystemExit(main())",
               "--ros-args", "-p", f"output:={robot.folder}", "-p", "reliability:=reliable"]
    robot.explain()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            robot.wait_for_recorder()
            # The bag is written a megabyte at a time.
            for index in range(40):
                header = robot.header(index)
                robot.see(header, index % 12)
                robot.answer(header, poses(index % 12, n=100))
                robot.ros.spin_for(0.01)
            robot.ros.spin_for(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    summary = json.loads((robot.folder / "summary.json").read_text())
    for said in (summary["ended"], summary["missing_files"]["skeletons/skeletons.mcap"]):
        assert "cannot be written to its end: File too large" in said, err
        assert "`mcap recover`" in said
    assert err.count("nothing more is recorded") == 1
