# SPDX-License-Identifier: Apache-2.0
"""A bag that is written here is read by others, definitions included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from std_msgs.msg import Header

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.errors import SourceError
from pose_ros.media.sources import open_source
from pose_ros.pipeline import Result
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.bag_reader import BagReader
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.view import view
from pose_ros.skeletons import catalogue

SKELETON = catalogue.get("coco17")


def array(n: int, rng: np.random.Generator) -> SkeletonArray:
    header = Header(frame_id="camera_optical_frame")
    header.stamp.sec = 7
    poses = Poses(SKELETON, rng.uniform(0, 640, (n, 17, 2)), rng.uniform(0, 1, (n, 17)), ids=np.arange(1, n + 1))
    return poses_to_array(Result(poses, (5,), Stages()), header, (640, 480), "model")


def test_what_was_written_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = [array(n, rng) for n in (0, 1, 3)]
    info = skeleton_to_info(SKELETON, "model")
    with BagWriter(tmp_path / "skeletons") as bag:
        bag.add("/pose/skeleton_info", SkeletonInfo, latched=True)
        bag.add("/pose/skeletons", SkeletonArray)
        bag.write("/pose/skeleton_info", serialize_message(info), 999)
        for index, msg in enumerate(arrays):
            bag.write("/pose/skeletons", serialize_message(msg), 1000 + index)
        assert bag.counts == {"/pose/skeleton_info": 1, "/pose/skeletons": 3}
    assert sorted(p.name for p in (tmp_path / "skeletons").iterdir()) == ["metadata.yaml", "skeletons.mcap"]
    for path in (tmp_path / "skeletons", tmp_path / "skeletons" / "skeletons.mcap"):
        with AnyReader([path]) as reader:
            durability = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
            assert durability == {"/pose/skeleton_info": "TRANSIENT_LOCAL", "/pose/skeletons": "VOLATILE"}
            got = [(t, reader.deserialize(data, c.msgtype)) for c, t, data in reader.messages()]
        assert [t for t, _ in got] == [999, 1000, 1001, 1002]
        read_info = got[0][1]
        assert read_info.keypoint_names == list(SKELETON.keypoints)
        for msg, (_, read) in zip(arrays, got[1:], strict=True):
            assert read.header.stamp.sec == 7
            np.testing.assert_array_equal(view(read, read_info).keypoints, view(msg, info).keypoints)
            np.testing.assert_array_equal(read.ended_ids, [5])


def test_definitions_are_those_on_the_wire(ros, tmp_path: Path) -> None:
    node = ros.node()
    node.create_publisher(SkeletonArray, "skeletons", 1)
    ros.spin_until(lambda: node.count_publishers("skeletons"))
    (endpoint,) = node.get_publishers_info_by_topic("/skeletons")
    if not hasattr(endpoint, "topic_type_hash"):
        pytest.skip("this ROS 2 has no type hashes yet")
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/skeletons", SkeletonArray)
    with AnyReader([tmp_path / "bag"]) as reader:
        (connection,) = reader.connections
    assert connection.digest == f"RIHS01_{bytes(endpoint.topic_type_hash.value).hex()}"
    assert "uint8 STATE_TRACKED=2" in connection.msgdef.data, "constants too"


def test_an_older_bag_is_replaced(tmp_path: Path, rng: np.random.Generator) -> None:
    for n in (1, 2):
        with BagWriter(tmp_path / "bag") as bag:
            bag.add("/skeletons", SkeletonArray)
            bag.write("/skeletons", serialize_message(array(n, rng)), n)
    with AnyReader([tmp_path / "bag"]) as reader:
        assert [t for _, t, _ in reader.messages()] == [2]


def test_nothing_else_is_ever_removed(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "thesis.txt").write_text("years of work")
    with pytest.raises(SourceError, match="no bag can be written here"):
        BagWriter(tmp_path / "bag")
    assert (tmp_path / "bag" / "thesis.txt").read_text() == "years of work"


def test_a_bag_without_messages_is_a_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/skeletons", SkeletonArray)
    bag.close()
    with AnyReader([tmp_path / "bag"]) as reader:
        assert list(reader.messages()) == []


def test_what_a_killed_writer_leaves_is_named_kept_and_seconds_short_at_most(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    data = serialize_message(array(1, rng))
    cut = BagWriter(tmp_path / "bag")
    cut.add("/skeletons", SkeletonArray)
    for index in range(100):
        cut.write("/skeletons", data, index * 100_000_000)
    cut._writer.storage.bio.close()
    assert cut.path.read_bytes().count(data) >= 80, "the last two seconds may be missing"
    for path in (cut.folder, cut.path):
        with pytest.raises(SourceError, match=r"bag.mcap was not written to its end.*`mcap recover .*bag\.mcap"):
            BagReader(path)
    with pytest.raises(SourceError, match="not written to its end"):
        open_source(str(cut.path))
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/skeletons", SkeletonArray)
        bag.write("/skeletons", data, 1)
    assert (tmp_path / "bag.unfinished1" / "bag.mcap").read_bytes().count(data) >= 80
    with AnyReader([tmp_path / "bag"]) as reader:
        assert [t for _, t, _ in reader.messages()] == [1]
    with BagWriter(tmp_path / "bag"):  # a finished one is replaced
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "bag.unfinished1"]
