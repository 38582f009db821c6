# SPDX-License-Identifier: Apache-2.0
"""Synthetic people before a colour and a depth camera that publish as drivers do, and a pose node that hears them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.qos import DurabilityPolicy, QoSProfile
from scenes import EPOCH_NS, Person, at, posed, stand
from scenes.depth import DepthFaults, render
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from stub_pose import write
from tf2_msgs.msg import TFMessage

from pose_ros.core.depth import Depth
from pose_ros.core.quaternion import from_matrices
from pose_ros.multiview.rig import PosedCamera
from pose_ros.ros.cameras import camera_to_info
from pose_ros.ros.images import rgb_to_image

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
COLOUR = posed("colour_optical_frame", (0, 0, 1.2), (4, 0, 0.95), (320, 240))
#: Beside it, turned a little, and of another lens and resolution.
DEPTH = posed("depth_optical_frame", (0, 0.05, 1.2), (4, 0.1, 0.95), (280, 240), "plumb_bob")
BODY = slice(5, 17)
STEP_NS = 33_333_333


def standing(distance: float = 2.6) -> list[Person]:
    """Return somebody who stands before the colour camera and faces it."""
    return [Person(stand((distance, 0.0), np.pi), 1.75, 0.0, gait=0.0)]


def header(stamp_ns: int, frame_id: str) -> Header:
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 10**9)
    return made


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def transform(
    parent: str, child: str, rotation: np.ndarray, translation: np.ndarray, stamp_ns: int = 0
) -> TransformStamped:
    """Return how a child stands in its parent: ``x_parent = rotation @ x_child + translation``."""
    made = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    made.transform.translation = Vector3(**dict(zip("xyz", map(float, translation), strict=True)))
    made.transform.rotation = Quaternion(**dict(zip("xyzw", map(float, from_matrices(rotation)), strict=True)))
    return made


def raw(depth: Depth, head: Header) -> Image:
    """Return 16UC1 or 32FC1."""
    height, width = depth.image.shape
    encoding = "16UC1" if depth.image.dtype == np.uint16 else "32FC1"
    message = Image(header=head, width=width, height=height, encoding=encoding, step=width * depth.image.itemsize)
    message.data = depth.image.tobytes()
    return message


def compressed(depth: Depth, head: Header) -> CompressedImage:
    png = cv2.imencode(".png", depth.image)[1].tobytes()
    data = struct.pack("<iff", 0, 0.0, 0.0) + png
    return CompressedImage(header=head, format="16UC1; compressedDepth", data=data)


def cloud(depth: Depth, head: Header) -> PointCloud2:
    height, width = depth.image.shape
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    z = np.where(depth.image > 0, depth.image * depth.scale, np.nan)
    points = (depth.camera.rays(pixels) * z[..., None]).astype(np.float32)
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate("xyz")]
    return PointCloud2(header=head, width=width, height=height, fields=fields, point_step=12, row_step=12 * width,
                       data=points.tobytes())


class DepthRoom:
    """What a scene's pose node gets from two cameras, moment by moment."""

    def __init__(
        self, scene: Callable[..., Any], *, people: list[Person] | None = None, camera: PosedCamera = DEPTH,
        registered: bool = True, size_wh: tuple[int, int] | None = None, make: Callable[..., Any] = raw,
        millimetres: bool = True, topic: str = "depth/image", info: bool = True, depth_info: bool = True,
        tf: bool = True, **parameters: Any,
    ) -> None:
        """Start the node.

        Args:
            scene: The fixture.
            people: Who is there.
            camera: The depth camera, where it is not registered.
            registered: Whether depth has the pixels of the colour image.
            size_wh: Of registered depth, where it is not that of the colour image.
            make: Turns depth into a message.
            millimetres: The unit of images.
            topic: Of the depth; empty for none.
            info: Whether the colour camera is calibrated.
            depth_info: Whether the depth camera is.
            tf: Whether TF tells how they stand.
            parameters: Of the node; ``__`` stands for a dot.
        """
        self.people, self._registered, self._make = people or standing(), registered, make
        small = posed(COLOUR.name, (0, 0, 1.2), (4, 0, 0.95), size_wh) if size_wh else COLOUR
        self.depth_camera = small if registered else camera
        self._faults = DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1, millimetres=millimetres)
        named = {} if not topic else {"points_topic" if make is cloud else "depth_topic": topic}
        self.scene = scene(**{"model": "written", "smooth": False, "camera_info_topic": "camera_info", **named,
                              **parameters})
        self.ros, other = self.scene.ros, self.scene.other
        self.image = self.scene.camera()
        self.frame_id = COLOUR.name
        self._info = self._publisher(CameraInfo, "camera_info") if info else None
        self.depth: Any = None
        self._depth_info: Any = None
        if topic:
            kind = {compressed: CompressedImage, cloud: PointCloud2}.get(make, Image)
            self.depth = self._publisher(kind, topic)
            if depth_info and make is not cloud:
                bare = topic.removesuffix("/compressedDepth").rpartition("/")[0]
                self._depth_info = self._publisher(CameraInfo, f"{bare}/camera_info")
        self.tf = other.create_publisher(TFMessage, "/tf", 10)
        self.static = other.create_publisher(TFMessage, "/tf_static", LATCHED)
        if tf and not registered:
            self.place()
            # It hears TF from when it needs some, and needs some time to find who publishes it.
            names = COLOUR.name, self.depth_camera.name, EPOCH_NS
            assert self.ros.spin_until(lambda: not isinstance(self.scene.node._surroundings._transform(*names), str))
        #: Of the last moment.
        self.stamp_ns = EPOCH_NS
        #: Where the colour camera stands; tests move it.
        self.colour = COLOUR

    def _publisher(self, kind: type, topic: str) -> Any:
        made = self.scene.other.create_publisher(kind, topic, 10)
        assert self.ros.spin_until(made.get_subscription_count), f"the node does not hear {topic}"
        return made

    def place(self) -> None:
        """Say by TF how the depth camera stands to the colour camera."""
        rotation = COLOUR.rotation @ self.depth_camera.rotation.T
        translation = COLOUR.translation - rotation @ self.depth_camera.translation
        self.static.publish(TFMessage(transforms=[
            transform(COLOUR.name, self.depth_camera.name, rotation, translation)
        ]))

    def truth(self, stamp_ns: int, camera: PosedCamera | None = None) -> np.ndarray:
        """Return where the joints are in the colour camera's frame, (N, K, 3) metres."""
        joints = at(self.people, (stamp_ns - EPOCH_NS) / 1e9).points("coco17")[0]
        seen_from = camera or self.colour
        return np.asarray(joints @ seen_from.rotation.T + seen_from.translation)

    def depth_message(self, stamp_ns: int) -> Any:
        truth = at(self.people, (stamp_ns - EPOCH_NS) / 1e9)
        camera = self.colour if self._registered and self.depth_camera is COLOUR else self.depth_camera
        colour = None if self._registered else COLOUR
        rendered = render(truth, 0, camera, colour=colour, wall_m=3.4, faults=self._faults,
                          seed=stamp_ns // STEP_NS % 1000)
        return self._make(rendered.depth, header(stamp_ns, COLOUR.name if self._registered else camera.name))

    def colour_message(self, stamp_ns: int) -> Image:
        width, height = COLOUR.camera.size_wh
        rgb = np.zeros((height, width, 3), np.uint8)
        pixels = self.colour.camera.project(self.truth(stamp_ns))
        write(rgb, pixels, np.full(pixels.shape[:2], 0.9))
        return rgb_to_image(rgb, header(stamp_ns, self.frame_id))

    def infos(self, stamp_ns: int, depth_k: bool = True) -> None:
        """Publish the calibrations."""
        if self._info is not None:
            self._info.publish(camera_to_info(COLOUR.camera, header(stamp_ns, self.frame_id)))
        if self._depth_info is not None:
            info = camera_to_info(self.depth_camera.camera, header(stamp_ns, self.depth_camera.name))
            if not depth_k:
                info.k = [0.0] * 9
            self._depth_info.publish(info)

    def moment(
        self, *, stamp_ns: int | None = None, depth: Callable[[Any], Any] | None = lambda message: message,
        depth_k: bool = True,
    ) -> Any:
        """Let both cameras see the next moment, depth first; returns the array that answers.

        Args:
            stamp_ns: Of the moment; 1/30 s later when left out.
            depth: Spoils the depth message; None: there is none.
            depth_k: Whether the depth camera's matrix has numbers.
        """
        self.stamp_ns = self.stamp_ns + STEP_NS if stamp_ns is None else stamp_ns
        source = self.scene.node._surroundings._depth
        count = 0 if source is None else source._buffer._count
        self.infos(self.stamp_ns, depth_k)
        if self.depth is not None and depth is not None:
            self.depth.publish(depth(self.depth_message(self.stamp_ns)))
            count += 1
        # Topics are not heard in the order of publishing.
        assert self.ros.spin_until(lambda: source is None or source._buffer._count >= count)
        assert self.ros.spin_until(lambda: all(self._is_new(made) for made in (
            self.scene.node._surroundings.calibration if self._info else None,
            source._calibration if self._depth_info and source else None,
        )))
        return self.answer(self.colour_message(self.stamp_ns))

    def _is_new(self, calibration: Any) -> bool:
        info = calibration and calibration._info()
        return calibration is None or (info is not None and stamp_of(info) == self.stamp_ns)

    def answer(self, image: Image) -> Any:
        """Publish an image, and return the array that answers it."""
        arrays = self.scene.arrays
        count = len(arrays)
        self.image.publish(image)
        assert self.ros.spin_until(lambda: len(arrays) > count), "no array came"
        return arrays[-1]

    def errors(self, array: Any) -> np.ndarray:
        """Return (N, K) how far points are from where the joints truly are at the array's stamp, metres."""
        return np.asarray(np.linalg.norm(points(array) - self.truth(stamp_of(array)), axis=2))


def points(array: Any) -> np.ndarray:
    """Return (N, K, 3) metres; NaN where the message has none."""
    rows = [np.reshape(s.points, (-1, 3)) if len(s.points) else np.full((17, 3), np.nan) for s in array.skeletons]
    return np.array(rows).reshape(-1, 17, 3)
