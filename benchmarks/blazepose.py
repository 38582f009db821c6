# SPDX-License-Identifier: Apache-2.0
"""BlazePose here against MediaPipe's own Python: the same people, the same points.

MediaPipe lives in an environment of its own (``pip install mediapipe==0.10.21``)::

    python benchmarks/blazepose.py --testdata FOLDER --mediapipe-python mp/bin/python

Agreement is measured on all images of body2d/coco_mini (MediaPipe in static mode) and on all frames of two videos
(video mode). Landmark distances are a part of the height of the box around MediaPipe's own landmarks. How fast both
are says ``pose-ros bench beside``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

ROOT = Path(__file__).resolve().parents[1]
RECORDER = ROOT / "test/data/record_mediapipe.py"
sys.path.insert(0, str(ROOT / "test/blazepose"))

from mediapipe_replay import read, replay  # noqa: E402


def pipeline(subjects: int, device: str) -> Pipeline:
    """Return the pipeline; MediaPipe's Python follows one person."""
    return build({"model": "blazepose-full", "device": device, "top_down": {"max_subjects": subjects}})


def agreement(python: Path, testdata: Path, subjects: int, device: str) -> None:
    """Record MediaPipe on everything, replay, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "all.json")
        subprocess.run([python, RECORDER, testdata, output, "--all"], check=True, stderr=subprocess.DEVNULL)
        recorded = json.loads(output.read_text())
    found = replay(recorded["cases"], lambda name: read(testdata / name), pipeline(subjects, device))
    print(f"\nAgreement with MediaPipe {recorded['mediapipe']}, at most {subjects} people here (1 there)")
    print(f"{'':44}{'images with somebody':>22}{'landmarks, % of height':>26}{'world landmarks, cm':>26}")
    print(f"{'':34}{'images':>10}{'MediaPipe':>12}{'here':>10}" + f"{'median':>18}{'95 %':>8}" * 2)
    for name, a in found.items():
        landmarks, world = 100 * np.array(a.landmarks), 100 * np.array(a.world)
        print(
            f"{name[-42:]:42}{a.images:>2}{a.theirs:>12}{a.ours:>10}"
            f"{np.median(landmarks):>18.3f}{np.percentile(landmarks, 95):>8.2f}"
            f"{np.median(world):>18.2f}{np.percentile(world, 95):>8.2f}"
        )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mediapipe-python", type=Path, required=True, help="python of MediaPipe's environment")
    parser.add_argument("--testdata", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--subjects", type=int, default=1, help="most people here")
    parser.add_argument("--device", default="auto", help="device here")
    args = parser.parse_args()
    agreement(args.mediapipe_python, args.testdata, args.subjects, args.device)


if __name__ == "__main__":
    main()
