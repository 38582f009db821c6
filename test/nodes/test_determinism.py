# SPDX-License-Identifier: Apache-2.0
"""The same bag gives the same skeletons, bit for bit, however fast it is played."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

import numpy as np
from depth_room import COLOUR, DEPTH, STEP_NS, header, raw, standing, transform
from made import made
from pose_ros.msg import SkeletonArray
from rclpy.serialization import deserialize_message, serialize_message
from scenes import EPOCH_NS, at
from scenes.depth import render
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from stub_pose import write
from tf2_msgs.msg import TFMessage

from pose_ros.cli import bags, compose
from pose_ros.media.demo import Demo
from pose_ros.nodes import answers
from pose_ros.nodes.multiview_node import MultiviewNode
from pose_ros.nodes.player_node import PlayerNode
from pose_ros.nodes.pose_node import PoseNode
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.bag_reader import BagReader
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.images import rgb_to_compressed, rgb_to_image
from pose_ros.ros.qos import sensor
from pose_ros.runtime import open_session
from pose_ros.wiring import pieces

CONFIGS = Path(__file__).parents[2] / "config"
NODES = {"player_node": PlayerNode, "pose_node": PoseNode, "multiview_node": MultiviewNode}
MOMENTS = 6
HANDS = "mediapipe-hand-landmark-full"


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """In one process everybody knows everybody at once, and networks, which keep nothing, are loaded for all runs."""
    loaded, opened = {}, Counter()

    def open_once(path, **how):
        opened[path] += 1  # each node has its own
        key = path, opened[path]
        loaded[key] = loaded.get(key) or open_session(path, **how)
        return loaded[key]

    monkeypatch.setattr(pieces, "open_session", open_once)
    monkeypatch.setattr(answers, "_CALM_S", 0.3)
    monkeypatch.setattr("pose_ros.nodes.player_node._LINGER_S", 0.1)
    monkeypatch.setattr("pose_ros.nodes.player_node._DELIVERY_S", 0.3)
    return opened


@pytest.fixture
def played(ros, opened):
    """Play a bag to the nodes of a file, and return topic -> serialized messages."""

    def play(config, bag, settings, topics, end):
        opened.clear()
        with closing(type(ros)()) as own:
            return once(own, config, bag, settings, topics, end)

    def once(ros, config, bag, settings, topics, end):
        other, heard, codes = ros.node("other"), defaultdict(list), []
        for topic in topics:
            other.create_subscription(SkeletonArray, topic, heard[topic].append, sensor("reliable", 1000), raw=True)
        specs = compose.load(config, settings, str(bag), exact=True)
        player, *others = [spec for spec in specs if spec.plugin in NODES]
        nodes = [ros.add(made(NODES, spec, ros.context)) for spec in others]
        assert ros.spin_until(lambda: all(node._state == "active" for node in nodes), 90.0)
        nodes.append(ros.add(made(NODES, player, ros.context, stop=codes.append)))
        assert ros.spin_until(lambda: codes and len(heard[end]) >= MOMENTS, 60.0), {t: len(m) for t, m in heard.items()}
        ros.spin_for(0.1)
        for node in reversed(nodes):
            node.close()
        return dict(heard)

    return play


@pytest.fixture
def room(testdata, tmp_path):
    """The first moments of the bag of four cameras."""
    reader = BagReader(testdata / "bags" / "pose2sim_single_4cam")
    with BagWriter(tmp_path / "room") as writer:
        for topic, kind in reader.topics.items():
            writer.add(topic, kind, latched=reader.latched(topic))
        counts = dict.fromkeys(reader.topics, 0)
        for topic, stamp_ns, data in reader.messages():
            counts[topic] += 1
            if counts[topic] <= MOMENTS:
                writer.write(topic, data, stamp_ns)
    reader.close()
    return tmp_path / "room"


@pytest.fixture
def portrait(tmp_path):
    """A person with a face and a hand; what calibrates an image is recorded after it, and is never the same."""
    with BagWriter(tmp_path / "portrait") as writer:
        writer.add("/eye/image_raw/compressed", CompressedImage)
        writer.add("/eye/camera_info", CameraInfo)
        for frame in itertools.islice(Demo(), 2, 2 + MOMENTS):
            header = Header(frame_id=frame.frame_id)
            header.stamp.sec, header.stamp.nanosec = divmod(frame.stamp_ns + 10**9, 10**9)
            info, at_ns = camera_to_info(frame.camera, header), frame.stamp_ns + 10**9
            info.k[0] += frame.stamp_ns * 1e-7
            image = rgb_to_compressed(frame.image, header)
            writer.write("/eye/image_raw/compressed", serialize_message(image), at_ns)
            writer.write("/eye/camera_info", serialize_message(info), at_ns + 5_000_000)
    return tmp_path / "portrait"


class DepthSight:
    """What a colour and a depth camera see of somebody who stands there, and how the one turns before the other."""

    def moment(self, number):
        """Return topics and messages in the order in which they are recorded."""
        stamp_ns, colour = EPOCH_NS + number * STEP_NS, camera_to_info(COLOUR.camera, Header())
        people = at(standing(), 0.0)
        pixels = COLOUR.camera.project(people.points("coco17")[0] @ COLOUR.rotation.T + COLOUR.translation)
        rgb = np.zeros((*COLOUR.camera.size_wh[::-1], 3), np.uint8)
        write(rgb, pixels, np.full(pixels.shape[:2], 0.9))
        yield "/image", rgb_to_image(rgb, header(stamp_ns, COLOUR.name))
        colour.header = header(stamp_ns, COLOUR.name)
        yield "/camera_info", colour
        rendered = render(people, 0, DEPTH, colour=COLOUR, wall_m=3.4, seed=number)
        yield "/depth/image", raw(rendered.depth, header(stamp_ns, DEPTH.name))
        yield "/depth/camera_info", camera_to_info(DEPTH.camera, header(stamp_ns, DEPTH.name))
        rotation = COLOUR.rotation @ DEPTH.rotation.T
        moved = COLOUR.translation - rotation @ DEPTH.translation + [0.002 * number, 0, 0]
        # Of a little later, so that the moment of the image lies between two.
        yield "/tf", TFMessage(transforms=[
            transform(COLOUR.name, DEPTH.name, rotation, moved, stamp_ns + (number > 0) * 10_000_000)
        ])


def alike(runs):
    """Check that all runs gave the same bytes."""
    first, *others = runs
    for other, (topic, messages) in itertools.product(others, first.items()):
        assert len(messages) == len(other[topic])
        for a, b in zip(messages, other[topic], strict=True):
            if a != b:  # pytest shows in what
                assert str(deserialize_message(a, SkeletonArray)) == str(deserialize_message(b, SkeletonArray))
            assert a == b, topic


@pytest.mark.usefixtures("models")
def test_four_cameras_and_what_they_see_together(played, room):
    topics = [f"/cam0{i}/pose/skeletons" for i in range(1, 5)]
    topics += ["/multiview/skeletons", "/multiview/hands/skeletons"]
    runs = [
        played(CONFIGS / "multiview.yaml", room, (
            f"/cam01/pose.hands.model={HANDS}", f"/cam02/pose.hands.model={HANDS}", "multiview.hands=true",
            f"player.speed={speed}",
        ), topics, "/multiview/skeletons")
        for speed in (0.5, 0)
    ]
    assert {topic: len(messages) for topic, messages in runs[0].items()} == dict.fromkeys(topics, MOMENTS)
    fused = [deserialize_message(data, SkeletonArray) for data in runs[0]["/multiview/skeletons"]]
    assert all(len(array.skeletons) == 1 and len(array.skeletons[0].points) for array in fused)
    assert any(deserialize_message(data, SkeletonArray).skeletons for data in runs[0]["/multiview/hands/skeletons"])
    alike(runs)


@pytest.mark.usefixtures("models")
def test_a_person_with_a_face_and_a_hand(played, portrait):
    topics = [f"/pose/{part}skeletons" for part in ("", "hands/", "faces/")]
    runs = [
        played(CONFIGS / "demo.yaml", portrait, (f"player.speed={speed}", "player.ahead=0.02"), topics, topics[-1])
        for speed in (0.5, 1, 4, 0)
    ]
    for topic in topics:
        arrays = [deserialize_message(data, SkeletonArray) for data in runs[0][topic]]
        assert len(arrays) == MOMENTS
        assert any(array.skeletons for array in arrays)
        # Nothing in it was measured by a clock.
        assert not any(len(array.stage_ms) or array.stage_names for array in arrays)
    bodies = [deserialize_message(data, SkeletonArray).skeletons[0] for data in runs[0][topics[0]]]
    assert all(len(body.points) for body in bodies)  # also in the first image, whose calibration came after it
    alike(runs)


#: A pose node in a process of its own, all that hears skeletons in another, and a recorder of what they say.
CELL = """\
/**: {ros__parameters: {process: {name: "nodes"}}}
pose:
  ros__parameters: {plugin: pose_node, model: written, image_topic: image, camera_info_topic: camera_info,
                    depth_topic: depth/image, process: {name: "eyes"}}
manipulation:
  ros__parameters: {plugin: manipulation_node, tool_frame: tool0, robot_frames: ["tool0:0.1"], max_silence: 0.3}
hri: {ros__parameters: {plugin: hri_node, silence: 0.5}}
action: {ros__parameters: {plugin: action_node, gravity_frame: base_link, target_frames: [tool0]}}
recorder:
  ros__parameters: {plugin: recorder_node, image_topic: "", camera_info_topic: "",
                    topics: [/action/actions, /action/markers, "/manipulation/[hms]*", "/humans/*", /tf]}
"""


@pytest.fixture
def cell(tmp_path):
    """Two cameras that move against each other before a robot, with a pause; what belongs to images comes late."""
    seen, after_ms = DepthSight(), (0, 10, 20, 20, 30)
    base = transform("base_link", COLOUR.name, COLOUR.rotation.T, -COLOUR.rotation.T @ COLOUR.translation)
    with BagWriter(tmp_path / "cell") as writer:
        for topic, kind in (("/image", Image), ("/camera_info", CameraInfo), ("/depth/image", Image),
                            ("/depth/camera_info", CameraInfo), ("/tf", TFMessage)):  # fmt: skip
            writer.add(topic, kind)
        writer.add("/tf_static", TFMessage, latched=True)
        writer.write("/tf_static", serialize_message(TFMessage(transforms=[base])), EPOCH_NS)
        for moment in (*range(MOMENTS), *range(30, 30 + MOMENTS)):
            at_ns = EPOCH_NS + moment * STEP_NS
            for after, (topic, message) in zip(after_ms, seen.moment(moment), strict=True):
                if topic == "/tf":
                    place = np.array([0.6 + 0.01 * moment, 0.0, 1.0])
                    message.transforms.append(transform("base_link", "tool0", np.eye(3), place, at_ns + 10_000_000))
                writer.write(topic, serialize_message(message), at_ns + after * 1_000_000)
    return tmp_path / "cell"


def test_all_nodes_as_processes(cell, tmp_path, stub_environment):
    config = tmp_path / "cell.yaml"
    config.write_text(CELL)
    # Each in a domain of its own, both at once.
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pose_ros.cli", "up", str(config), "--source", str(cell), "--exact", "--no-table",
             "--output", str(tmp_path / speed), "--set", f"player.speed={speed}"],
            env={**stub_environment, "ROS_DOMAIN_ID": str(domain)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )
        for speed, domain in (("1", int(os.environ["ROS_DOMAIN_ID"])), ("0", 100 + int(os.environ["ROS_DOMAIN_ID"])))
    ]
    for run in runs:
        said = run.communicate(timeout=90)[1]
        assert run.returncode == 0, said
    found = {topic["topic"]: topic for topic in
             bags.compare(tmp_path / "1" / "skeletons", tmp_path / "0" / "skeletons", ["*"])}  # fmt: skip
    assert {name: topic["first"] for name, topic in found.items() if topic["differ"]} == {}
    counts = {name: topic["a"] for name, topic in found.items()}
    reader = BagReader(tmp_path / "0" / "skeletons")
    arrays = [deserialize_message(d, SkeletonArray) for t, _, d in reader.messages() if t == "/pose/skeletons"]
    reader.close()
    # All of them were measured, none is carried on from an earlier image.
    assert all(array.skeletons[0].sources.count(1) > 10 for array in arrays)
    images = 2 * MOMENTS
    for topic in ("/pose/skeletons", "/action/actions", "/manipulation/handovers"):
        assert counts[topic] == images
    # The silence in between was said once, as of when it began to be one; everybody who came back was told of anew.
    assert counts["/manipulation/separation"] == images + 1
    assert counts["/humans/bodies/tracked"] == images + 1
    assert counts["/tf body_b0001"] == images
    assert counts["/humans/bodies/b0001/position"] == images
