# SPDX-License-Identifier: Apache-2.0
"""Bags: read the images of one camera from a ROS 2 bag, with or without ROS installed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError, ImageError, SourceError
from pose_ros.media.bag_file import BagFile
from pose_ros.media.source import Source

# Both read anything that has the fields of the message, and import nothing of ROS.
from pose_ros.ros.cameras import camera_from_info
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb

log = logging.getLogger(__name__)

_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO = "sensor_msgs/msg/CameraInfo"


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
        self._bag = BagFile(name, path)
        try:
            self._images = self._choose(topic)
        except SourceError:
            self.close()
            raise
        #: Of the images.
        self.topic: str = self._images[0].topic
        info_topic = _namespace(self.topic) + "/camera_info"
        self._infos = [c for c in self._bag.connections if c.topic == info_topic and c.msgtype == _INFO]
        count = sum(c.msgcount for c in self._images)
        seconds = self._bag.duration_ns / 1e9
        self.fps = (count - 1) / seconds if count > 1 and seconds > 0 else None
        self.length = None if loop else count

    def _choose(self, topic: str) -> list[Any]:
        """Return the connections of the image topic."""
        found: dict[str, list[Any]] = {}
        for connection in self._bag.connections:
            if connection.msgtype in (_IMAGE, _COMPRESSED) and connection.msgcount:
                found.setdefault(connection.topic, []).append(connection)
        path = self.name.removesuffix(f"#{topic}") if topic else self.name
        choices = ", ".join(f"{path}#{t}" for t in sorted(found)) or "none"
        if topic:
            if topic not in found:
                raise SourceError(self.name, f"the bag has no images on that topic; it has: {choices}")
            return found[topic]
        if not found:
            topics = ", ".join(sorted({c.topic for c in self._bag.connections})) or "none"
            raise SourceError(self.name, f"expected images in the bag, found only the topics: {topics}")
        if len({_namespace(t) for t in found}) > 1:
            raise SourceError(self.name, f"the bag holds several cameras; name one of: {choices}")
        # One camera, perhaps raw and compressed: raw is what it saw.
        return found[min(found, key=lambda t: (found[t][0].msgtype != _IMAGE, t))]

    def _read(self) -> Iterator[Frame]:
        rectified = "rect" in self.topic.removesuffix("/compressed").rpartition("/")[2]
        with self._bag.reading():
            camera = self._first_camera(rectified)
            for connection, logged_ns, data in self._bag.messages([*self._images, *self._infos]):
                message = self._bag.deserialize(data, connection.msgtype)
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

    def _first_camera(self, rectified: bool) -> Camera | None:
        """Look ahead: a bag may hold the first image before the first CameraInfo."""
        for connection, _, data in self._bag.messages(self._infos):
            return _camera(self._bag.deserialize(data, connection.msgtype), rectified)
        return None

    def close(self) -> None:
        """Close the files."""
        self._bag.close()


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
