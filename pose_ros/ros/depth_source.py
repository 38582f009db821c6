# SPDX-License-Identifier: Apache-2.0
"""Depth source: the depth image, or the point cloud, that belongs to a colour image."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.core.frame import Fixed
from pose_ros.core.options import option
from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.rgbd.buffer import DepthBuffer
from pose_ros.ros.calibration import Calibration, CalibrationOptions
from pose_ros.ros.depth import depth_values
from pose_ros.ros.point_cloud import cloud_points, cloud_to_depth
from pose_ros.ros.qos import sensor

#: Depths that are kept beside those of the images that may wait: a second at 30 Hz.
_KEPT = 30
#: Depth messages that may wait in the transport, beside as many as images may.
_WAITING = 4
#: After so many waits in which nothing at all came, nothing is waited for until something comes.
_PATIENCE = 3
#: Registered depth has the shape of the colour image; widths to heights that differ by more are of another view.
_SAME_SHAPE = 0.01


@dataclass(frozen=True)
class DepthSourceOptions:
    """Where depth comes from."""

    depth_topic: str = option(
        "", "Depth images of the same camera: 16UC1, 32FC1, or a topic that ends in '/compressedDepth'; empty: none."
    )
    depth_info_topic: str = option(
        "", "Calibration of the depth camera, where depth is not registered to the colour image; empty: camera_info "
        "beside depth_topic."
    )
    points_topic: str = option("", "Point cloud (PointCloud2) in place of depth images; empty: none.")
    depth_wait: float = option(
        0.05, "How long an image waits for its depth, which often comes a little later.", unit="s", low=0.0, high=2.0,
        live=True,
    )

    @property
    def depth_or_points_topic(self) -> str:
        """The topic that is listened to; empty for none."""
        return self.depth_topic or self.points_topic


class DepthSource:
    """Keeps the last depths, and finds the one of an image; the executor's thread hears, the worker's asks."""

    def __init__(
        self, node: Node, options: Callable[[], DepthSourceOptions], max_time_difference: Callable[[], float],
        transform: Callable[[str, str, int], Fixed | str], say: Callable[[str], None], images: QoSProfile,
        *, exact: bool = False,
    ) -> None:
        """Subscribe to the calibration; :meth:`listen` to depth.

        Args:
            node: Subscribes.
            options: Returns what holds at present.
            max_time_difference: Returns how far stamps may lie apart, seconds.
            transform: Returns how things of a source frame stand in a target frame at a stamp, or why that is not
                known, for depth that is not registered.
            say: Told why an image has no depth.
            images: How images are heard: depth is heard as reliably.
            exact: Whether to wait however often nothing came.

        Raises:
            ConfigError: Depth is to come from two topics.
        """
        self._node, self._options, self._difference, self._transforms = node, options, max_time_difference, transform
        self._listener = say
        self._buffer: DepthBuffer[Any] = DepthBuffer(_KEPT + images.depth)
        self._qos = sensor(images.reliability.name, images.depth + _WAITING)
        self._came = threading.Condition()
        #: Waits in a row in which nothing came.
        self._in_vain, self._patience = 0, math.inf if exact else _PATIENCE
        given = options()
        if given.depth_topic and given.points_topic:
            raise ConfigError("points_topic", f"expected none beside depth_topic, got '{given.points_topic}' and "
                                              f"'{given.depth_topic}'; leave one of them empty")
        topic, self._calibration = given.depth_or_points_topic, None
        kind = PointCloud2
        if given.depth_topic:
            kind = CompressedImage if topic.endswith("/compressedDepth") else Image
            info = given.depth_info_topic or f"{topic.removesuffix('/compressedDepth').rpartition('/')[0]}/camera_info"
            calibration = CalibrationOptions(camera_info_topic=info.removeprefix("/") if "/" not in topic else info,
                                             camera_info_max_age=0.0)
            self._calibration = Calibration(node, lambda: calibration, self._say)
        self._kind, self._topic = kind, topic
        self._subscription: Any = None

    def listen(self, wanted: bool) -> None:
        """Subscribe or unsubscribe."""
        if wanted and self._subscription is None:
            self._in_vain = 0
            self._subscription = self._node.create_subscription(
                self._kind, self._topic, self._heard, self._qos
            )
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    @property
    def counts(self) -> dict[str, int]:
        """How many images got their depth, and how many did not."""
        return {"depth_matched": self._buffer.matched, "depth_missed": self._buffer.missed}

    def _say(self, text: str) -> None:
        self._listener(f"depth: {text}")

    def _heard(self, msg: Any) -> None:
        self._buffer.put(_stamp_ns(msg.header), msg)
        with self._came:
            self._in_vain = 0
            self._came.notify_all()

    def at(self, header: Header, camera: Camera, until: float) -> Depth | None:
        """Return the depth of an image; None, and a word why, where there is none.

        Args:
            header: Of the colour image.
            camera: Of the colour image.
            until: Waits for it until ``time.monotonic()`` is this.
        """
        stamp_ns, difference = _stamp_ns(header), self._difference()
        with self._came:
            left = until - time.monotonic()
            if self._in_vain < self._patience and left > 0:
                self._in_vain += 1  # unless something comes
                if self._came.wait_for(lambda: not self._buffer.awaits(stamp_ns, difference), left):
                    self._in_vain = 0
        match = self._buffer.find(stamp_ns, difference)
        if match.item is None:
            self._say(match.reason)
            return None
        try:
            return self._points(match.item, header, camera) if isinstance(match.item, PointCloud2) else \
                self._image(match.item, header, camera)
        except PoseRosError as error:
            self._say(str(error))
            return None

    def _image(self, msg: Any, header: Header, camera: Camera) -> Depth | None:
        image, scale = depth_values(msg)
        stamp_ns = _stamp_ns(msg.header)
        if not (image > 0).any():
            self._say("the image has no measurement at all; is the sensor covered, too near, or without its light?")
            return None
        height, width = image.shape
        if msg.header.frame_id != header.frame_id:
            why = f"its frame is '{msg.header.frame_id}', the image's is '{header.frame_id}'"
        elif abs(width / height * camera.size_wh[1] / camera.size_wh[0] - 1) > _SAME_SHAPE:
            why = f"it is {width}x{height}, the image is {camera.size_wh[0]}x{camera.size_wh[1]}"
        else:
            return Depth(image, camera, scale, stamp_ns)
        assert self._calibration is not None
        own = self._calibration.camera(msg.header, (width, height))
        if own is None:
            topic = self._options().depth_info_topic or "camera_info beside depth_topic"
            self._say(f"{why}, so that it needs a calibration of its own, and no usable one is known from {topic}; set "
                      "depth_info_topic, or take depth that is registered to colour")
            return None
        transform = self._transform(msg.header, header)
        return None if transform is None else Depth(image, own, scale, stamp_ns, *transform)

    def _points(self, msg: PointCloud2, header: Header, camera: Camera) -> Depth | None:
        points = cloud_points(msg)
        if msg.header.frame_id == header.frame_id:
            return cloud_to_depth(points, camera, _stamp_ns(msg.header))
        transform = self._transform(msg.header, header)
        return None if transform is None else cloud_to_depth(points, camera, _stamp_ns(msg.header), *transform)

    def _transform(self, own: Header, header: Header) -> Fixed | None:
        """Return how the depth camera stands to the colour camera; None, and a word why, where TF does not say."""
        if own.frame_id == header.frame_id:
            return np.eye(3), np.zeros(3)
        found = self._transforms(header.frame_id, own.frame_id, _stamp_ns(own))
        if not isinstance(found, str):
            return found
        if found:
            self._say(found)
        return None

    def close(self) -> None:
        """Unsubscribe."""
        self.listen(False)
        if self._calibration is not None:
            self._calibration.close()


def _stamp_ns(header: Header) -> int:
    return int(header.stamp.sec * 1_000_000_000 + header.stamp.nanosec)
