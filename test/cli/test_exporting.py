# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
import threading
import time

import numpy as np
import pytest
from scenes import at, crossing

from pose_ros.cli.results import SCHEMA, frame_to_dict, skeleton_to_dict
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.stages import Stages
from pose_ros.media.video import VideoWriter
from pose_ros.pipeline import Result
from pose_ros.skeletons import catalogue

H36M = catalogue.get("h36m17")


@pytest.fixture
def moments():
    """Two people who cross, at 25 Hz."""
    truth = at(crossing(2), np.arange(20) / 25)
    return [
        (int(i * 4e7) + 10**18, Poses(H36M, np.full((2, 17, 2), i), np.ones((2, 17)), points=points, ids=truth.ids,
                                      states=np.full(2, TrackState.TRACKED)))
        for i, points in enumerate(truth.points("h36m17"))
    ]


@pytest.fixture
def document(moments, tmp_path):
    """What `pose-ros run` says of a video."""
    frames = [frame_to_dict(Result(poses, (), Stages()), i, (stamp - moments[0][0]) / 1e9)
              for i, (stamp, poses) in enumerate(moments)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"schema": SCHEMA, "model": "m", "skeleton": skeleton_to_dict(H36M), "sources": [
        {"source": "walk.mp4", "kind": "video", "frames": json.loads(json.dumps(frames).replace("NaN", "null"))}
    ]}))
    return path


def arrays(moments):
    """Return SkeletonArray messages."""
    from std_msgs.msg import Header

    from pose_ros.ros.messages import poses_to_array

    for stamp, poses in moments:
        header = Header(frame_id="world")
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
        yield stamp, poses_to_array(Result(poses, (), Stages()), header, (0, 0), "m")


def test_results_of_a_run(cli, document, tmp_path, moments):
    ran = cli("export", document, "--output", tmp_path / "a" / "walk.csv", "--output", tmp_path / "a" / "walk.trc")
    assert ran.code == 0, ran.err
    assert "20 moments in 0.76 s (25 Hz), h36m17, metres, -y up" in ran.out
    assert "subjects: subject_1, subject_2" in ran.out
    assert (tmp_path / "a" / "walk_subject_2.trc").exists()
    with (tmp_path / "a" / "walk.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 20 * 2 * 17
    assert float(lines[17]["x_m"]) == pytest.approx(moments[0][1].points[1, 0, 0], abs=1e-4)


def test_a_bag(cli, moments, tmp_path):
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    from pose_ros.msg import SkeletonArray, SkeletonInfo
    from rclpy.serialization import serialize_message

    from pose_ros.ros.bag import BagWriter
    from pose_ros.ros.messages import skeleton_to_info

    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/fused/skeletons", SkeletonArray)
        bag.add("/fused/hands/skeletons", SkeletonArray)
        bag.add("/fused/skeleton_info", SkeletonInfo, latched=True)
        bag.write("/fused/skeleton_info", serialize_message(skeleton_to_info(H36M, "m")), moments[0][0])
        for stamp, message in arrays(moments):
            bag.write("/fused/skeletons", serialize_message(message), stamp)
            bag.write("/fused/hands/skeletons", serialize_message(message), stamp)
    ran = cli("export", tmp_path / "bag", "--output", tmp_path / "walk.csv", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["up"] == "z"
    assert (report["moments"], report["rate_hz"], report["subjects"]) == (20, 25.0, ["subject_1", "subject_2"])
    again = cli("export", tmp_path / "bag", "--topic", "/fused/sceletons", "--output", tmp_path / "walk.csv")
    assert again.code == 1
    assert "name one of its topics with --topic: /fused/hands/skeletons, /fused/skeletons" in again.err


def test_a_topic(cli, ros, moments, tmp_path):
    from pose_ros.msg import SkeletonArray, SkeletonInfo

    from pose_ros.ros.messages import skeleton_to_info
    from pose_ros.ros.qos import LATCHED, RESULT

    node = ros.node("fused")
    node.create_publisher(SkeletonInfo, "/fused/skeleton_info", LATCHED).publish(skeleton_to_info(H36M, "m"))
    publisher = node.create_publisher(SkeletonArray, "/fused/skeletons", RESULT)

    def publish():
        while not publisher.get_subscription_count():
            time.sleep(0.02)
        time.sleep(0.5)  # the other side has to have found this one, too
        for _, message in arrays(moments):
            publisher.publish(message)
            time.sleep(0.01)

    thread = threading.Thread(target=publish)
    thread.start()
    ran = cli("export", "topic:/fused/skeletons", "--seconds", 4, "--output", tmp_path / "walk.csv", "--json")
    thread.join()
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["moments"] == 20


def test_a_video_is_run_first(cli, toy, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 25.0) as video:
        for _ in range(6):
            video.write(np.full((64, 48, 3), 200, np.uint8))
    ran = cli("export", tmp_path / "clip.mp4", "--model", toy, "--output", tmp_path / "clip.csv")
    assert ran.code == 0, ran.err
    assert "pixels alone" in ran.out
    refused = cli("export", tmp_path / "clip.mp4", "--model", toy, "--output", tmp_path / "clip.c3d")
    assert refused.code == 2
    assert "expected metres, got pixels alone" in refused.err


def test_other_keypoints(cli, document, tmp_path):
    ran = cli("export", document, "--skeleton", "coco17", "--output", tmp_path / "walk.csv")
    assert ran.code == 0, ran.err
    assert "coco17" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results.json", "--output", "walk.xlsx"], "expected a file that ends in .csv .parquet .c3d .trc .mot .bvh"),
        (["other.json", "--output", "walk.csv"], "expected results of `pose-ros run` (pose_ros.run/1), got None"),
        (["gone.json", "--output", "walk.csv"], "expected results.json of `pose-ros run`"),
        (["gone.mp4", "--output", "walk.csv"], "gone.mp4"),
    ],
)
def test_what_cannot_be_exported_says_why(cli, document, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    ran = cli("export", *arguments)
    assert ran.code in (1, 2)
    assert message in ran.err
