# SPDX-License-Identifier: Apache-2.0
"""Bag reader: the serialized messages of a bag, as they were on the wire, without rosbag2."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pose_ros.errors import SourceError, UnknownNameError
from pose_ros.media.bags import why_unreadable


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
        self._path, path = str(path), Path(path).expanduser()
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SourceError(self._path, "reading bags needs the package rosbags: pip install rosbags") from error
        try:
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()
        except Exception as error:  # the library lets out whatever a broken file provokes
            raise SourceError(self._path, why_unreadable(path, error)) from error
        known = {connection.topic for connection in self._reader.connections}
        for topic in topics:
            if topic not in known:
                self.close()
                raise UnknownNameError("topic of the bag", topic, known)
        #: Topic -> message class of rclpy.
        self.topics: dict[str, type] = {}
        #: Topic -> why it cannot be published.
        self.left_out: dict[str, str] = {}
        for connection in self._reader.connections:
            if not topics or connection.topic in topics:
                self._find(connection.topic, connection.msgtype)
        self._connections = [c for c in self._reader.connections if c.topic in self.topics]

    def _find(self, topic: str, message_type: str) -> None:
        package, _, name = message_type.partition("/msg/")
        try:
            self.topics[topic] = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            self.left_out[topic] = f"{message_type} is not installed"

    @property
    def duration_ns(self) -> int:
        """From the first to the last message, nanoseconds."""
        return int(self._reader.duration)

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
        try:
            for connection, stamp_ns, data in self._reader.messages(self._connections):
                yield connection.topic, stamp_ns, bytes(data)
        except GeneratorExit:
            raise
        except Exception as error:  # as above
            raise SourceError(self._path, f"the bag is broken here: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the files; may be called twice."""
        if self._reader.stack is not None:
            self._reader.close()
