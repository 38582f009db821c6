# SPDX-License-Identifier: Apache-2.0
"""BlazePose here against MediaPipe's own Python: the same people, the same points, and how fast.

MediaPipe lives in an environment of its own (``pip install mediapipe==0.10.21``)::

    python benchmarks/blazepose.py --testdata FOLDER --mediapipe-python mp/bin/python            # agreement and speed
    python benchmarks/blazepose.py --testdata FOLDER --mediapipe-python mp/bin/python --only speed --video video.mp4

Agreement is measured on all images of body2d/coco_mini (MediaPipe in static mode) and on all frames of two videos
(video mode). Landmark distances are a part of the height of the box around MediaPipe's own landmarks. Speed is measured
in turns; decoding and the first ten frames are excluded for both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

ROOT = Path(__file__).resolve().parents[1]
RECORDER = ROOT / "test/data/record_mediapipe.py"
sys.path.insert(0, str(ROOT / "test/blazepose"))

from mediapipe_replay import STEP_NS, read, replay  # noqa: E402

WARM_UP = 10


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


def frames_per_second(video: Path, count: int, process: Pipeline) -> float:
    """Return a pipeline's frames per second on a video that repeats."""
    images = list(islice(cycle(list(read(video))), WARM_UP + count))
    began = 0.0
    for number, image in enumerate(images):
        if number == WARM_UP:
            began = time.perf_counter()
        process(Frame(image, (number + 1) * STEP_NS))
    return count / (time.perf_counter() - began)


def in_turns(command: Sequence[str], here: Callable[[], float], runs: int) -> None:
    """Measure both in turns, MediaPipe by a command that prints its frames per second, and print the medians."""
    theirs, ours = [], []
    for run in range(runs):
        theirs.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]))
        ours.append(here())
        print(f"  run {run + 1}: MediaPipe {theirs[-1]:.1f}, here {ours[-1]:.1f} frames/s", flush=True)
    a, b = statistics.median(theirs), statistics.median(ours)
    print(
        f"MediaPipe {a:.1f} frames/s ({1e3 / a:.1f} ms), here {b:.1f} frames/s ({1e3 / b:.1f} ms): {b / a:.2f} x\n"
        f"median of the runs' ratios {statistics.median(y / x for x, y in zip(theirs, ours, strict=True)):.2f} x, "
        f"best runs {max(ours) / max(theirs):.2f} x (a busy machine disturbs single runs)"
    )


def speed(python: Path, video: Path, count: int, runs: int, subjects: int, device: str) -> None:
    """Measure both on one video."""
    print(f"\nSpeed on {video.name}, {count} frames, {runs} runs, at most {subjects} people here")
    command = [str(python), str(RECORDER), "--speed", str(video), "--frames", str(count)]
    in_turns(command, lambda: frames_per_second(video, count, pipeline(subjects, device)), runs)
    print(f"here by {pipeline(subjects, device).source.device}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mediapipe-python", type=Path, required=True, help="python of MediaPipe's environment")
    parser.add_argument("--testdata", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--only", choices=("agreement", "speed"), help="leave the other out")
    parser.add_argument("--video", default="video/mmpose_demo.mp4", help="video to time, in the test data or anywhere")
    parser.add_argument("--frames", type=int, default=150, help="frames of one timed run; the video repeats")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each")
    parser.add_argument("--subjects", type=int, default=1, help="most people here")
    parser.add_argument("--device", default="auto", help="device here")
    args = parser.parse_args()
    if args.only != "speed":
        agreement(args.mediapipe_python, args.testdata, args.subjects, args.device)
    if args.only != "agreement":
        speed(args.mediapipe_python, args.testdata / args.video, args.frames, args.runs, args.subjects, args.device)


if __name__ == "__main__":
    main()
