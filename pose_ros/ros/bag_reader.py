# SPDX-License-Identifier: Apache-2.0
"""Bag reader: the serialized messages of a bag, as they were on the wire, without rosbag2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pose_ros.errors import UnknownNameError
from pose_ros.media.bag_file import BagFile
from pose_ros.ros.message_types import message_class


class BagReader:
    """A bag whose topics can be published again."""

    def __init__(self, path: Path | str, topics: Sequence[str] = ()) -> None:
        """Open a bag.

        Args:
            path: Folder with metadata.yaml, or a .mcap or .db3 file.
            topics: What to read; all where none is named.

        Raises:
            SourceError: rosbags is not installed, or it is no bag.
            UnknownNameError: It has no such topic.
        """
        self._bag = BagFile(str(path), Path(path).expanduser())
        known = {connection.topic for connection in self._bag.connections}
        for topic in topics:
            if topic not in known:
                self.close()
                raise UnknownNameError("topic of the bag", topic, known)
        #: Topic -> message class of rclpy.
        self.topics: dict[str, type] = {}
        #: Topic -> why it cannot be published.
        self.left_out: dict[str, str] = {}
        for connection in self._bag.connections:
            if not topics or connection.topic in topics:
                self._find(connection.topic, connection.msgtype)
        self._connections = [c for c in self._bag.connections if c.topic in self.topics]

    def _find(self, topic: str, message_type: str) -> None:
        try:
            self.topics[topic] = message_class(message_type)
        except ImportError as error:
            self.left_out[topic] = str(error)

    @property
    def duration_ns(self) -> int:
        """From the first to the last message, nanoseconds."""
        return self._bag.duration_ns

    def latched(self, topic: str) -> bool:
        """Return whether late subscribers are to be given the last message, too."""
        from rosbags.interfaces import QosDurability

        profiles: list[Any] = [
            qos for c in self._connections if c.topic == topic for qos in c.ext.offered_qos_profiles
        ]
        # Many bags do not say how their topics were offered.
        return topic == "/tf_static" or any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in profiles)

    def messages(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, time of recording in nanoseconds, and serialized message.

        Raises:
            SourceError: The bag is broken.
        """
        for connection, stamp_ns, data in self._bag.messages(self._connections):
            yield connection.topic, stamp_ns, data

    def close(self) -> None:
        """Close the files; may be called twice."""
        self._bag.close()
