# SPDX-License-Identifier: Apache-2.0
"""Time from the start of a process to its first result, with models that are here: a node, and `pose-ros run`.

    python benchmarks/start.py --runs 5

The node is started while images of 640x480 arrive at 30 Hz; what ends the time is the reception of its first skeletons
by another process. `pose-ros run` is timed from start to end on one photograph.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_NODE = "from pose_ros.nodes.start import start; raise SystemExit(start('pose_node'))"
_WITHIN_S, _PERIOD_S = 30.0, 1 / 30


def node(model: str, runs: int) -> list[float]:
    """Return seconds from the start of a pose node to its first skeletons."""
    import rclpy
    from pose_ros.msg import SkeletonArray
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from pose_ros.media.demo import photograph
    from pose_ros.ros.qos import RESULT, SENSOR_OUT
    from pose_ros.ros.transport import make_room_for_images
    from pose_ros.ros.wire import write_image

    make_room_for_images()
    rclpy.init()
    probe, heard = rclpy.create_node("probe"), threading.Event()
    probe.create_subscription(SkeletonArray, "/pose/skeletons", lambda _: heard.set(), RESULT)
    images = probe.create_publisher(Image, "image", SENSOR_OUT)
    threading.Thread(target=rclpy.spin, args=(probe,), daemon=True).start()
    rgb, times = photograph()[:480, :640].copy(), []
    for _ in range(runs):
        time.sleep(1.0)  # what the last one said may still be on its way
        heard.clear()
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", _NODE, "--ros-args", "-p", f"model:={model}"],
                                   stderr=subprocess.DEVNULL)
        while not heard.wait(_PERIOD_S):
            if time.perf_counter() - began > _WITHIN_S:
                raise SystemExit(f"no skeletons within {_WITHIN_S:g} s; is {model} here (pose-ros models fetch)?")
            header, stamp = Header(frame_id="camera"), time.time_ns()
            header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
            images.publish(write_image(rgb, header))
        times.append(time.perf_counter() - began)
        process.terminate()
        process.wait()
    rclpy.shutdown()
    return times


def command(model: str, runs: int) -> list[float]:
    """Return seconds that `pose-ros run` takes for one photograph."""
    import cv2

    from pose_ros.media.demo import photograph

    times = []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "photograph.png")
        cv2.imwrite(str(picture), photograph()[..., ::-1])
        for run in range(runs):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "pose_ros.cli", "run", picture, "--model", model, "--output",
                            Path(folder, str(run))], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    return times


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="blazepose-full")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", "101")  # tests use 1 .. 100
    for name, times in (("pose_node, first skeletons", node(args.model, args.runs)),
                        ("pose-ros run, whole", command(args.model, args.runs))):
        print(f"{name:28} median {statistics.median(times):.2f} s, all: {' '.join(f'{t:.2f}' for t in times)}")


if __name__ == "__main__":
    main()
