# SPDX-License-Identifier: Apache-2.0
"""Frames per second here and by rtmlib, with the same network files on the same processors, in turns.

rtmlib lives in an environment of its own (``pip install rtmlib onnxruntime openvino``)::

    python benchmarks/beside_rtmlib.py --rtmlib-python rtm/bin/python
    python benchmarks/beside_rtmlib.py --rtmlib-python rtm/bin/python --testdata FOLDER --only video accuracy

``boxes``: RTMPose-m 256x192, exported with random weights, in given boxes of a 640x480 image: crops, network, decoding.
``video``: a detector and a heat map network on a video whose frames lie decoded in memory, everything included; rtmlib
detects in every frame, which is its default, and here with ``detect_every``. ``accuracy``: COCO AP of the same two
networks on the photographs of ``body2d/coco_mini``, where every image is looked at by the detector.

OpenVINO, left alone, computes in bfloat16 on processors that can, and rtmlib leaves it alone; here float32 is the
default. Both are measured, and each is named. The order of the turns is drawn anew in each round; medians are printed.
The heat map network has no licence: ``POSE_ROS_ACCEPT_LICENCES=simplepose-ultralight`` says that this is accepted.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_MODEL, _IMAGE_WH, _PADDING = "rtmpose-m-pth", (640, 480), 1.25
_DETECTOR, _ESTIMATOR = "yolox-nano", "simplepose-ultralight"
_VIDEO, _STEP_NS = "video/mmpose_demo.mp4", 33_333_333
_PERSON = 1


def people_boxes(people: int) -> np.ndarray:
    """Return where people stand, side by side, xyxy."""
    centre = (np.arange(people) + 0.5) * _IMAGE_WH[0] / people
    return np.float32([[x - 60, 60, x + 60, 420] for x in centre])


def noise() -> np.ndarray:
    """Return an image that is the same for both."""
    return np.random.default_rng(0).integers(0, 256, (_IMAGE_WH[1], _IMAGE_WH[0], 3), np.uint8)


def frames(video: Path) -> list[np.ndarray]:
    """Return all frames, BGR."""
    import cv2

    capture, found = cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        found.append(read[1])
    return found


def seconds_each(run: Callable[[], object], count: int) -> float:
    """Return the mean time of ``count`` calls."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


# --- what runs in rtmlib's environment ---------------------------------------------------------------------------


def serve() -> None:
    """Answer the questions of the other process, one line each, by rtmlib."""
    import cv2
    import rtmlib

    answers, sys.stdout = sys.stdout, sys.stderr  # rtmlib prints
    made: dict[Any, Any] = {}

    def tool(kind: str, *args: Any, **settings: Any) -> Any:
        key = (kind, args, tuple(settings.items()))
        if key not in made:
            made[key] = getattr(rtmlib, kind)(*args, **settings)
        return made[key]

    def both(ask: dict[str, Any], image: np.ndarray, threshold: float) -> tuple[Any, Any]:
        """Return keypoints and scores of all people, as rtmlib's own solutions do it."""
        # Only with all classes rtmlib can tell people from other things.
        detect = tool("YOLOX", ask["detector"], (416, 416), det_mode="multiclass", nms_thr=0.65,
                      score_thr=threshold, backend=ask["backend"])
        pose = tool("ViTPose", ask["estimator"], (192, 256), backend=ask["backend"])
        boxes, classes = detect(image)
        boxes = [box for box, kind in zip(boxes, classes) if kind == 0]  # noqa: B905 - as in its tracker
        return pose(image, bboxes=boxes) if boxes else ([], [])

    for line in sys.stdin:
        ask = json.loads(line)
        if ask["what"] == "boxes":
            pose = tool("RTMPose", ask["file"], (192, 256), backend=ask["backend"])
            image, boxes = noise(), people_boxes(ask["people"])
            answer: Any = seconds_each(lambda: pose(image, bboxes=boxes), ask["count"])  # noqa: B023 - called at once
        elif ask["what"] == "video":
            clip = made.setdefault(ask["video"], None) or frames(Path(ask["video"]))
            made[ask["video"]] = clip
            for image in clip:
                both(ask, image, 0.3)
            start = time.perf_counter()
            for i in range(ask["count"]):
                both(ask, clip[i % len(clip)], 0.3)
            answer = (time.perf_counter() - start) / ask["count"]
        else:
            answer = []
            for number, file in ask["images"]:
                keypoints, scores = both(ask, cv2.imread(file), 0.3)
                answer += [[number, np.asarray(k).tolist(), np.asarray(s).tolist()] for k, s in zip(keypoints, scores)]  # noqa: B905
        print(json.dumps(answer), file=answers, flush=True)


