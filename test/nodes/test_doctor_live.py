# SPDX-License-Identifier: Apache-2.0
"""``pose-ros doctor --live`` among real nodes: what it says of set-ups that work, and of those broken on purpose."""

from __future__ import annotations

import gc
import json
import os
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from pose_ros.msg import SkeletonArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.cli import examine
from pose_ros.cli.main import main
from pose_ros.ros import listening
from pose_ros.ros.listening import Endpoint, Heard, Status, Times, Topic, listen


@pytest.fixture
def doctor(ros):
    """Listen while the test's nodes spin, and ``often`` is called again and again; returns findings by name."""
    # Nodes that refused their parameters in other tests are in the graph for as long as anything holds their errors.
    gc.collect()

    def look(seconds=1.6, often=lambda: None, work=listen):
        heard = []
        thread = threading.Thread(target=lambda: heard.append(work(seconds)))
        thread.start()
        while thread.is_alive():
            often()
            ros.spin_for(0.05)
        thread.join()
        return heard[0]

    return look


def named(heard, state="problem"):
    found = {}
    for finding in examine.findings(heard):
        if finding.state == state:
            key = finding.part, finding.name
            found[key] = f"{found.get(key, '')}{finding.detail}; {finding.fix}\n"
    return found


def send(scene):
    """Return what sends an image, stamped now."""
    camera = scene.camera()
    return lambda: camera.publish(scene.image(stamp_ns=time.time_ns()))


def test_a_system_that_works_has_no_problems(scene, doctor):
    scene = scene()
    often = send(scene)
    heard = doctor(2.5, often)
    assert not named(heard)
    rows = {row["node"]: row for row in examine.nodes(heard)}
    assert (rows["/pose"]["state"], rows["/pose"]["health"], rows["/pose"]["model"]) == ("active", "ok", "stub")
    assert rows["/pose"]["subjects"] == 1
    topics = {row["topic"]: row for row in examine.topics(heard)}
    assert (topics["/image"]["from"], topics["/image"]["to"]) == ("/other", "/pose")
    assert topics["/pose/skeletons"]["rate_hz"] == pytest.approx(topics["/image"]["rate_hz"], rel=0.5)
    assert 0 < topics["/image"]["late_ms"] < 1000


def test_it_wakes_nobody(ros, pose_node, doctor):
    node = pose_node()
    heard = doctor()
    assert not node._switch.worker.listening
    assert "idle: nobody listens" in named(heard, "note")["node", "/pose"]


@pytest.mark.parametrize("as_json", [True, False])
def test_command_line(scene, doctor, capfd, as_json):
    scene = scene(watchdog=0.2, image_topic="/cam/imgae")
    scene.other.create_publisher(type(scene.image()), "/cam/image", 1)
    arguments = ["doctor", "--live", "--seconds", "1.6", *(["--json"] if as_json else [])]
    code = doctor(work=lambda _: main(arguments))
    assert code == 1
    text = capfd.readouterr().out
    if as_json:
        said = json.loads(text)
        assert {"nodes", "topics", "findings"} <= said.keys()
        text = json.dumps(said)
    assert "/pose waits for images, and nobody publishes them" in text
    assert "images are on /cam/image" in text


def test_nobody_is_there(doctor, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(int(os.environ["ROS_DOMAIN_ID"]) + 100))  # nobody lingers there
    monkeypatch.setattr(listening, "_FOUND_S", 1.0)
    (text,) = named(doctor(0.5)).values()
    assert "no node of this package is heard" in text
    assert "domain" in text


def test_qos_that_does_not_fit(scene, doctor):
    scene = scene(reliability="reliable", watchdog=0.2)
    best = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    scene.other.create_publisher(type(scene.image()), "image", best)
    problems = named(doctor())
    assert "/pose does not hear /other" in problems["topic", "/image"]
    assert "does not match" in problems["node", "/pose"]


def test_a_node_that_is_not_active(ros, pose_node, doctor):
    pose_node(autostart=False, watchdog=0.0)
    assert "ros2 lifecycle set /pose configure" in named(doctor())["node", "/pose"]


