# SPDX-License-Identifier: Apache-2.0
"""Bag: write messages as they came over the wire into an MCAP bag, without rosbag2.

``ros2 bag``, Foxglove and ``rosbags`` read it: it holds the definitions of its messages.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pose_ros.errors import SourceError

_CUT = "cannot be written to its end: {}; `mcap recover` makes a bag of what is there"
#: Who is killed loses no more than this.
_SAVE_EVERY_NS = 2_000_000_000


class BagWriter:
    """Write a bag: a folder with metadata.yaml and one .mcap file of the folder's name; a context manager."""

    def __init__(self, folder: Path | str) -> None:
        """Begin a bag; one that this class wrote there before is replaced, an unfinished one is put aside.

        Raises:
            SourceError: rosbags is not installed, the folder holds other files, or it cannot be written.
        """
        self.folder = Path(folder)
        self.path = self.folder / f"{self.folder.name}.mcap"
        try:
            from rosbags.rosbag2 import StoragePlugin, Writer
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SourceError(str(folder), "writing bags needs the package rosbags: pip install rosbags") from error
        self._types = get_typestore(Stores.ROS2_JAZZY)
        try:
            if self.path.exists() and not (self.folder / "metadata.yaml").exists():
                # Its writer was killed: what there is of it is the only copy.
                taken = sum(1 for _ in self.folder.parent.glob(f"{self.folder.name}.unfinished*"))
                self.folder.rename(self.folder.with_name(f"{self.folder.name}.unfinished{taken + 1}"))
            elif self.folder.exists():
                for own in (self.path, self.folder / "metadata.yaml"):
                    own.unlink(missing_ok=True)
                self.folder.rmdir()
            self._writer: Any = Writer(self.folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except OSError as error:
            raise SourceError(str(folder), f"no bag can be written here: {error.strerror or error}; expected a folder "
                              "that is new, or holds nothing but an older bag") from error
        self._connections: dict[str, Any] = {}
        self._saved_ns: int | None = None

    def add(self, topic: str, message_type: type, *, latched: bool = False) -> None:
        """Announce a topic.

        Args:
            topic: Full name.
            message_type: Message class of rclpy.
            latched: Whether it is played back to late subscribers.
        """
        name = _type_name(message_type)
        if name not in self._types.fielddefs:
            self._types.register(_definitions(message_type))
        self._connections[topic] = self._writer.add_connection(
            topic, name, typestore=self._types, offered_qos_profiles=[_qos(latched)]
        )

    def write(self, topic: str, data: bytes, stamp_ns: int) -> None:
        """Append a serialized message of an announced topic, with the time of its reception.

        Raises:
            SourceError: It cannot be written, for lack of room perhaps.
        """
        try:
            self._writer.write(self._connections[topic], stamp_ns, data)
            self._saved_ns = stamp_ns if self._saved_ns is None else self._saved_ns
            if abs(stamp_ns - self._saved_ns) > _SAVE_EVERY_NS:
                # By itself it writes a megabyte at a time, which may be minutes of skeletons.
                self._writer.storage.close_chunk()
                self._writer.storage.bio.flush()
                self._saved_ns = stamp_ns
        except OSError as error:
            raise SourceError(str(self.path), _CUT.format(error.strerror or error)) from error

    @property
    def counts(self) -> dict[str, int]:
        """Topic -> number of messages."""
        return {topic: self._writer.counts[c.id] for topic, c in self._connections.items()}

    def close(self) -> None:
        """Write the index and metadata.yaml; may be called twice.

        Raises:
            SourceError: They cannot be written.
        """
        if self._writer.storage is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            raise SourceError(str(self.path), _CUT.format(error.strerror or error)) from error
        finally:
            self._writer.storage = None

    def __enter__(self) -> BagWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the bag."""
        self.close()


def _type_name(message_type: type) -> str:
    package = message_type.__module__.split(".")[0]
    return f"{package}/msg/{message_type.__name__}"


def _definitions(message_type: type) -> dict[str, Any]:
    """Read all messages of a package from where its build installed them."""
    from rosbags.typesys import get_types_from_msg

    package = message_type.__module__.split(".")[0]
    module = importlib.import_module(message_type.__module__)
    # <prefix>/lib/python3.x/site-packages/<package>/msg/_name.py and <prefix>/share/<package>/msg/Name.msg.
    folders = [p / "share" / package / "msg" for p in Path(str(module.__file__)).parents]
    found: dict[str, Any] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.msg")):
            found.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{package}/msg/{path.stem}"))
        if found:
            return found
    raise SourceError(_type_name(message_type), f"expected its definition in share/{package}/msg of the installation")


def _qos(latched: bool) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(2147483647, 4294967295)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 5,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