# --- what runs here ----------------------------------------------------------------------------------------------


class Rtmlib:
    """The other process."""

    def __init__(self, python: Path) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [python, __file__, "--role", "rtmlib"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __call__(self, **ask: Any) -> Any:
        """Return its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(ask) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise SystemExit("rtmlib's process has ended; is rtmlib in that environment, with the libraries asked for?")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def in_turns(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return seconds of every run in every round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name in random.sample(list(runs), len(runs)):
            times[name].append(runs[name]())
    return times


def show(times: dict[str, list[float]]) -> dict[str, float]:
    """Print a line for each, and how ours compare with the fastest of theirs."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    fastest = min((name for name in medians if name.startswith("rtmlib")), key=medians.__getitem__)
    for name, value in medians.items():
        ratio = "" if name.startswith("rtmlib") else f"  {medians[fastest] / value:5.2f} x the fastest of rtmlib"
        print(f"  {name:38} {value * 1e3:8.2f} ms {1 / value:8.1f} frames/s{ratio}", flush=True)
    return medians


def boxes(
    theirs: Rtmlib, backends: Sequence[str], precisions: Sequence[str], people: Sequence[int], rounds: int
) -> Any:
    """Measure crops, network and decoding in given boxes."""
    from pose_ros.models.store import Store
    from pose_ros.networks import catalogue
    from pose_ros.networks.export import export
    from pose_ros.plugin import Model
    from pose_ros.registry import load
    from pose_ros.runtime import open_session

    card = Store().card(_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{_MODEL}.onnx")
        export(catalogue.build(card.network, card.input_wh), card.input_wh, file)
        plugins = {
            f"here, openvino, {precision}": load("estimators", card.plugin)(
                Model(card, open_session(file, runtime="openvino", precision=precision))
            ) for precision in precisions
        }  # fmt: skip
        return {count: _boxes_turn(theirs, backends, plugins, str(file), count, rounds) for count in people}


def _boxes_turn(
    theirs: Rtmlib, backends: Sequence[str], plugins: dict[str, Any], file: str, people: int, rounds: int
) -> dict[str, float]:
    from pose_ros.core.regions import boxes_to_regions

    image, regions, count = noise(), boxes_to_regions(people_boxes(people)), max(2, 20 // people)
    for plugin in plugins.values():  # the form of the network for several people is made in the background
        until = time.monotonic() + (6 if people > 1 else 0)
        while time.monotonic() < until:
            plugin.estimate(image, regions)
    runs: dict[str, Callable[[], float]] = {
        f"rtmlib, {backend}": lambda backend=backend: theirs(
            what="boxes", file=file, backend=backend, people=people, count=count
        ) for backend in backends
    } | {
        name: lambda plugin=plugin: seconds_each(lambda: plugin.estimate(image, regions), count)
        for name, plugin in plugins.items()
    }  # fmt: skip
    print(f"{_MODEL}, {people} people in given boxes:")
    return show(in_turns(runs, rounds))


def _pipeline(precision: str, **top_down: Any) -> Any:
    from pose_ros.wiring import build

    return build({"model": f"{_DETECTOR}+{_ESTIMATOR}", "runtime": "openvino", "precision": precision,
                  "top_down": {"max_subjects": 30, **top_down}, "detector": {"score_threshold": 0.3}})


def _files(testdata: Path) -> dict[str, str]:
    return {"detector": str(testdata / "models/detector/yolox_nano.onnx"),
            "estimator": str(testdata / "models/body/ultralight_simplepose_256x192.onnx")}


def stock(testdata: Path) -> None:
    """Let the model store have the files that rtmlib reads."""
    from pose_ros.models.store import Store

    store = Store()
    for name, file in zip((_DETECTOR, _ESTIMATOR), _files(testdata).values(), strict=True):
        if store.state(store.card(name)) != "ready":
            store.fetch(store.card(name), source=Path(file))


def video(
    theirs: Rtmlib, backends: Sequence[str], precisions: Sequence[str], testdata: Path, count: int, rounds: int
) -> Any:
    """Measure detector and estimator on a video."""
    from pose_ros.core.frame import Frame

    clip = [np.ascontiguousarray(image[..., ::-1]) for image in frames(testdata / _VIDEO)]
    print(f"{_DETECTOR}+{_ESTIMATOR}, {Path(_VIDEO).name}, {len(clip)} frames again and again as 30 Hz:")

    def here(pipeline: Any) -> float:
        pipeline.reset()
        stamps = iter(range(1, 10**9))
        for image in clip:
            pipeline(Frame(image, next(stamps) * _STEP_NS))
        start = time.perf_counter()
        for i in range(count):
            pipeline(Frame(clip[i % len(clip)], next(stamps) * _STEP_NS))
        return (time.perf_counter() - start) / count

    runs: dict[str, Callable[[], float]] = {
        f"rtmlib, {backend}": lambda backend=backend: theirs(
            what="video", backend=backend, video=str(testdata / _VIDEO), count=count, **_files(testdata)
        ) for backend in backends
    }  # fmt: skip
    for precision in precisions:
        for name, options in (("detector in every frame", {"follow": False}), ("detector when needed", {})):
            pipeline = _pipeline(precision, **options)
            runs[f"here, {precision}, {name}"] = lambda pipeline=pipeline: here(pipeline)
    return show(in_turns(runs, rounds))


def accuracy(theirs: Rtmlib, backends: Sequence[str], precisions: Sequence[str], testdata: Path) -> Any:
    """Print COCO AP of the same networks."""
    import contextlib
    import io

    import cv2
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from pose_ros.core.frame import Frame

    folder = testdata / "body2d/coco_mini"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "person_keypoints.json"))
    images = [(number, str(folder / entry["file_name"])) for number, entry in sorted(truth.imgs.items())]
    results = {f"rtmlib, {backend}": theirs(what="accuracy", backend=backend, images=images, **_files(testdata))
               for backend in backends}
    for precision in precisions:
        pipeline, rows = _pipeline(precision), []
        for number, file in images:
            pipeline.reset()
            poses = pipeline(Frame(np.ascontiguousarray(cv2.imread(file)[..., ::-1]), 1)).poses
            rows += [(number, k.tolist(), s.tolist()) for k, s in zip(poses.keypoints, poses.scores, strict=True)]
        results[f"here, openvino, {precision}"] = rows
    found = {}
    print("COCO AP on coco_mini; score of a person: mean of its keypoints' above 0.2, for both")
    for name, rows in results.items():
        given = []
        for number, keypoints, scores in rows:
            sure = [score for score in scores if score > 0.2]
            given.append({"image_id": number, "category_id": _PERSON, "score": float(np.mean(sure)) if sure else 0.0,
                          "keypoints": np.nan_to_num(np.column_stack([keypoints, scores])).ravel().tolist()})
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(given), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        found[name] = dict(zip(("AP", "AP50", "AP75"), map(float, evaluation.stats), strict=False))
        print(f"  {name:38} " + "  ".join(f"{key} {value:.3f}" for key, value in found[name].items()))
    return found


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtmlib-python", type=Path, help="python of rtmlib's environment")
    parser.add_argument("--testdata", type=Path, help="folder of the test data, for video and accuracy")
    parser.add_argument("--only", nargs="+", choices=("boxes", "video", "accuracy"))
    parser.add_argument("--backends", nargs="+", default=["onnxruntime", "openvino"], help="of rtmlib")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], help="here")
    parser.add_argument("--people", nargs="+", type=int, default=[1, 5, 10])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--frames", type=int, default=60, help="of the video in each turn")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--role", choices=("rtmlib",), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        return serve()
    if args.rtmlib_python is None:
        parser.error("--rtmlib-python is needed: an environment with rtmlib, onnxruntime and openvino")
    if args.testdata:
        stock(args.testdata)
    parts = args.only or (["boxes", "video", "accuracy"] if args.testdata else ["boxes"])
    theirs, found = Rtmlib(args.rtmlib_python), {}
    if "boxes" in parts:
        found["boxes"] = boxes(theirs, args.backends, args.precisions, args.people, args.rounds)
    if "video" in parts:
        found["video"] = video(theirs, args.backends, args.precisions, args.testdata, args.frames, args.rounds)
    if "accuracy" in parts:
        found["accuracy"] = accuracy(theirs, args.backends, args.precisions, args.testdata)
    theirs.close()
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
