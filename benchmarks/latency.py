# SPDX-License-Identifier: Apache-2.0
"""Measure what the pose node adds to its networks: from the call that publishes an image to the skeleton's reception.

Three processes over DDS, as on a robot: a camera, the pose node, a listener. The times that the node reports for
detection and estimation are subtracted. With --minutes it also shows the memory of the node over time.

    python benchmarks/latency.py
    python benchmarks/latency.py --sizes 640x480 --minutes 5
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_HERE = Path(__file__).resolve()
_NODE = "from pose_ros.nodes.start import start; raise SystemExit(start('pose_node'))"
# As nodes do: memory first, then NumPy.
_CAMERA = ("import runpy; from pose_ros.ros.memory import keep_freed_memory; keep_freed_memory(); "
           f"runpy.run_path({str(_HERE)!r}, run_name='__main__')")


def camera(size: tuple[int, int], rate: float, seconds: float, transport: str) -> None:
    """Publish a photograph with somebody in it as the camera node does.

    Prints for every image: stamp, time from there to the call of publish, time of the call, milliseconds.
    """
    import cv2
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

    from pose_ros.media.demo import photograph
    from pose_ros.ros.images import rgb_to_compressed
    from pose_ros.ros.qos import SENSOR_OUT
    from pose_ros.ros.transport import make_room_for_images
    from pose_ros.ros.wire import write_image

    make_room_for_images()
    rclpy.init()
    node = Node("camera", start_parameter_services=False, enable_rosout=False)
    photo = photograph()
    scale = min(size[0] / photo.shape[1], size[1] / photo.shape[0])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    rgb[: small.shape[0], : small.shape[1]] = small
    header = Header(frame_id="camera")
    make, kind, topic = write_image, Image, "image"
    if transport == "compressed":
        make, kind, topic = rgb_to_compressed, CompressedImage, "image/compressed"
    publisher = node.create_publisher(kind, topic, SENSOR_OUT)
    while not publisher.get_subscription_count():
        time.sleep(0.02)
    time.sleep(0.5)
    start = time.perf_counter()
    for i in range(int(rate * seconds)):
        time.sleep(max(0.0, start + i / rate - time.perf_counter()))
        stamp = time.time_ns()
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
        message = make(rgb, header)
        called = time.time_ns()
        publisher.publish(message)
        print(json.dumps([stamp, (called - stamp) * 1e-6, (time.time_ns() - called) * 1e-6]), flush=True)
    time.sleep(1.0)


def listener(spin: bool) -> None:
    """Print one line for every array: stamp, time since then, time of the networks, milliseconds."""
    import rclpy
    from pose_ros.msg import SkeletonArray
    from rclpy.node import Node

    from pose_ros.ros.health import INFERENCE
    from pose_ros.ros.intake import Intakes
    from pose_ros.ros.qos import RESULT

    def heard(array: SkeletonArray) -> None:
        now = time.time_ns()
        stamp = array.header.stamp.sec * 10**9 + array.header.stamp.nanosec
        stages = dict(zip(array.stage_names, array.stage_ms, strict=True))
        inference = sum(stages.get(name, 0.0) for name in INFERENCE)
        print(json.dumps([stamp, (now - stamp) * 1e-6, inference, stages]), flush=True)

    rclpy.init()
    node = Node("listener", start_parameter_services=False, enable_rosout=False)
    if spin:
        node.create_subscription(SkeletonArray, "/pose/skeletons", heard, RESULT)
        rclpy.spin(node)
    intake = Intakes().open(node, SkeletonArray, "/pose/skeletons", RESULT)
    while rclpy.ok():
        taken = intake.take(0.2)
        if taken is not None:
            heard(taken[0].message)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def measure(arguments: argparse.Namespace, size: str, transport: str, folder: Path) -> None:
    """Run the three processes once and print a row."""
    environment = dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    environment.setdefault("ROS_DOMAIN_ID", "101")  # tests use 1 .. 100
    # What is measured is this checkout.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_HERE.parents[1]), os.environ.get("PYTHONPATH")]))
    if arguments.profile:
        environment["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(arguments.profile.resolve())

    def start(name: str, *command: str) -> subprocess.Popen:
        # Files, because a pipe that nobody reads fills up.
        with (folder / name).open("w") as output:
            return subprocess.Popen([sys.executable, *command], env=environment, stdout=output,
                                    stderr=None if arguments.verbose else subprocess.DEVNULL)

    def said(name: str) -> list:
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]

    seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds
    itself = [str(_HERE), "--role"]
    node = start("node", "-c", _NODE, "--ros-args", "-p", f"model:={arguments.model}",
                 "-p", f"image_transport:={transport}", "-p", f"reliability:={arguments.reliability}")
    hearing = start("listener", *itself, "listener", *(["--spin"] if arguments.spin else []))
    sending = start("camera", "-c", _CAMERA, "--role", "camera", "--sizes", size, "--transports", transport,
                    "--rate", str(arguments.rate), "--seconds", str(seconds))
    try:
        if arguments.minutes:
            watch(node, sending)
        sending.wait(seconds + 60)
        memory = memory_mb(node.pid)
    finally:
        for process in (sending, node, hearing):
            process.send_signal(signal.SIGTERM)
            process.wait()
    heard, sent = said("listener"), said("camera")
    # The first second is warming up.
    rows = heard[int(arguments.rate):]
    if not rows:
        raise SystemExit("no array came; --verbose shows what the node says")
    calls = {stamp: times for stamp, *times in sent}
    made, call, total, inference = np.array([(*calls[r[0]], r[1], r[2]) for r in rows]).T
    added = total - made - inference
    print(f"{size:>10} {transport:>10} {len(sent):6} {len(sent) - len(heard):6} {np.median(inference):9.2f} "
          f"{np.median(call):8.2f} {np.median(added - call):8.2f} {np.median(added):8.2f} "
          f"{np.percentile(added, 95):8.2f} {memory:7.0f}", flush=True)
    if node.returncode:
        raise SystemExit(f"the pose node ended with exit code {node.returncode}")
    if arguments.verbose:
        for stage in rows[0][3]:
            print(f"    {stage:>12}: {np.median([r[3].get(stage, 0) for r in rows]):.2f} ms")


def watch(node: subprocess.Popen, sending: subprocess.Popen) -> None:
    """Print the memory of the node every 30 s, and its slope after the first minute."""
    start, samples = time.monotonic(), []
    while sending.poll() is None:
        samples.append((time.monotonic() - start, memory_mb(node.pid)))
        print(f"{samples[-1][0]:6.0f} s  {samples[-1][1]:6.1f} MB", flush=True)
        try:
            sending.wait(30)
        except subprocess.TimeoutExpired:
            continue
    settled = np.array([s for s in samples if s[0] >= 60] or samples)
    if len(settled) > 1:
        slope = np.polyfit(settled[:, 0] / 60, settled[:, 1], 1)[0]
        print(f"slope {slope:+.2f} MB per minute")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="blazepose-full")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1920x1080"])
    parser.add_argument("--transports", nargs="+", default=["raw", "compressed"], choices=("raw", "compressed"))
    parser.add_argument("--rate", type=float, default=10.0, help="images per second")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--minutes", type=float, default=0.0, help="watch the memory of the node for so long")
    parser.add_argument("--reliability", default="best_effort")
    parser.add_argument("--profile", type=Path, help="Fast DDS profile to use instead of the package's own")
    parser.add_argument("--spin", action="store_true", help="listen by rclpy.spin, and not by one thread")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--role", choices=("camera", "listener"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "camera":
        width, height = map(int, arguments.sizes[0].split("x"))
        camera((width, height), arguments.rate, arguments.seconds, arguments.transports[0])
    elif arguments.role == "listener":
        listener(arguments.spin)
    else:
        print("Milliseconds, medians. 'call' is the camera's own call of publish, 'rest' everything after it but the "
              "networks,\n'added' their sum and 'p95' its 95th percentile; MB is the memory of the node.")
        print(f"{'size':>10} {'transport':>10} {'sent':>6} {'lost':>6} {'networks':>9} {'call':>8} {'rest':>8} "
              f"{'added':>8} {'p95':>8} {'MB':>7}")
        for size in arguments.sizes:
            for transport in arguments.transports:
                with tempfile.TemporaryDirectory() as folder:
                    measure(arguments, size, transport, Path(folder))


if __name__ == "__main__":
    main()
