# SPDX-License-Identifier: Apache-2.0
"""Outputs: everything a node says about the subjects of a moment, each only to those who listen."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.kinds import PARTS
from pose_ros.core.options import option
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.media.annotate import annotate
from pose_ros.msg import SkeletonArray, SkeletonInfo
from pose_ros.pipeline import Result
from pose_ros.ros.detections import poses_to_detections, poses_to_detections_3d
from pose_ros.ros.images import rgb_to_compressed, rgb_to_image
from pose_ros.ros.joint_states import poses_to_joint_states
from pose_ros.ros.markers import poses_to_markers
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT, SENSOR_OUT
from pose_ros.ros.transforms import CHOICES, poses_to_transforms


@dataclass(frozen=True)
class SkeletonOutputOptions:
    """What to say about skeletons, and how."""

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
    tf_keypoints: tuple[str, ...] = option(
        ("auto",), "Which keypoints are TF frames: auto (all but those of faces), all, none, and names, such as "
        "[left_wrist, right_wrist].", live=True,
    )
    tf_frames: tuple[str, ...] = option(
        ("all",), "Which of the frames that turn with subjects are TF frames: all, none, and names of skeleton_info, "
        "such as [body, face, gaze, hand].", live=True,
    )


@dataclass(frozen=True)
class OutputOptions(SkeletonOutputOptions):
    """What to say about images, too."""

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

    def announce(self, skeleton: Skeleton, model: str) -> None:
        self._model = model
        self._info.publish(skeleton_to_info(skeleton, model))

    def publish(self, header: Header, size_wh: tuple[int, int], result: Result) -> None:
        self.arrays.publish(poses_to_array(result, header, size_wh, self._model))

    def close(self) -> None:
        for publisher in (self.arrays, self._info):
            self._node.destroy_publisher(publisher)


class SkeletonOutputs:
    """Publishers of skeletons, as messages, markers and TF frames."""

    def __init__(
        self, node: Node, options: Callable[[], SkeletonOutputOptions], up: str = "-y", parts: Iterable[str] = ()
    ) -> None:
        """Advertise.

        Args:
            node: Publishes.
            options: Returns what holds at present.
            up: Axis of the frame of the skeletons that points upwards.
            parts: Kinds of parts whose topics stay, whether there are any or not.
        """
        self._node, self._options, self._up = node, options, up
        self._whole = _Skeletons(node)
        #: Of hands and faces, while they are looked at.
        self._parts = {name: _Skeletons(node, f"{name}/") for name in parts}
        self._stay = frozenset(self._parts)
        self._leaving: list[str] = []
        self._markers = node.create_publisher(MarkerArray, "~/markers", RESULT)
        self._joints = node.create_publisher(JointState, "~/joint_states", RESULT)
        self._detections = node.create_publisher(Detection2DArray, "~/detections", RESULT)
        self._detections_3d = node.create_publisher(Detection3DArray, "~/detections_3d", RESULT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        #: Option -> what may be chosen, and the last choice that was looked at.
        self._known: dict[str, frozenset[str]] = {}
        self._checked: dict[str, tuple[str, ...]] = {}

    def _listened(self) -> bool:
        arrays = [topics.arrays for topics in (self._whole, *self._parts.values())]
        publishers = [*arrays, self._markers, self._joints, self._detections, self._detections_3d]
        return any(p.get_subscription_count() for p in publishers)

    def wanted(self, metric: bool) -> bool:
        """Return whether anybody listens; to TF only counts where ``metric`` positions can be known."""
        return self._listened() or (metric and self._options().publish_tf and self._tf_listened())

    def _tf_listened(self) -> bool:
        # A node that hears TF itself does not count.
        own = sum(s.topic_name == self._tf.topic_name for s in self._node.subscriptions)
        return bool(self._tf.get_subscription_count() > own)

    def announce(self, skeleton: Skeleton, model: str, parts: Mapping[str, tuple[Skeleton, str]] | None = None) -> None:
        """Publish what never changes; those who come later get it too.

        Args:
            skeleton: Of the whole subjects.
            model: What produces them.
            parts: The same of their hands and faces, whose topics come and go.
        """
        parts = parts or {}
        skeletons = skeleton, *(part for part, _ in parts.values())
        self._known = {"tf_keypoints": CHOICES.union(*(s.keypoints for s in skeletons)),
                       "tf_frames": CHOICES.union(*(s.frames for s in skeletons))}
        self._checked = {}
        self._whole.announce(skeleton, model)
        for name, part in parts.items():
            if name not in self._parts:
                self._parts[name] = _Skeletons(self._node, f"{name}/")
            self._parts[name].announce(*part)
        self._leaving = [name for name in self._parts if name not in parts and name not in self._stay]

    def _check(self, option: str, which: tuple[str, ...]) -> None:
        """Warn of chosen names that nobody has, once for each choice and each model."""
        if which == self._checked.get(option):
            return
        self._checked[option] = which
        known = self._known.get(option, frozenset())
        for name in sorted(set(which) - known):
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
            self._node.get_logger().warning(f"{option}: no skeleton has '{name}'{hint}")

    def publish(self, header: Header, size_wh: tuple[int, int], result: Result, camera: Camera | None = None) -> None:
        """Publish what is known of one moment, the most urgent first.

        Args:
            header: Stamp, and frame of the skeletons.
            size_wh: Size of the image, (width, height) in pixels.
            result: What is known.
            camera: What took the image, if it is known.
        """
        options = self._options()
        # Always: an array is cheap, and whoever subscribes at this moment has not missed it.
        self._whole.publish(header, size_wh, result)
        for name, part in result.parts.items():
            self._parts[name].publish(header, size_wh, part)
        for name in self._leaving:
            # The last array, which ends the ids, goes out with one image, and the topic with the next.
            if name not in result.parts:
                self._parts.pop(name).close()
        self._leaving = [name for name in self._leaving if name in self._parts]
        if self._joints.get_subscription_count():
            kinds = ((kind, one.poses) for kind, one in _kinds(result, options.tf_kind))
            self._joints.publish(poses_to_joint_states(kinds, header, options.tf_prefix))
        if self._detections.get_subscription_count():
            kinds = ((kind, one.poses) for kind, one in _kinds(result, options.tf_kind))
            self._detections.publish(poses_to_detections(kinds, header))
        if self._detections_3d.get_subscription_count():
            kinds = ((kind, one.poses) for kind, one in _kinds(result, options.tf_kind))
            self._detections_3d.publish(poses_to_detections_3d(kinds, header, options.min_score))
        if options.publish_tf and self._tf_listened():
            self._check("tf_keypoints", options.tf_keypoints)
            self._check("tf_frames", options.tf_frames)
            transforms = [
                transform for kind, one in _kinds(result, options.tf_kind) for transform in poses_to_transforms(
                    one.poses, header, options.tf_prefix, kind, min_score=options.min_score,
                    keypoints=options.tf_keypoints, frames=options.tf_frames,
                )
            ]
            if transforms:
                self._tf.publish(TFMessage(transforms=transforms))
        if self._markers.get_subscription_count():
            self._markers.publish(MarkerArray(markers=self._drawn_in_space(header, camera, result, options.min_score)))

    def _drawn_in_space(self, header: Header, camera: Camera | None, result: Result, min_score: float) -> list[Marker]:
        markers = poses_to_markers(result.poses, header, camera, result.ended_ids, min_score=min_score, up=self._up)
        for name, part in result.parts.items():
            # Without a camera shapes stand side by side, and hands would stand among strangers.
            poses = part.poses if camera is not None else Poses.empty(part.poses.skeleton)
            markers += poses_to_markers(poses, header, camera, part.ended_ids, min_score=min_score,
                                        prefix=f"{name}/", kind=PARTS[name], up=self._up)
        return markers

    def close(self) -> None:
        """Take the topics away."""
        for topics in (self._whole, *self._parts.values()):
            topics.close()
        self._parts = {}
        for publisher in (self._markers, self._joints, self._detections, self._detections_3d, self._tf):
            self._node.destroy_publisher(publisher)


class Outputs(SkeletonOutputs):
    """The publishers of a pose node: also images with what was found in them."""

    def __init__(self, node: Node, options: Callable[[], OutputOptions]) -> None:
        """Advertise; ``options`` returns what holds at present."""
        super().__init__(node, options)
        self._annotated = node.create_publisher(Image, "~/image_annotated", SENSOR_OUT)
        self._compressed = node.create_publisher(CompressedImage, "~/image_annotated/compressed", SENSOR_OUT)
        self._image_options, self._drawn = options, 0.0

    def _listened(self) -> bool:
        images = self._annotated, self._compressed
        return super()._listened() or any(p.get_subscription_count() for p in images)

    def publish_frame(self, header: Header, result: Result) -> None:
        """Publish what was found in one image; what holds for later, where subjects should be by now, says so."""
        frame = result.frame
        assert frame is not None
        later = header
        if result.stamp_ns is not None:
            later = Header(frame_id=header.frame_id)
            later.stamp.sec, later.stamp.nanosec = divmod(result.stamp_ns, 1_000_000_000)
        self.publish(later, frame.size_wh, result, frame.camera)
        self._annotate(header, frame, result, self._image_options())

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
        super().close()
        for publisher in (self._annotated, self._compressed):
            self._node.destroy_publisher(publisher)


def _kinds(result: Result, whole: str) -> Iterator[tuple[str, Result]]:
    """Yield kind and result of the whole subjects and of their parts."""
    yield whole, result
    for name, part in result.parts.items():
        yield PARTS[name], part
