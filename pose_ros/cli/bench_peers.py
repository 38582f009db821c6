# SPDX-License-Identifier: Apache-2.0
"""The camera and the listener of ``pose-ros bench ros``, each a process of its own.

``python -m pose_ros.cli.bench_peers camera|listener JSON``. They print a line of JSON for every image and every array;
times are nanoseconds since 1970.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

#: Longest wait of a camera until somebody listens, seconds: networks are opened and compiled meanwhile.
LISTENED_S = 120.0
_LOOK_S, _TAKE_S = 0.02, 0.2


def camera(ask: dict[str, Any]) -> None:
    """Publish a clip as the camera node does, at a steady rate, from the moment on that a line on stdin says.

    Prints ``ready``, and then for every image its stamp, the time when publish was called, and when it returned.

    Args:
        ask: ``namespace``, ``source``, ``people``, ``size_wh``, ``transport``, ``rate``, ``count``.
    """
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

    from pose_ros.benching.stream import clip, endless
    from pose_ros.msg import SharedImage
    from pose_ros.ros.images import rgb_to_compressed
    from pose_ros.ros.qos import SENSOR_OUT
    from pose_ros.ros.shared import SharedWriter
    from pose_ros.ros.transport import make_room_for_images
    from pose_ros.ros.wire import write_image

    frames, _ = clip(ask["source"], ask["people"], tuple(ask["size_wh"]))
    make_room_for_images()
    rclpy.init()
    node = Node("camera", namespace=ask["namespace"], start_parameter_services=False, enable_rosout=False)
    header, memory = Header(frame_id="camera_optical_frame"), SharedWriter()
    kinds: dict[str, tuple[type, str, Any]] = {
        "raw": (Image, "image", write_image), "compressed": (CompressedImage, "image/compressed", rgb_to_compressed),
        "shared": (SharedImage, "image/shared", memory.write),
    }
    kind, topic, make = kinds[ask["transport"]]
    publisher = node.create_publisher(kind, topic, SENSOR_OUT)
    end = time.monotonic() + LISTENED_S
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise SystemExit(f"nobody has subscribed to {publisher.topic_name} for {LISTENED_S:g} s")
        time.sleep(_LOOK_S)
    _say("ready")
    began = int(sys.stdin.readline())
    for number, frame in zip(range(ask["count"]), endless(frames, ask["rate"])):  # noqa: B905 - a clip has no end
        time.sleep(max(0.0, (began + number * 1e9 / ask["rate"] - time.time_ns()) * 1e-9))
        stamp = time.time_ns()
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
        message = make(frame.image, header)
        called = time.time_ns()
        publisher.publish(message)
        _say([stamp, called, time.time_ns()])
    time.sleep(1.0)  # for those that still take the last one
    memory.close()


def listener(ask: dict[str, Any]) -> None:
    """Print for every array: number of the topic, stamp, reception, the time of every stage, number of subjects.

    Args:
        ask: ``topics``, each heard by a thread of its own.
    """
    import rclpy
    from rclpy.node import Node

    from pose_ros.msg import SkeletonArray
    from pose_ros.ros.intake import Intakes
    from pose_ros.ros.qos import RESULT

    rclpy.init()
    node = Node("listener", namespace="bench", start_parameter_services=False, enable_rosout=False)
    lock = threading.Lock()

    def hear(number: int, topic: str) -> None:
        intake = Intakes().open(node, SkeletonArray, topic, RESULT)
        while rclpy.ok():
            taken = intake.take(_TAKE_S)
            if taken is None:
                continue
            now, array = time.time_ns(), taken[0].message
            stamp = array.header.stamp.sec * 10**9 + array.header.stamp.nanosec
            stages = dict(zip(array.stage_names, array.stage_ms, strict=True))
            with lock:
                _say([number, stamp, now, stages, len(array.skeletons)])

    threads = [threading.Thread(target=hear, args=entry) for entry in enumerate(ask["topics"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _say(data: Any) -> None:
    print(json.dumps(data), flush=True)


def main() -> None:
    """Run one of them, its memory settled before NumPy is there, as nodes do."""
    from pose_ros.memory import keep_freed_memory

    keep_freed_memory()
    role = {"camera": camera, "listener": listener}[sys.argv[1]]
    role(json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
