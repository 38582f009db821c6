# SPDX-License-Identifier: Apache-2.0
"""What following subjects by their keypoints saves and costs, beside a detector that looks at every image.

    POSE_ROS_ACCEPT_LICENCES=simplepose-ultralight python benchmarks/following.py TESTDATA

For each video: people in an image, looks of the detector, processor time of an image, different ids, and what of all
that the detector of every image sees is not there or elsewhere when it looks twice or five times a second. Distances
are those of keypoints with a score above 0.3, as parts of the side of a square as large as the subject's box.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from beside_rtmlib import stock

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import iou
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

VIDEOS = ("video/mmpose_demo.mp4", "video/sports2d_demo.mp4", "video/sleap_dance.mp4",
          "video/mmaction2_demo_skeleton.mp4", "multiview/pose2sim_singleperson/cam01.mp4")
#: Name -> options of ``top_down``.
WAYS: dict[str, dict[str, Any]] = {"every image": {"follow": False}, "5 Hz": {"detect_every": 0.2}, "2 Hz": {}}
_STEP_NS, _SURE = 33_333_333, 0.3


def frames(video: Path, most: int) -> list[np.ndarray]:
    """Return images of a video, RGB."""
    capture, found = cv2.VideoCapture(str(video)), []
    while len(found) < most and (read := capture.read())[0]:
        found.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return found


def run(pipeline: Pipeline, clip: list[np.ndarray]) -> tuple[list[Poses], float]:
    """Return what is seen in each image, and the mean processor time, seconds."""
    began = time.process_time()
    seen = [pipeline(Frame(image, (i + 1) * _STEP_NS)).poses for i, image in enumerate(clip)]
    return seen, (time.process_time() - began) / len(clip)


def compare(expected: list[Poses], seen: list[Poses]) -> tuple[int, np.ndarray]:
    """Return how many subjects are missing, and how far keypoints of the others are apart."""
    missing, apart = 0, [np.empty(0)]
    for a, b in zip(expected, seen, strict=True):
        overlap = iou(a.boxes, b.boxes)
        for row in range(len(a)):
            if not len(b) or overlap[row].max() < 0.5:
                missing += 1
                continue
            other, sure = b.keypoints[overlap[row].argmax()], a.scores[row] > _SURE
            side = np.sqrt(np.prod(a.boxes[row, 2:] - a.boxes[row, :2]))
            apart.append(np.linalg.norm(a.keypoints[row] - other, axis=1)[sure] / side)
    return missing, np.concatenate(apart)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--model", default="yolox-nano+simplepose-ultralight")
    parser.add_argument("--videos", nargs="+", default=VIDEOS)
    parser.add_argument("--most", type=int, default=300, help="images of each video")
    args = parser.parse_args()
    stock(args.testdata)
    print("| video | detector looks | people | looks / images | CPU ms | ids | missing | apart, median / 95 % |")
    print("|---|---|---|---|---|---|---|---|")
    for video in args.videos:
        clip = frames(args.testdata / video, args.most)
        if len(clip) < 10:  # there and back again, so that nobody leaps
            clip = (clip + clip[-2:0:-1]) * 8
        expected: list[Poses] = []
        for name, options in WAYS.items():
            pipeline = build({"model": args.model, "top_down": {"max_subjects": 30, **options},
                              "detector": {"score_threshold": 0.3}})
            seen, seconds = run(pipeline, clip)
            expected = expected or seen
            missing, apart = compare(expected, seen)
            ids = {int(i) for poses in seen for i in poses.ids}
            distance = f"{np.median(apart):.2%} / {np.percentile(apart, 95):.2%}" if seen is not expected else ""
            print(f"| {Path(video).name} | {name} | {np.mean([len(p) for p in seen]):.2f} "
                  f"| {pipeline.source.detections} / {len(clip)} | {seconds * 1e3:.1f} | {len(ids)} "
                  f"| {missing} of {sum(map(len, expected))} | {distance} |", flush=True)


if __name__ == "__main__":
    main()
