# SPDX-License-Identifier: Apache-2.0
"""What translation costs: median milliseconds for images of every encoding, and for the messages of five people.

    python benchmarks/messages.py [--repeats 30]

Needs ROS 2 messages; opens no node and sends nothing.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter

import cv2
import numpy as np
from pose_ros.msg import SkeletonArray
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.stages import Stages
from pose_ros.pipeline import Result
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb, rgb_to_compressed, rgb_to_image
from pose_ros.ros.markers import poses_to_markers
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.reading import array_to_poses
from pose_ros.ros.transforms import poses_to_transforms
from pose_ros.ros.view import view
from pose_ros.skeletons import catalogue

SIZES = ((640, 480), (1920, 1080))
#: Encoding -> bytes per pixel, in halves.
ENCODINGS = {"rgb8": 6, "bgr8": 6, "bgra8": 8, "mono8": 2, "mono16": 4, "bgr16": 12, "yuyv": 4, "uyvy": 4, "nv12": 3,
             "nv21": 3, "nv24": 6, "bayer_rggb8": 2, "bayer_rggb16": 4}
PEOPLE = 5


def median_ms(function: Callable[[], object], repeats: int) -> float:
    function()
    times = []
    for _ in range(repeats):
        began = perf_counter()
        function()
        times.append(perf_counter() - began)
    return statistics.median(times) * 1e3


def photograph(width: int, height: int) -> np.ndarray:
    """Return something that compresses about as well as a photograph does."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(smooth + rng.integers(-3, 4, smooth.shape), 0, 255).astype(np.uint8)


def images(repeats: int) -> None:
    print(f"{'image, ms':24}" + "".join(f"{w}x{h:<10}" for w, h in SIZES))
    rows: dict[str, list[float]] = {}
    for width, height in SIZES:
        for encoding, halves in ENCODINGS.items():
            msg = Image(width=width, height=height, encoding=encoding)
            data = np.random.default_rng(0).integers(0, 256, width * height * halves // 2, dtype=np.uint8)
            msg.data.frombytes(data.data)
            planar = encoding.startswith("nv")
            msg.step = width if planar else len(data) // height
            rows.setdefault(f"{encoding} -> rgb", []).append(median_ms(partial(image_to_rgb, msg), repeats))
        rgb, header = photograph(width, height), Header()
        for encoding in ("rgb8", "bgr8"):
            took = median_ms(partial(rgb_to_image, rgb, header, encoding), repeats)
            rows.setdefault(f"rgb -> {encoding}", []).append(took)
        for name in ("jpeg", "png"):
            packed = rgb_to_compressed(rgb, header, name)
            took = median_ms(partial(rgb_to_compressed, rgb, header, name), repeats)
            rows.setdefault(f"rgb -> {name}", []).append(took)
            rows.setdefault(f"{name} -> rgb", []).append(median_ms(partial(compressed_to_rgb, packed), repeats))
    for name, values in rows.items():
        print(f"{name:24}" + "".join(f"{v:<14.3f}" for v in values))


def skeletons(repeats: int) -> None:
    skeleton, rng = catalogue.get("mediapipe33"), np.random.default_rng(0)
    n, k = PEOPLE, len(skeleton)
    poses = Poses(skeleton, rng.random((n, k, 2)), rng.random((n, k)), boxes=rng.random((n, 4)), ids=np.arange(n) + 1,
                  states=np.full(n, TrackState.TRACKED), points=rng.random((n, k, 3)),
                  local_points=rng.random((n, k, 3)), covariances=rng.random((n, k, 3, 3)))
    stages = Stages()
    stages.add("estimate", 5.0)
    result, header = Result(poses, (), stages), Header(frame_id="camera")
    msg, info = poses_to_array(result, header, (640, 480), "m"), skeleton_to_info(skeleton, "m")
    wire = serialize_message(msg)
    print(f"\n{n} people of {k} keypoints with 3D and covariances, {len(wire)} bytes, ms")
    for name, function in {
        "poses -> SkeletonArray": lambda: poses_to_array(result, header, (640, 480), "m"),
        "serialize": lambda: serialize_message(msg),
        "deserialize": lambda: deserialize_message(wire, SkeletonArray),
        "view, one keypoint": lambda: view(msg, info)["left_wrist"],
        "SkeletonArray -> poses": lambda: array_to_poses(msg, skeleton),
        "poses -> MarkerArray": lambda: MarkerArray(markers=poses_to_markers(poses, header)),
        "poses -> TFMessage": lambda: TFMessage(transforms=poses_to_transforms(poses, header)),
    }.items():
        print(f"{name:24}{median_ms(function, 10 * repeats):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    chosen = parser.parse_args()
    images(chosen.repeats)
    skeletons(chosen.repeats)
