# SPDX-License-Identifier: Apache-2.0
"""Watchdog: why does no image arrive, or nothing else that is waited for?"""

from __future__ import annotations

import difflib
import os

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

#: Types that hold images, and what to do when one comes instead of the other.
_IMAGES = {
    "sensor_msgs/msg/Image": "set image_transport to 'raw'",
    "sensor_msgs/msg/CompressedImage": "set image_transport to 'compressed'",
    "pose_ros/msg/SharedImage": "set image_transport to 'shared'",
}


def why_silent(
    node: Node, topic: str, message_type: str, qos: QoSProfile, what: str = "images", parameter: str = "image_topic"
) -> str:
    """Say why nothing arrives on a topic, and what to do.

    Args:
        node: Whose view of the graph is asked.
        topic: As it was subscribed to.
        message_type: Such as ``sensor_msgs/msg/Image``.
        qos: Of the subscription.
        what: Is waited for, in plural.
        parameter: That names the topic.
    """
    topic = node.resolve_topic_name(topic)
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f"nobody publishes {topic}; {_near(node, topic, message_type, what, parameter)}"
    same = [p for p in publishers if p.topic_type == message_type]
    if not same:
        other = publishers[0].topic_type
        hint = _IMAGES.get(other, "another topic may be meant")
        return f"{topic} is {other}, expected {message_type}; {hint}"
    problems = []
    for publisher in same:
        compatible, reason = qos_check_compatible(publisher.qos_profile, qos)
        if compatible == QoSCompatibility.ERROR:
            problems.append(f"{_name(publisher)} offers {_words(publisher.qos_profile)}, but {_words(qos)} is asked "
                            f"for ({reason.strip().rstrip(';')})")
    if len(problems) == len(same):
        return f"QoS of {topic} does not match: {'; '.join(problems)}; set parameter reliability"
    names = ", ".join(_name(p) for p in same)
    if message_type not in _IMAGES:
        return f"{names} publishes {topic}, but nothing arrives; does it work?"
    return (f"{names} publishes {topic}, but no image arrives; is the camera running? Large images can also be lost on "
            f"the way: set parameter reliability to 'reliable', or give DDS more shared memory")


def domain() -> str:
    """Say what can be heard from here."""
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    alone = {"LOCALHOST": "nodes on this machine only", "OFF": "nobody"}.get(reach, "")
    heard = f", where ROS_AUTOMATIC_DISCOVERY_RANGE={reach} lets it hear {alone}" if alone else ""
    return f"This node is in domain {os.environ.get('ROS_DOMAIN_ID') or 0}{heard}"


def _name(endpoint: object) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"  # type: ignore[attr-defined]


def _words(qos: QoSProfile) -> str:
    return f"{qos.reliability.name.lower()}, {qos.durability.name.lower()}"


def _near(node: Node, topic: str, message_type: str, what: str, parameter: str) -> str:
    """Say which topics of that type exist, the most similar names first."""
    own = {publisher.topic_name for publisher in node.publishers}
    wanted = {message_type, *(_IMAGES if message_type in _IMAGES else ())}
    found = [
        (name, kind) for name, kinds in node.get_topic_names_and_types() for kind in kinds
        if kind in wanted and name not in own and node.count_publishers(name)
    ]
    if not found:
        started = "the camera" if message_type in _IMAGES else "what publishes them"
        return f"no node publishes any {what}: is {started} started, in the same ROS_DOMAIN_ID? {domain()}"
    found.sort(key=lambda one: -difflib.SequenceMatcher(None, one[0], topic).ratio())
    listed = ", ".join(name + ("" if kind == message_type else f" ({kind})") for name, kind in found[:5])
    return f"{what} that are published: {listed}; set parameter {parameter}"
