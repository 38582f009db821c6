# SPDX-License-Identifier: Apache-2.0
"""Kinds of messages: good examples, and what our nodes do with them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.core.camera import Camera
from pose_ros.core.frame_tree import FrameTree
from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.pipeline import Result
from pose_ros.ros.cameras import camera_from_info, camera_to_info
from pose_ros.ros.depth import depth_values
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb, rgb_to_compressed, rgb_to_image
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.point_cloud import cloud_points, cloud_to_depth
from pose_ros.ros.reading import array_to_poses, info_to_skeleton
from pose_ros.skeletons import catalogue

_HEADER = Header(frame_id="camera")
_CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]), (64, 48), np.array([0.1, -0.05, 0, 0, 0]),
                 "plumb_bob")  # fmt: skip
_DICE = np.random.default_rng(0)
_RGB = _DICE.integers(0, 256, (48, 64, 3), np.uint8)
_MM = _DICE.integers(0, 5000, (48, 64), np.uint16)


@dataclass(frozen=True)
class Kind:
    """One type of message."""

    examples: Sequence[Any]
    #: Does what a node does with it.
    read: Callable[[Any], Any]


def _raw(data: np.ndarray, encoding: str) -> Image:
    height, width = data.shape[:2]
    message = Image(header=_HEADER, height=height, width=width, encoding=encoding, step=data.nbytes // height)
    message.data.frombytes(data.tobytes())
    return message


def _nv12() -> Image:
    message = _raw(_DICE.integers(0, 256, (72, 64), np.uint8), "nv12")
    message.height = 48
    return message


def packed(data: bytes, format: str) -> CompressedImage:
    """Return a message of compressed bytes."""
    message = CompressedImage(header=_HEADER, format=format)
    message.data.frombytes(data)
    return message


def _rvl(values: np.ndarray) -> bytes:
    """Compress as :mod:`pose_ros.ros.rvl` reads it; one run of values, none of them 0."""
    numbers = [0, values.size]
    before = 0
    for value in values.ravel().tolist():
        step, before = value - before, value
        numbers.append((step << 1) ^ (step >> 63))
    nibbles: list[int] = []
    for number in numbers:
        while True:
            nibbles.append(number & 7 | (8 if number >> 3 else 0))
            number >>= 3
            if not number:
                break
    nibbles += [0] * (-len(nibbles) % 8)
    words = (sum(n << 4 * (7 - i) for i, n in enumerate(nibbles[at : at + 8])) for at in range(0, len(nibbles), 8))
    return b"".join(struct.pack("<I", word) for word in words)


def _depths() -> list[Any]:
    import cv2

    png = cv2.imencode(".png", _MM)[1].tobytes()
    header, rvl = struct.pack("<iff", 0, 100.0, 1.0), struct.pack("<II", 64, 48) + _rvl(_MM + np.uint16(1))
    return [
        _raw(_MM, "16UC1"), _raw(_MM.astype(np.float32) / 1000, "32FC1"),
        packed(header + png, "16UC1; compressedDepth png"), packed(header + png, "32FC1; compressedDepth png"),
        packed(header + rvl, "16UC1; compressedDepth rvl"),
    ]  # fmt: skip


def _cloud() -> PointCloud2:
    fields = [PointField(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate("xyz")]
    message = PointCloud2(header=_HEADER, height=48, width=64, fields=fields, point_step=16, row_step=1024)
    message.data.frombytes(_DICE.normal(2, 0.3, (48, 64, 4)).astype(np.float32).tobytes())
    return message


def _poses() -> Poses:
    skeleton = catalogue.get("coco17")
    n, k = 3, len(skeleton)
    return Poses(
        skeleton, _DICE.uniform(0, 600, (n, k, 2)), scores=_DICE.random((n, k)), ids=np.arange(1, n + 1),
        points=_DICE.normal(0, 1, (n, k, 3)), covariances=np.tile(np.eye(3) * 1e-4, (n, k, 1, 1)),
    )  # fmt: skip


def _transforms() -> list[TFMessage]:
    found = []
    for i in range(3):
        transform = TransformStamped(child_frame_id=f"camera_{i}", header=Header(frame_id="map"))
        transform.header.stamp.sec = i
        found.append(transform)
    return [TFMessage(transforms=found)]


def _into_tree(message: TFMessage) -> None:
    tree = FrameTree()
    for t in message.transforms:
        move, turn = t.transform.translation, t.transform.rotation
        stamp_ns = t.header.stamp.sec * 1_000_000_000 + t.header.stamp.nanosec
        tree.put(t.header.frame_id, t.child_frame_id, stamp_ns, (move.x, move.y, move.z),
                 (turn.x, turn.y, turn.z, turn.w), static=False)  # fmt: skip
        tree.lookup("map", t.child_frame_id, stamp_ns)


def _project(message: CameraInfo) -> None:
    camera = camera_from_info(message)
    camera.rays(camera.project(np.array([[0.1, 0.2, 1.0]])))


def _arrays() -> list[Any]:
    return [poses_to_array(Result(_poses(), (7,), Stages()), _HEADER, (640, 480), "model")]


#: Name -> kind.
KINDS: dict[str, Kind] = {
    "Image": Kind([rgb_to_image(_RGB, _HEADER, e) for e in ("rgb8", "bgr8", "mono8", "bgra8")]
                  + [_raw(_RGB[:, :, 0], e) for e in ("bayer_rggb8", "8UC1")]
                  + [_raw(_RGB[:, :, :2], "uyvy"), _nv12()],
                  image_to_rgb),
    "CompressedImage": Kind([rgb_to_compressed(_RGB, _HEADER, f) for f in ("jpeg", "png")], compressed_to_rgb),
    "CameraInfo": Kind([camera_to_info(_CAMERA, _HEADER),
                        camera_to_info(Camera(_CAMERA.K, (64, 48), np.full(4, 0.01), "equidistant"), _HEADER)],
                       _project),
    "depth": Kind(_depths(), depth_values),
    "PointCloud2": Kind([_cloud()], lambda message: cloud_to_depth(cloud_points(message), _CAMERA)),
    "SkeletonArray": Kind(_arrays(), lambda message: array_to_poses(message, catalogue.get("coco17"))),
    "SkeletonInfo": Kind([skeleton_to_info(catalogue.get(n), "model") for n in ("coco17", "hand21", "facemesh478")],
                         info_to_skeleton),
    "TFMessage": Kind(_transforms(), _into_tree),
}  # fmt: skip
