# SPDX-License-Identifier: Apache-2.0
"""Outputs: everything a pose node says about a frame, each only to those who listen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from pose_ros.core.frame import Frame
from pose_ros.core.kinds import PARTS
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.media.annotate import annotate
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.pipeline import Pipeline, Result
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
        "body", "Kind of subject in the names of TF frames: <prefix><kind>_<id>/<keypoint>; parts are hand and face.",
        live=True,
    )
    tf_keypoints: str = option(
        "auto", "Which keypoints are TF frames: auto, all but those of faces.", choices=("auto", "all", "none"),
        live=True,
    )
    annotated_rate: float = option(
        15.0, "Most annotated images per second; 0 for every one.", unit="Hz", low=0.0, high=1000.0, live=True
    )
    jpeg_quality: int = option(80, "Quality of compressed annotated images.", low=1, high=100, live=True)


class _Skeletons:
    """The topics of one kind of subjects: the whole ones, or their hands."""

    def __init__(self, node: Node, prefix: str = "") -> None:
        self._node = node
        self.arrays = node.create_publisher(SkeletonArray, f"~/{prefix}skeletons", RESULT)
        self._info = node.create_publisher(SkeletonInfo, f"~/{prefix}skeleton_info", LATCHED)
        self._model = ""

    def announce(self, pipeline: Pipeline) -> None:
        self._model = pipeline.source.name
        self._info.publish(skeleton_to_info(pipeline.skeleton, self._model))

    def publish(self, header: Header, size_wh: tuple[int, int], result: Result) -> None:
        self.arrays.publish(poses_to_array(result, header, size_wh, self._model))

    def close(self) -> None:
        for publisher in (self.arrays, self._info):
            self._node.destroy_publisher(publisher)


class Outputs:
    """The publishers of a pose node."""

    def __init__(self, node: Node, options: Callable[[], OutputOptions]) -> None:
        """Advertise; ``options`` returns what holds at present."""
        self._node, self._options = node, options
        self._whole = _Skeletons(node)
        #: Of hands and faces, while the pipeline looks at them.
        self._parts: dict[str, _Skeletons] = {}
        self._leaving: list[str] = []
        self._markers = node.create_publisher(MarkerArray, "~/markers", RESULT)
        self._annotated = node.create_publisher(Image, "~/image_annotated", SENSOR_OUT)
        self._compressed = node.create_publisher(CompressedImage, "~/image_annotated/compressed", SENSOR_OUT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        self._drawn = 0.0

    def wanted(self, metric: bool) -> bool:
        """Return whether anybody listens; to TF only counts where ``metric`` positions can be known."""
        arrays = [topics.arrays for topics in (self._whole, *self._parts.values())]
        publishers = [*arrays, self._markers, self._annotated, self._compressed]
        if metric and self._options().publish_tf:
            publishers.append(self._tf)
        return any(p.get_subscription_count() for p in publishers)

    def announce(self, pipeline: Pipeline) -> None:
        """Publish what never changes; those who come later get it too. Topics come and go with the parts."""
        self._whole.announce(pipeline)
        for name, part in pipeline.parts.items():
            if name not in self._parts:
                self._parts[name] = _Skeletons(self._node, f"{name}/")
            self._parts[name].announce(part)
        self._leaving = [name for name in self._parts if name not in pipeline.parts]

    def publish(self, header: Header, frame: Frame, result: Result) -> None:
        """Publish one frame, the most urgent first."""
        options = self._options()
        # Always: an array is cheap, and whoever subscribes at this moment has not missed it.
        self._whole.publish(header, frame.size_wh, result)
        for name, part in result.parts.items():
            self._parts[name].publish(header, frame.size_wh, part)
        for name in self._leaving:
            # The last array, which ends the ids, goes out with one image, and the topic with the next.
            if name not in result.parts:
                self._parts.pop(name).close()
        self._leaving = [name for name in self._leaving if name in self._parts]
        if options.publish_tf and self._tf.get_subscription_count():
            transforms = [
                transform for kind, one in _kinds(result, options.tf_kind) for transform in poses_to_transforms(
                    one.poses, header, options.tf_prefix, kind, min_score=options.min_score,
                    keypoints=options.tf_keypoints,
                )
            ]
            if transforms:
                self._tf.publish(TFMessage(transforms=transforms))
        if self._markers.get_subscription_count():
            self._markers.publish(MarkerArray(markers=self._drawn_in_space(header, frame, result, options.min_score)))
        self._annotate(header, frame, result, options)

    def _drawn_in_space(self, header: Header, frame: Frame, result: Result, min_score: float) -> list[Marker]:
        markers = poses_to_markers(result.poses, header, frame.camera, result.ended_ids, min_score=min_score)
        for name, part in result.parts.items():
            # Without a camera shapes stand side by side, and hands would stand among strangers.
            poses = part.poses if frame.camera is not None else Poses.empty(part.poses.skeleton)
            markers += poses_to_markers(poses, header, frame.camera, part.ended_ids, min_score=min_score,
                                        prefix=f"{name}/", kind=PARTS[name])
        return markers

    def _annotate(self, header: Header, frame: Frame, result: Result, options: OutputOptions) -> None:
        raw, compressed = (p.get_subscription_count() for p in (self._annotated, self._compressed))
        now = time.monotonic()
        if not (raw or compressed) or (options.annotated_rate and now - self._drawn < 1 / options.annotated_rate):
            return
        self._drawn = now
        drawn = annotate(frame.image, result.poses, result.part_poses, options.min_score, camera=frame.camera)
        if raw:
            self._annotated.publish(rgb_to_image(drawn, header))
        if compressed:
            self._compressed.publish(rgb_to_compressed(drawn, header, quality=options.jpeg_quality))

    def close(self) -> None:
        """Take the topics away."""
        for topics in (self._whole, *self._parts.values()):
            topics.close()
        for publisher in (self._markers, self._annotated, self._compressed, self._tf):
            self._node.destroy_publisher(publisher)


def _kinds(result: Result, whole: str) -> Iterator[tuple[str, Result]]:
    """Yield kind and result of the whole subjects and of their parts."""
    yield whole, result
    for name, part in result.parts.items():
        yield PARTS[name], part
