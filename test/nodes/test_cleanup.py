# SPDX-License-Identifier: Apache-2.0
"""Cleaning a node up leaves nothing of what configuring and working made, however often."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from multiview_room import NAMES, Room
from rclpy.lifecycle import TransitionCallbackReturn

_OK = TransitionCallbackReturn.SUCCESS


def held(node: Any) -> tuple[Counter, Counter, int]:
    """Return topics of publishers and of subscriptions, and the number of timers, clients and services."""
    rest = len(list(node.timers)) + len(list(node.clients)) + len(list(node.services))
    return Counter(p.topic_name for p in node.publishers), Counter(s.topic_name for s in node.subscriptions), rest


def as_seen(other: Any, node: Any) -> tuple[set[str], set[str]]:
    """Return topics that another node sees this one publish and hear."""
    ask = other.get_publisher_names_and_types_by_node, other.get_subscriber_names_and_types_by_node
    published, heard = ({topic for topic, _ in names(node.get_name(), "/")} for names in ask)
    return published, heard


def check(ros: Any, other: Any, node: Any, work: Any) -> None:
    """Let a node live twice."""
    before = held(node)
    # Those that rcl itself publishes are not among the node's own.
    assert ros.spin_until(lambda: "/diagnostics" in as_seen(other, node)[0])
    ros.spin_for(0.5)  # the other topics are found soon after
    seen = as_seen(other, node)
    for _ in range(2):
        assert node.trigger_configure() == _OK
        assert node.trigger_activate() == _OK
        assert sum(before[0].values()) < sum(held(node)[0].values())
        work()
        assert node.trigger_deactivate() == _OK
        assert node.trigger_cleanup() == _OK
        assert held(node) == before
    assert ros.spin_until(lambda: as_seen(other, node) == seen), as_seen(other, node)


def test_a_pose_node_leaves_nothing(scene, ros):
    scene = scene(autostart=False, hands__model="stub-hand", depth_topic="depth/image", filter__filtering_frame="odom")
    camera = None

    def work() -> None:
        nonlocal camera
        camera = camera or scene.camera()
        assert ros.spin_until(camera.get_subscription_count)
        scene.send(scene.image(subjects=2))

    check(ros, scene.other, scene.node, work)


def test_a_multiview_node_leaves_nothing(ros, capfd):
    room = Room(ros, capfd, hands_of=NAMES, hands=True, autostart=False)

    def work() -> None:
        room.listen()
        room.play(2)

    check(ros, room.other, room.node, work)
