# SPDX-License-Identifier: Apache-2.0
"""Bags: read the images of one camera from a ROS 2 bag, with or without ROS installed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError, ImageError, SourceError
from pose_ros.media.source import Source

# Both read anything that has the fields of the message, and import nothing of ROS.
from pose_ros.ros.cameras import camera_from_info
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb

log = logging.getLogger(__name__)

_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO = "sensor_msgs/msg/CameraInfo"
#: How a .mcap file begins and, if its writer has come to the end, ends.
_MAGIC = b"\x89MCAP0\r\n"


def why_unreadable(path: Path, error: Exception) -> str:
    """Return why a bag cannot be read, and what to do if whoever wrote it was killed.

    Args:
        path: Folder or file.
        error: What the library says.
    """
    for file in sorted(path.glob("*.mcap")) if path.is_dir() else [path]:
        with contextlib.suppress(OSError), file.open("rb") as content:
            begins = content.read(len(_MAGIC)) == _MAGIC
            content.seek(max(0, file.stat().st_size - len(_MAGIC)))
            if begins and (content.tell() == 0 or content.read() != _MAGIC):
                return (f"{file.name} was not written to its end, its recorder was killed perhaps; what is there "
                        f"becomes a bag by `mcap recover {file} -o recovered.mcap`")
    return f"cannot be read as a ROS 2 bag: {type(error).__name__}: {error}"


class Bag(Source):
    """The images of one topic, and the CameraInfo of its namespace. Stamps and frames are those of the headers."""

    absolute = True

    def __init__(self, name: str, path: Path, topic: str = "", loop: bool = False) -> None:
        """Open a bag.

        Args:
            name: What was asked for.
            path: Folder with metadata.yaml, or a .mcap or .db3 file.
            topic: Image topic; may be left out when the bag holds one camera.
            loop: Begin again at the end.

        Raises:
            SourceError: It is no bag, has no such topic, or several cameras of which none was named.
        """
        super().__init__(name, loop)
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SourceError(name, "reading bags needs the package rosbags: pip install rosbags") from error
        try:
            # Bags of Humble do not say what their messages look like.
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self._reader.open()
        except Exception as error:  # the library lets out whatever a broken file provokes
            raise SourceError(name, why_unreadable(path, error)) from error
        try:
            self._images = self._choose(topic)
        except SourceError:
            self.close()
            raise
        info_topic = _namespace(self._images[0].topic) + "/camera_info"
        self._infos = [c for c in self._reader.connections if c.topic == info_topic and c.msgtype == _INFO]
        count = sum(c.msgcount for c in self._images)
        seconds = self._reader.duration / 1e9
        self.fps = (count - 1) / seconds if count > 1 and seconds > 0 else None
        self.length = None if loop else count

    def _choose(self, topic: str) -> list[Any]:
        """Return the connections of the image topic."""
        found: dict[str, list[Any]] = {}
        for connection in self._reader.connections:
            if connection.msgtype in (_IMAGE, _COMPRESSED) and connection.msgcount:
                found.setdefault(connection.topic, []).append(connection)
        path = self.name.removesuffix(f"#{topic}") if topic else self.name
        choices = ", ".join(f"{path}#{t}" for t in sorted(found)) or "none"
        if topic:
            if topic not in found:
                raise SourceError(self.name, f"the bag has no images on that topic; it has: {choices}")
            return found[topic]
        if not found:
            topics = ", ".join(sorted({c.topic for c in self._reader.connections})) or "none"
            raise SourceError(self.name, f"expected images in the bag, found only the topics: {topics}")
        if len({_namespace(t) for t in found}) > 1:
            raise SourceError(self.name, f"the bag holds several cameras; name one of: {choices}")
        # One camera, perhaps raw and compressed: raw is what it saw.
        return found[min(found, key=lambda t: (found[t][0].msgtype != _IMAGE, t))]

    def _read(self) -> Iterator[Frame]:
        topic = self._images[0].topic
        rectified = "rect" in topic.removesuffix("/compressed").rpartition("/")[2]
        camera = self._first_camera(rectified)
        try:
            for connection, logged_ns, data in self._reader.messages([*self._images, *self._infos]):
                message: Any = self._reader.deserialize(data, connection.msgtype)
                if connection.msgtype == _INFO:
                    camera = _camera(message, rectified)
                    continue
                try:
                    image = (image_to_rgb if connection.msgtype == _IMAGE else compressed_to_rgb)(message)
                except ImageError as error:
                    log.warning("source '%s': left out an image: %s", self.name, error)
                    continue
                header = message.header
                stamp = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
                yield Frame(image, stamp or logged_ns, header.frame_id, camera)
        except (ImageError, GeneratorExit):
            raise
        except Exception as error:  # as above
            raise SourceError(self.name, f"the bag is broken here: {type(error).__name__}: {error}") from error

    def _first_camera(self, rectified: bool) -> Camera | None:
        """Look ahead: a bag may hold the first image before the first CameraInfo."""
        for connection, _, data in self._reader.messages(self._infos) if self._infos else ():
            return _camera(self._reader.deserialize(data, connection.msgtype), rectified)
        return None

    def close(self) -> None:
        """Close the files."""
        if self._reader.stack is not None:
            self._reader.close()


def _camera(info: Any, rectified: bool) -> Camera | None:
    """Return the camera, or None when it is not calibrated."""
    try:
        return camera_from_info(info, rectified=rectified)
    except ConfigError as error:
        log.info("bag: no calibration: %s", error)
        return None


def _namespace(topic: str) -> str:
    """Return the namespace of a camera, /cam of /cam/image_raw/compressed."""
    return topic.removesuffix("/compressed").rpartition("/")[0]
