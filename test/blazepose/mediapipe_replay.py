# SPDX-License-Identifier: Apache-2.0
"""Show a pipeline what MediaPipe was shown, and measure how far apart the two are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.pipeline import Pipeline

#: MediaPipe's Python takes every image of a video as 1/30 s later than the one before, whatever the video says.
STEP_NS = 33_333_000


@dataclass
class Agreement:
    """How far apart two programs are on some images. One entry per image in which both found somebody."""

    images: int = 0
    #: Images in which each found somebody.
    theirs: int = 0
    ours: int = 0
    #: People that we found in all images.
    people: int = 0
    #: (33,) distance of the landmarks, as a part of the height of the box around MediaPipe's landmarks.
    landmarks: list[np.ndarray] = field(default_factory=list)
    #: (33,) distance of the world landmarks, metres.
    world: list[np.ndarray] = field(default_factory=list)

    def add(self, case: dict[str, Any], poses: Poses) -> None:
        """Compare the person that MediaPipe found with the nearest of ours."""
        self.images += 1
        self.people += len(poses)
        self.theirs += case["landmarks"] is not None
        self.ours += len(poses) > 0
        if case["landmarks"] is None or not len(poses):
            return
        assert poses.local_points is not None
        theirs = np.array(case["landmarks"])[:, :2]
        distance = np.linalg.norm(poses.keypoints - theirs, axis=2)
        row = np.median(distance, axis=1).argmin()
        self.landmarks.append(distance[row] / np.ptp(theirs[:, 1]))
        self.world.append(np.linalg.norm(poses.local_points[row] - np.array(case["world"]), axis=1))


def replay(
    cases: Sequence[dict[str, Any]], images: Callable[[str], Iterator[np.ndarray]], pipeline: Pipeline
) -> dict[str, Agreement]:
    """Compare a pipeline with recorded cases; it is reset before every image and every video.

    Args:
        cases: What record_mediapipe.py wrote; the frames of a video in order.
        images: File name to its image, or to all frames of the video, RGB.
        pipeline: What to show them to.

    Returns:
        Agreement by folder for images, by file for videos.
    """
    found: dict[str, Agreement] = {}
    for name in dict.fromkeys(case["file"] for case in cases):
        mine = {case.get("frame", 0): case for case in cases if case["file"] == name}
        group = name if "frame" in mine[0] else str(Path(name).parent)
        pipeline.reset()
        for number, image in enumerate(images(name)):
            poses = pipeline(Frame(image, (number + 1) * STEP_NS)).poses
            if number in mine:
                found.setdefault(group, Agreement()).add(mine[number], poses)
    return found


def read(path: Path) -> Iterator[np.ndarray]:
    """Yield the image, or all frames of the video, RGB.

    Raises:
        FileNotFoundError: There is nothing to read.
    """
    capture = cv2.VideoCapture(str(path)) if path.suffix in (".mp4", ".avi") else None
    ok, bgr = capture.read() if capture else (path.is_file(), cv2.imread(str(path)))
    if not ok:
        raise FileNotFoundError(path)
    while ok:
        yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        ok, bgr = capture.read() if capture else (False, None)
