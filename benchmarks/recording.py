# SPDX-License-Identifier: Apache-2.0
"""Measure whether a recording may last: memory over the hours that it shows, at full speed.

Three people with hands and faces walk for hours at 10 Hz through small images. What the recorder node keeps is fed as
the node feeds it: bag, video, trajectories and tally.

    python benchmarks/recording.py --hours 1
    python benchmarks/recording.py --hours 1 --moments 20000     # trajectories as they were kept before
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from pose_ros.msg import SkeletonArray
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.media.plot import Trajectories
from pose_ros.media.recording import Recording
from pose_ros.nodes.tally import Tally
from pose_ros.pipeline import Result
from pose_ros.ros.bag import BagWriter
from pose_ros.ros.messages import poses_to_array
from pose_ros.skeletons import catalogue

_RATE_HZ, _SIZE_WH, _PEOPLE = 10, (160, 120), 3
_KINDS = {"": ("mediapipe33", _PEOPLE), "hands": ("hand21", 2 * _PEOPLE), "faces": ("facemesh478", _PEOPLE)}


def rss_mb() -> float:
    """Return the resident memory of this process, megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def people(kind: str, rng: np.random.Generator) -> Poses:
    """Return subjects at places of their own, in the image and in metres."""
    name, count = _KINDS[kind]
    skeleton = catalogue.get(name)
    k = len(skeleton)
    return Poses(
        skeleton, rng.uniform(0, 120, (count, k, 2)), np.full((count, k), 0.9), ids=np.arange(1, count + 1),
        points=rng.normal(size=(count, k, 3)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="what the recording shows")
    parser.add_argument("--moments", type=int, default=0, help="most moments that are kept for the plot; 0: as shipped")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (_SIZE_WH[1], _SIZE_WH[0], 3), np.uint8)
    stages = Stages()
    for name in ("transport", "detect", "estimate", "track", "hands", "faces"):
        stages.add(name, 1.0)
    with tempfile.TemporaryDirectory() as scratch, BagWriter(Path(scratch) / "skeletons") as bag:
        recording = Recording(scratch, fps=_RATE_HZ)
        if args.moments:
            recording.trajectories = Trajectories(recording.min_score, args.moments)
        tallies = {kind: Tally() for kind in _KINDS}
        for kind in _KINDS:
            bag.add(f"/pose/{kind}/skeletons", SkeletonArray)
        count, began = round(args.hours * 3600 * _RATE_HZ), time.monotonic()
        print(f"{'minute':>6} {'RSS MB':>8}")
        for index in range(count):
            stamp = index * (10**9 // _RATE_HZ)
            for kind, tally in tallies.items():
                poses = people(kind, rng)
                msg = poses_to_array(Result(poses, (), stages), Header(), _SIZE_WH, "known")
                msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp, 10**9)
                bag.write(f"/pose/{kind}/skeletons", serialize_message(msg), stamp)
                tally.add(msg, stamp)
                if not kind:
                    recording.add_poses(stamp, poses)
                    recording.add_frame(stamp, image, poses)
            if index % (60 * _RATE_HZ * 2) == 0 or index == count - 1:
                print(f"{index / _RATE_HZ / 60:6.0f} {rss_mb():8.1f}", flush=True)
        recording.close()
        print(f"{'closed':>6} {rss_mb():8.1f}, {count} moments in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