def test_two_nodes_of_one_name(ros, scene, doctor):
    scene = scene()
    ros.node("twin"), ros.node("twin")
    assert "2 nodes have this name" in named(doctor(often=send(scene)))["node", "/twin"]


def test_another_type(ros, scene, doctor):
    from rclpy.context import Context
    from rclpy.node import Node

    scene = scene(watchdog=0.2)
    context = Context()
    context.init()
    camera = Node("camera", context=context)
    try:
        camera.create_publisher(CompressedImage, "image", 1)
        assert "several types" in named(doctor())["topic", "/image"]
    finally:
        camera.destroy_node()
        context.try_shutdown()


def test_stamps_of_another_clock(scene, doctor):
    scene = scene()
    camera = scene.camera()
    problems = named(doctor(often=lambda: camera.publish(scene.image(stamp_ns=time.time_ns() - 60 * 10**9))))
    assert "60.0 s behind" in problems["clock", "/image"] or "60.1 s behind" in problems["clock", "/image"]


def test_a_publisher_that_is_silent(scene, doctor):
    scene = scene(watchdog=0.0)
    scene.camera()
    assert "/other publishes images, but none came" in named(doctor())["topic", "/image"]


def test_gaps_parents_and_trees_of_tf(scene, doctor):
    scene = scene()
    often, tf, moment = send(scene), scene.other.create_publisher(TFMessage, "/tf", 10), [0]

    def publish():
        often()
        moment[0] += 1
        if time.monotonic() % 3.0 < 1.3:
            return
        sec, nanosec = divmod(time.time_ns(), 10**9)
        stamp = Time(sec=sec, nanosec=nanosec)
        edges = [("map", "base"), ("base", "camera"), ("camera", "body_9"), ("elsewhere", "thing"),
                 ("map" if moment[0] % 2 else "odom", "wheel")]
        made = [TransformStamped(header=Header(frame_id=p, stamp=stamp), child_frame_id=c) for p, c in edges]
        tf.publish(TFMessage(transforms=made))

    heard = doctor(4.5, publish)
    problems, notes = named(heard), named(heard, "note")
    assert "has several parents: map, odom" in problems["tf", "wheel"]
    assert "paused for" in problems["tf", "base"]
    assert "paused for" in problems["tf", "camera"]
    assert ("tf", "body_9") not in problems, "people come and go"
    assert "not joined" in notes["tf", "elsewhere, map, odom"]


def test_a_camera_that_tf_does_not_know():
    heard = Heard(5.0, transforms={("base", "map"): Times(static=True)}, topics={"/image": Topic()},
                  streams={"/image": Times(late=[0.01], frame_id="/camera")})
    assert "/image is of this frame, which TF does not know" in named(heard, "note")["tf", "camera"]


def test_a_node_that_hangs(ros, doctor):
    """It stands in the graph and advertises skeletons, and says nothing."""
    ros.node("stuck").create_publisher(SkeletonArray, "/stuck/skeletons", 1)
    assert "it said nothing of itself" in named(doctor(3.0))["node", "/stuck"]


def test_rates_and_losses_that_are_reported_and_not_seen():
    """What needs a network that loses messages, told by hand."""
    values = {"rate_hz": "30.0", "state": "active", "drops_lost": "12"}
    times = Times(came=[0.1 * n for n in range(20)], stamps=[0.1 * n for n in range(20)], late=[0.01] * 20)
    ends = [Endpoint("/pose", "pose_ros/msg/SkeletonArray", None)]
    heard = Heard(5.0, ["/pose"], {}, {"/pose/skeletons": Topic(ends)},
                  {"/pose": Status({**values, "drops_lost": "2"}, values, count=5)}, {"/pose/skeletons": times})
    problems = named(heard)
    assert "/pose reports 30.0 Hz, 10.0 arrive here" in problems["topic", "/pose/skeletons"]
    assert "10 lost while the doctor listened" in problems["node", "/pose"]
