# SPDX-License-Identifier: Apache-2.0
"""Nodes among others: images shared in one process, overridden QoS, two robots, clocks, processors."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from pose_ros.msg import SkeletonArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.errors import ConfigError
from pose_ros.ros.images import rgb_to_image
from pose_ros.ros.intake import Intakes
from pose_ros.ros.process import processors

_OK = TransitionCallbackReturn.SUCCESS


@pytest.fixture
def pose(ros, stub_environment, monkeypatch):
    """Make a pose node with arguments of its own; keyword arguments are parameters, ``__`` stands for a dot."""
    from pose_ros.nodes import managed
    from pose_ros.nodes.pose_node import PoseNode

    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(*words: str, intakes: Any = None, overrides: Any = None, **parameters: Any) -> Any:
        values = {"model": "stub", **{k.replace("__", "."): v for k, v in parameters.items()}, **(overrides or {})}
        made.append(PoseNode(
            context=ros.context, intakes=intakes, cli_args=["--ros-args", *words, "--"] if words else None,
            parameter_overrides=[Parameter(n, value=v) for n, v in values.items()],
        ))
        return ros.add(made[-1])

    yield make
    for node in made:
        node.close()


def image(stamp_ns: int, subjects: int = 1, frame: str = "camera") -> Image:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[0, 0, 0] = subjects
    header = Header(frame_id=frame)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10**9)
    return rgb_to_image(rgb, header)


def heard(ros, node, kind, topic, depth=1000):
    got: list[Any] = []
    node.create_subscription(kind, topic, got.append, depth)
    return got


def stamps(arrays):
    return [a.header.stamp.sec * 10**9 + a.header.stamp.nanosec for a in arrays]


# Images that are shared.


def test_nodes_of_one_process_share_a_subscription_and_each_sees_every_image(ros, pose):
    intakes, other = Intakes(), ros.node("other")
    nodes = [pose("-r", f"__node:={name}", intakes=intakes) for name in ("body", "hand")]
    answers = [heard(ros, other, SkeletonArray, f"/{name}/skeletons") for name in ("body", "hand")]
    camera = other.create_publisher(Image, "image", 10)
    assert ros.spin_until(lambda: all(n._work is not None and n._work.listening for n in nodes))
    assert ros.spin_until(camera.get_subscription_count)
    for i in range(10):
        camera.publish(image(i + 1))
        assert ros.spin_until(lambda i=i: all(len(a) > i for a in answers))
    assert stamps(answers[0]) == stamps(answers[1]) == list(range(1, 11))
    assert camera.get_subscription_count() == 1
    # Who subscribed for both may go; the other one goes on.
    assert nodes[0].trigger_deactivate() == _OK
    camera.publish(image(11))
    assert ros.spin_until(lambda: len(answers[1]) == 11)
    assert nodes[1].trigger_deactivate() == _OK
    assert ros.spin_until(lambda: not camera.get_subscription_count())


def test_a_slow_node_that_shares_does_not_hold_up_a_fast_one_and_gets_the_newest(ros, pose):
    intakes, other = Intakes(), ros.node("other")
    slow = pose("-r", "__node:=slow", intakes=intakes, estimator__delay=0.2)
    fast = pose("-r", "__node:=fast", intakes=intakes)
    answers = {name: heard(ros, other, SkeletonArray, f"/{name}/skeletons") for name in ("slow", "fast")}
    camera = other.create_publisher(Image, "image", 10)
    assert ros.spin_until(lambda: all(n._work is not None and n._work.listening for n in (slow, fast)))
    assert ros.spin_until(camera.get_subscription_count)
    for i in range(20):
        camera.publish(image(i + 1))
        assert ros.spin_until(lambda i=i: len(answers["fast"]) > i)
        ros.spin_for(0.03)
    assert stamps(answers["fast"]) == list(range(1, 21))
    assert ros.spin_until(lambda: answers["slow"] and stamps(answers["slow"])[-1] == 20)
    seen = stamps(answers["slow"])
    assert len(seen) < 20
    assert seen == sorted(set(seen))
    assert slow._health.dropped == 20 - len(seen)
    assert fast._health.dropped == 0


def test_pixels_are_made_once(monkeypatch):
    from pose_ros.ros import intake

    calls = []
    monkeypatch.setattr(intake, "image_to_rgb", lambda message: calls.append(message) or np.zeros((2, 2, 3), np.uint8))
    picture = intake.Picture(Image(), intake.image_to_rgb)
    assert picture.rgb() is picture.rgb()
    assert len(calls) == 1


def test_where_images_may_wait_nothing_is_shared(ros, pose):
    intakes, other = Intakes(), ros.node("other")
    for name in ("body", "hand"):
        pose("-r", f"__node:={name}", intakes=intakes, depth=10)
        heard(ros, other, SkeletonArray, f"/{name}/skeletons")
    camera = other.create_publisher(Image, "image", 10)
    assert ros.spin_until(lambda: camera.get_subscription_count() == 2)


def test_a_process_of_two_nodes(ros, stub_environment, tmp_path):
    code = "import sys; from pose_ros.nodes.start import together; sys.exit(together())"
    words = [w for name in ("body", "hand") for w in (
        "pose_node", "--ros-args", "-r", f"__node:={name}", "-p", "model:=stub", "-p", "process.cpus:='0'", "-p",
        "process.nice:=3", "--")]
    process = subprocess.Popen([sys.executable, "-c", code, *words], env=stub_environment, text=True,
                               stderr=subprocess.PIPE)
    try:
        other = ros.node("other")
        answers = [heard(ros, other, SkeletonArray, f"/{name}/skeletons") for name in ("body", "hand")]
        camera = other.create_publisher(Image, "image", 10)

        def both() -> bool:
            camera.publish(image(time.monotonic_ns()))
            ros.spin_for(0.05)
            return all(answers)

        assert ros.spin_until(both, 60)
        assert camera.get_subscription_count() == 1
        threads = [int(thread) for thread in os.listdir(f"/proc/{process.pid}/task")]
        assert all(os.sched_getaffinity(thread) == {0} for thread in threads)
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {3}
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors


# Processors.


@pytest.mark.parametrize(("text", "expected"), [("", set()), ("0", {0}), ("0,2-4", {0, 2, 3, 4}), (" 1 , 3 ", {1, 3})])
def test_lists_of_processors(text, expected):
    assert processors(text) == expected


@pytest.mark.parametrize("text", ["a", "1-", "-1", "0;1", "1-2-3"])
def test_what_is_no_list_of_processors_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected numbers and ranges such as '0,2-3'"):
        processors(text)


def test_a_thread_stands_back_alone() -> None:
    from pose_ros.ros.process import stand_back

    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before, found = nice(), list[int]()
    thread = threading.Thread(target=lambda: (stand_back(2), found.append(nice())))
    thread.start()
    thread.join()
    assert (found, nice()) == ([before + 2], before)


def test_opencv_has_one_thread_in_nodes() -> None:
    code = "from pose_ros.nodes.start import _settle; _settle(); import cv2; print(cv2.getNumThreads())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_processors_that_are_not_there_are_refused():
    from pose_ros.ros.process import ProcessOptions, settle

    before = os.sched_getaffinity(0)
    with pytest.raises(ConfigError, match=r"process.cpus: '4000' is refused by the system"):
        settle(ProcessOptions(cpus="4000"))
    assert os.sched_getaffinity(0) == before


# Quality of service.


def test_every_topics_qos_can_be_overridden(ros, pose):
    own = "qos_overrides./pose/skeletons.publisher."
    pose(overrides={
        "qos_overrides./image.subscription.reliability": "reliable", f"{own}reliability": "best_effort",
        f"{own}depth": 7, f"{own}deadline": 10**9,
    })
    other = ros.node("other")
    other.create_subscription(
        SkeletonArray, "/pose/skeletons", lambda _: None, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    assert ros.spin_until(lambda: other.get_subscriptions_info_by_topic("/image"))
    (image_in,) = other.get_subscriptions_info_by_topic("/image")
    assert image_in.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    (skeletons,) = other.get_publishers_info_by_topic("/pose/skeletons")
    assert skeletons.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert skeletons.qos_profile.deadline.nanoseconds == 10**9
    (others,) = other.get_publishers_info_by_topic("/pose/markers")
    assert others.qos_profile.reliability == ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(("policy", "value", "words"), [
    ("reliability", "sure", "expected one of .*best_effort.*got 'sure'"),
    ("depth", "many", "expected a number of messages as an integer, got 'many'"),
])
def test_qos_that_does_not_exist_is_refused(ros, pose, policy, value, words):
    with pytest.raises(ConfigError, match=words):
        pose(overrides={f"qos_overrides./image.subscription.{policy}": value})


# Two robots.


@pytest.mark.parametrize("own_tf", [False, True])
def test_of_two_robots_in_one_domain_nothing_crosses(ros, pose, own_tf):
    other, robots = ros.node("other"), ("robot1", "robot2")
    remap = ("-r", "/tf:=tf") if own_tf else ()
    nodes = [pose("-r", f"__ns:=/{r}", *remap, tf_prefix=f"{r}/") for r in robots]
    answers = [heard(ros, other, SkeletonArray, f"/{r}/pose/skeletons") for r in robots]
    frames = [heard(ros, other, TFMessage, f"/{r}/tf" if own_tf else "/tf") for r in robots]
    status = heard(ros, other, DiagnosticArray, "/diagnostics")
    cameras = [other.create_publisher(Image, f"/{r}/image", 10) for r in robots]
    infos = [other.create_publisher(CameraInfo, f"/{r}/camera_info", 10) for r in robots]
    assert ros.spin_until(lambda: all(c.get_subscription_count() == 1 for c in (*cameras, *infos)))
    for i in range(5):
        for n, (camera, info) in enumerate(zip(cameras, infos, strict=True)):
            picture = image(i + 1, subjects=n + 1, frame=f"{robots[n]}_optical_frame")
            info.publish(CameraInfo(header=picture.header, width=64, height=48, k=[60.0, 0, 32, 0, 60, 24, 0, 0, 1]))
            camera.publish(picture)
        assert ros.spin_until(lambda i=i: all(len(a) > i for a in answers))
    for n, arrays in enumerate(answers):
        assert {(a.header.frame_id, len(a.skeletons)) for a in arrays} == {(f"{robots[n]}_optical_frame", n + 1)}
    assert ros.spin_until(lambda: all(frames))
    ros.spin_for(0.3)
    for n, robot in enumerate(robots):
        told = {t.child_frame_id for m in frames[n] for t in m.transforms}
        assert any(name.startswith(f"{robot}/body_") for name in told)
        assert own_tf != any(name.startswith(f"{robots[1 - n]}/") for name in told)
    by = {s.hardware_id for array in status for s in array.status}
    assert by == {"/robot1/pose", "/robot2/pose"}
    assert [node._health.received for node in nodes] == [5, 5]


# Clocks.


def test_without_a_clock_a_node_on_simulated_time_starts_and_reports_all_the_same(ros, pose):
    node, other = pose(use_sim_time=True), ros.node("other")
    status = heard(ros, other, DiagnosticArray, "/diagnostics")
    assert ros.spin_until(lambda: node._state == "active" and len(status) > 2)


def test_simulated_time_and_old_stamps_give_true_latencies(ros, pose):
    node, other = pose(use_sim_time=True, watchdog=0.5), ros.node("other")
    answers = heard(ros, other, SkeletonArray, "/pose/skeletons")
    clock, camera = other.create_publisher(Clock, "/clock", 10), other.create_publisher(Image, "image", 10)
    assert ros.spin_until(lambda: camera.get_subscription_count() and clock.get_subscription_count())
    start = 1_000_000_000 * 10**9  # in 2001
    for i in range(5):
        now = Clock()
        now_ns = start + i * 10**8 + 20_000_000
        now.clock.sec, now.clock.nanosec = divmod(now_ns, 10**9)
        clock.publish(now)
        assert ros.spin_until(lambda now_ns=now_ns: node.get_clock().now().nanoseconds == now_ns)
        camera.publish(image(start + i * 10**8))
        assert ros.spin_until(lambda i=i: len(answers) > i)
    # Time stood still while the images were on their way: they are as old as the clock says, 20 ms.
    assert list(node._health._latency_ms) == pytest.approx([20.0] * 5)
    # A bag that is paused: the watchdog goes by steady time.
    assert ros.spin_until(lambda: "no image for" in node._silence(), 5)


# Nothing is left behind.


def test_cleanup_ends_threads_and_lets_go_of_the_network(ros, pose):
    # Other tests' threads may end meanwhile, so that only those are counted that come.
    node = pose(autostart=False)
    for _ in range(3):
        before = set(threading.enumerate())
        assert node.trigger_configure() == _OK
        assert node.trigger_activate() == _OK
        pipeline = weakref.ref(node._work.pipeline)
        model = weakref.ref(node._work.pipeline.source)
        assert len(set(threading.enumerate()) - before) == 1
        assert node.trigger_deactivate() == _OK
        assert not set(threading.enumerate()) - before
        assert node.trigger_cleanup() == _OK
        gc.collect()
        assert pipeline() is None
        assert model() is None
