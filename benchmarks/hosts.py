# SPDX-License-Identifier: Apache-2.0
"""Three hosts on one machine: a camera, a pose node and a consumer that reach each other by a network only; cut a link.

Every host is a network namespace with an address of its own, and a bridge is the switch between them. All is made in a
user namespace of our own: no right is needed, no other process sees it, and it is gone with us. There ROS discovers
within the subnet, as between real machines. In the middle of the run one host's cable is pulled out for some seconds.

    python benchmarks/hosts.py
    python benchmarks/hosts.py --cut pose --seconds 15
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_HERE = Path(__file__).resolve()
_HOSTS = {"camera": 1, "pose": 2, "consumer": 3}
_START = "from pose_ros.nodes.start import start; raise SystemExit(start('{}'))"
_TOPICS = {"images": "/camera/camera_info", "skeletons": "/pose/skeletons"}
#: What the others have to answer a signal.
_PATIENCE_S = 15.0


def consumer() -> None:
    """Print a line for every message: stream, time of arrival, stamp, both in seconds."""
    import rclpy
    from pose_ros.msg import SkeletonArray
    from rclpy.node import Node
    from sensor_msgs.msg import CameraInfo

    from pose_ros.ros.qos import sensor

    rclpy.init()
    node = Node("consumer")

    def hear(name: str, kind: type) -> None:
        def take(message: SkeletonArray | CameraInfo) -> None:
            stamp = message.header.stamp
            print(name, time.time(), stamp.sec + stamp.nanosec * 1e-9, flush=True)

        node.create_subscription(kind, _TOPICS[name], take, sensor("best_effort", 10))

    hear("images", CameraInfo)
    hear("skeletons", SkeletonArray)
    rclpy.spin(node)


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def plug(name: str, number: int) -> subprocess.Popen[bytes]:
    """Make a host and connect it; returns the process that keeps it."""
    keeper = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
    here = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{keeper.pid}/ns/net") == here:
        time.sleep(0.01)
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", keeper.pid)
    run("ip", "link", "set", name, "master", "switch", "up")
    for arguments in (["addr", "add", f"10.77.0.{number}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                      ["link", "set", "lo", "up"]):
        run("nsenter", "-t", keeper.pid, "-n", "ip", *arguments)
    return keeper


def experiment(args: argparse.Namespace) -> None:
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "link", "set", "switch", "up")
    keepers = {name: plug(name, number) for name, number in _HOSTS.items()}
    # What is not in a namespace would be a shortcut: another machine has no memory in common with this one.
    environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
                   "PYTHONPATH": str(_HERE.parents[1])}
    length = args.before + args.seconds + args.after
    commands = {
        "pose": ["-c", _START.format("pose_node"), "--ros-args", "-p", f"model:={args.model}", "-p",
                 "image_topic:=/camera/image", "-p", f"image_transport:={args.transport}"],
        "consumer": [str(_HERE), "--role", "consumer"],
        "camera": ["-c", _START.format("camera_node"), "--ros-args", "-p", f"source:=demo:{length + 600:.0f}", "-p",
                   f"rate:={args.rate}", "-p", f"width:={args.width}", "-p", "rest_after:=0.0"],
    }
    with tempfile.TemporaryDirectory() as scratch:
        heard = Path(scratch) / "heard"
        said = {name: Path(scratch) / f"{name}.log" for name in commands}
        children = {}
        for name, command in commands.items():
            with (heard if name == "consumer" else said[name]).open("w") as out, said[name].open("a") as err:
                children[name] = subprocess.Popen(
                    ["nsenter", "-t", str(keepers[name].pid), "-n", sys.executable, *command],
                    env=environment, stdout=out, stderr=err, start_new_session=True,
                )
        until = time.monotonic() + 90
        while "skeletons" not in heard.read_text():
            if time.monotonic() > until or any(c.poll() is not None for c in children.values()):
                raise SystemExit("\n".join(path.read_text() for path in said.values()))
            time.sleep(0.2)
        time.sleep(args.before)
        run("ip", "link", "set", args.cut, "down")
        cut = time.time()
        time.sleep(args.seconds)
        run("ip", "link", "set", args.cut, "up")
        back = time.time()
        time.sleep(args.after)
        alive = [name for name, child in children.items() if child.poll() is None]
        lines = [line.split() for line in heard.read_text().splitlines() if line.count(" ") == 2]
        asked = time.monotonic()
        for name in alive:
            os.killpg(children[name].pid, signal.SIGINT)
        for child in children.values():
            child.wait(_PATIENCE_S)
        report(args, cut, back, lines)
        print(f"alive until the end: {', '.join(alive)}; all ended {time.monotonic() - asked:.1f} s after being asked")
    for keeper in keepers.values():
        keeper.kill()
        keeper.wait()


def report(args: argparse.Namespace, cut: float, back: float, lines: list[list[str]]) -> None:
    """Print what came before, during and after the cut; lost is the longest gap in the stamps of what ever came."""
    print(f"{args.width} px at {args.rate:g} Hz ({args.transport}), host '{args.cut}' cut off for {back - cut:.1f} s")
    print(f"{'stream':10} {'before Hz':>9} {'during Hz':>9} {'after Hz':>8} {'silence s':>9} {'back after s':>12} "
          f"{'lost s':>6} {'late ms: before':>15} {'after':>6}")
    for name in _TOPICS:
        times, stamps = np.array([line[1:] for line in lines if line[0] == name], float).reshape(-1, 2).T
        during, after = (times > cut) & (times < back), times > back
        before = (times > cut - args.before) & (times < cut)
        first = times[after][0] if after.any() else np.inf
        rate = after.sum() / (times[-1] - first) if after.sum() > 1 else 0.0
        silence = first - times[before][-1] if before.any() else np.inf
        lost = float(np.diff(np.sort(stamps)).max()) if len(stamps) > 1 else np.inf
        late = [f"{np.median((times - stamps)[chosen]) * 1e3:.0f}" if chosen.any() else "-"
                for chosen in (before, times > first + 2)]
        print(f"{name:10} {before.sum() / args.before:9.1f} {during.sum() / (back - cut):9.1f} {rate:8.1f} "
              f"{silence:9.1f} {first - back:12.2f} {lost:6.1f} {late[0]:>15} {late[1]:>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut", choices=tuple(_HOSTS), default="camera", help="whose cable is pulled out")
    parser.add_argument("--seconds", type=float, default=5.0, help="for how long")
    parser.add_argument("--before", type=float, default=10.0, help="seconds before it")
    parser.add_argument("--after", type=float, default=15.0, help="seconds after it")
    parser.add_argument("--rate", type=float, default=10.0, help="images per second")
    parser.add_argument("--width", type=int, default=320, help="of the images, pixels")
    parser.add_argument("--model", default="blazepose-full")
    parser.add_argument("--transport", choices=("raw", "compressed"), default="compressed")
    parser.add_argument("--role", choices=("consumer", "inside"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "consumer":
        consumer()
    elif args.role == "inside":
        experiment(args)
    else:
        inside = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--ipc", "--pid", "--fork",
                  "--mount-proc", "--kill-child", sys.executable, str(_HERE), *sys.argv[1:], "--role", "inside"]
        raise SystemExit(subprocess.run(inside, check=False).returncode)


if __name__ == "__main__":
    main()
