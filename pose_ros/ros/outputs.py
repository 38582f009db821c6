# SPDX-License-Identifier: Apache-2.0
"""Outputs: everything a pose node says about a frame, each only to those who listen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.frame import Frame
from pose_ros.core.options import option
from pose_ros.core.skeleton import Skeleton
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.pipeline import Result
from pose_ros.ros.images import rgb_to_compressed, rgb_to_image
from pose_ros.ros.markers import poses_to_markers
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT, SENSOR_OUT
from pose_ros.ros.transforms import poses_to_transforms


@dataclass(frozen=True)
class OutputOptions:
    """What to say, and how."""

    min_score: float = option(
        0.3, "Keypoints below it are not drawn and get no TF frame; skeletons hold them all.", low=0.0, high=1.0,
        live=True,
    )
    publish_tf: bool = option(True, "Publish keypoints as TF frames, where metric positions are known.", live=True)
    tf_prefix: str = option("", "Put before every TF frame, such as 'robot1/'.", live=True)
    tf_kind: str = option(
        "body", "Kind of subject in the names of TF frames: <prefix><kind>_<id>/<keypoint>.", live=True
    )
    annotated_rate: float = option(
        15.0, "Most annotated images per second; 0 for every one.", unit="Hz", low=0.0, high=1000.0, live=True
    )
    jpeg_quality: int = option(80, "Quality of compressed annotated images.", low=1, high=100, live=True)


class Outputs:
    """The publishers of a pose node."""

    def __init__(self, node: Node, options: Callable[[], OutputOptions]) -> None:
        """Advertise; ``options`` returns what holds at present."""
        self._node, self._options = node, options
        self._skeletons = node.create_publisher(SkeletonArray, "~/skeletons", RESULT)
        self._info = node.create_publisher(SkeletonInfo, "~/skeleton_info", LATCHED)
        self._markers = node.create_publisher(MarkerArray, "~/markers", RESULT)
        self._annotated = node.create_publisher(Image, "~/image_annotated", SENSOR_OUT)
        self._compressed = node.create_publisher(CompressedImage, "~/image_annotated/compressed", SENSOR_OUT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        self._drawn = 0.0

    def wanted(self, metric: bool) -> bool:
        """Return whether anybody listens; to TF only counts where ``metric`` positions can be known."""
        publishers = [self._skeletons, self._markers, self._annotated, self._compressed]
        if metric and self._options().publish_tf:
            publishers.append(self._tf)
        return any(p.get_subscription_count() for p in publishers)

    def announce(self, skeleton: Skeleton, model: str) -> None:
        """Publish what never changes; those who come later get it too."""
        self._info.publish(skeleton_to_info(skeleton, model))

    def publish(self, header: Header, frame: Frame, result: Result, model: str) -> None:
        """Publish one frame, the most urgent first."""
        options = self._options()
        # Always: an array is cheap, and whoever subscribes at this moment has not missed it.
        self._skeletons.publish(poses_to_array(result, header, frame.size_wh, model))
        if options.publish_tf and result.poses.points is not None and self._tf.get_subscription_count():
            transforms = poses_to_transforms(
                result.poses, header, options.tf_prefix, options.tf_kind, min_score=options.min_score
            )
            if transforms.transforms:
                self._tf.publish(transforms)
        if self._markers.get_subscription_count():
            self._markers.publish(poses_to_markers(
                result.poses, header, frame.camera, result.ended_ids, min_score=options.min_score
            ))
        self._annotate(header, frame, result, options)

    def _annotate(self, header: Header, frame: Frame, result: Result, options: OutputOptions) -> None:
        raw, compressed = (p.get_subscription_count() for p in (self._annotated, self._compressed))
        now = time.monotonic()
        if not (raw or compressed) or (options.annotated_rate and now - self._drawn < 1 / options.annotated_rate):
            return
        self._drawn = now
        from pose_ros.media.draw import draw

        drawn = draw(frame.image, result.poses, options.min_score)
        if raw:
            self._annotated.publish(rgb_to_image(drawn, header))
        if compressed:
            self._compressed.publish(rgb_to_compressed(drawn, header, quality=options.jpeg_quality))

    def close(self) -> None:
        """Take the topics away."""
        for publisher in (self._skeletons, self._info, self._markers, self._annotated, self._compressed, self._tf):
            self._node.destroy_publisher(publisher)
