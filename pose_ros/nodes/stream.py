# SPDX-License-Identifier: Apache-2.0
"""Stream: the skeletons of one topic, as they were on the wire and as poses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import PoseRosError
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.nodes.tally import Tally
from pose_ros.ros.qos import LATCHED, sensor
from pose_ros.ros.reading import array_to_poses, info_to_skeleton

#: Arrays that may wait in the transport, and for their info.
_ARRAYS_WAITING, _EARLY = 100, 300
#: Told (topic, message type, serialized message, whether it is latched).
Record = Callable[[str, type, bytes, bool], None]
#: Told (message, its poses).
Accept = Callable[[SkeletonArray, Poses], None]


class Stream:
    """Hears one ``skeletons`` topic and the ``skeleton_info`` beside it."""

    def __init__(self, node: Node, topic: str, record: Record, accept: Accept) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            topic: Of the arrays.
            record: Gets every message as it came.
            accept: Gets every array as poses, those that came before their info as soon as that is there.
        """
        self._node, self._record, self._accept = node, record, accept
        self.tally = Tally()
        #: What explains the arrays at present.
        self.skeleton: Skeleton | None = None
        #: Arrays that wait for their info.
        self.early: deque[SkeletonArray] = deque(maxlen=_EARLY)
        info = "/".join([*topic.split("/")[:-1], "skeleton_info"])
        self._infos = node.create_subscription(SkeletonInfo, info, self._on_info, LATCHED, raw=True)
        qos = sensor("reliable", _ARRAYS_WAITING)
        self._arrays = node.create_subscription(SkeletonArray, topic, self._on_array, qos, raw=True)

    @property
    def topics(self) -> tuple[str, str]:
        """Full names of the topics of infos and arrays."""
        return self._infos.topic_name, self._arrays.topic_name

    @property
    def published(self) -> bool:
        """Whether anybody offers arrays."""
        return bool(self._node.count_publishers(self.topics[1]))

    def _on_info(self, data: bytes) -> None:
        self._record(self._infos.topic_name, SkeletonInfo, data, True)
        try:
            self.skeleton = info_to_skeleton(deserialize_message(data, SkeletonInfo))
        except PoseRosError as error:
            self._node.get_logger().error(str(error))
            return
        early, self.early = self.early, deque(maxlen=_EARLY)
        for msg in early:
            self._take(msg)

    def _on_array(self, data: bytes) -> None:
        self._record(self._arrays.topic_name, SkeletonArray, data, False)
        msg = deserialize_message(data, SkeletonArray)
        self.tally.add(msg, self._node.get_clock().now().nanoseconds)
        self._take(msg)

    def _take(self, msg: SkeletonArray) -> None:
        """Pass an array on; one whose latched info is still under way waits for it."""
        if self.skeleton is None or self.skeleton.name != msg.schema:
            self.early.append(msg)
            return
        try:
            poses = array_to_poses(msg, self.skeleton)
        except PoseRosError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._accept(msg, poses)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in (self._infos, self._arrays):
            self._node.destroy_subscription(subscription)


def beside(topic: str, part: str) -> str:
    """Return the topic of the parts of subjects, as pose nodes name it."""
    head, _, tail = topic.rpartition("/")
    return "/".join([head, part, tail] if head else [part, tail])
