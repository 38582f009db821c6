# SPDX-License-Identifier: Apache-2.0
"""Record what MediaPipe's own Python says about test images, as numbers to compare with.

Runs in an environment of its own, which needs nothing of this package::

    python -m venv mp && mp/bin/pip install mediapipe==0.10.21
    mp/bin/python test/data/record_mediapipe.py TESTDATA test/data/mediapipe_pose_0_10_21.json --astronaut PNG
    mp/bin/python test/data/record_mediapipe.py TESTDATA all.json --all          # every image, every frame
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np

#: The photograph that scikit-image ships as skimage/data/astronaut.png.
ASTRONAUT = "skimage/astronaut.png"
#: Of the images every third is kept.
IMAGE_STEP = 3
#: Video and the step between the frames that are kept; all frames are shown to MediaPipe.
VIDEOS = {"video/mmpose_demo.mp4": 1, "video/mediapipe_pose_world_landmarks.mp4": 15}


def frames(path: Path) -> list[np.ndarray]:
    """Return all frames of a video, RGB."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        ok, bgr = capture.read()
        if not ok:
            return found
        found.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def numbers(result: Any, image: np.ndarray) -> dict[str, Any]:
    """Return landmarks (33 x: x, y in pixels, visibility) and world landmarks (33 x: metres); None for nobody."""
    if result.pose_landmarks is None:
        return {"landmarks": None, "world": None}
    height, width = image.shape[:2]
    return {
        "landmarks": [[round(p.x * width, 2), round(p.y * height, 2), round(p.visibility, 3)]
                      for p in result.pose_landmarks.landmark],
        "world": [[round(v, 4) for v in (p.x, p.y, p.z)] for p in result.pose_world_landmarks.landmark],
    }


def record(testdata: Path, astronaut: Path | None, everything: bool) -> list[dict[str, Any]]:
    """Show images one by one (static mode) and videos in order (video mode)."""
    cases = []
    with mp.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
        if astronaut:
            image = cv2.cvtColor(cv2.imread(str(astronaut)), cv2.COLOR_BGR2RGB)
            cases.append({"file": ASTRONAUT, **numbers(pose.process(image), image)})
        for i, path in enumerate(sorted((testdata / "body2d/coco_mini").glob("*.jpg"))):
            if everything or i % IMAGE_STEP == 0:
                image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
                cases.append({"file": f"body2d/coco_mini/{path.name}", **numbers(pose.process(image), image)})
    for name, step in VIDEOS.items():
        with mp.solutions.pose.Pose(model_complexity=1) as pose:
            for i, image in enumerate(frames(testdata / name)):
                result = pose.process(image)
                if everything or i % step == 0:
                    cases.append({"file": name, "frame": i, **numbers(result, image)})
    return cases


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path, help="folder of the test data")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--astronaut", type=Path, metavar="PNG", help="scikit-image's skimage/data/astronaut.png")
    parser.add_argument("--all", action="store_true", help="all images and frames instead of the chosen ones")
    args = parser.parse_args()
    cases = record(args.testdata, args.astronaut, args.all)
    head = {"mediapipe": mp.__version__, "python": sys.version.split()[0], "opencv": cv2.__version__,
            "model_complexity": 1}
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    args.output.write_text(f'{json.dumps(head)[:-1]},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
