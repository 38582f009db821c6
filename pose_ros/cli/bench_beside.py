# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bench beside``: the same work here and by rtmlib or MediaPipe, in turns."""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.benching.beside import HERE, Other, in_turns, rows, save
from pose_ros.benching.stream import clip, endless
from pose_ros.cli import console
from pose_ros.cli.fetching import fetch
from pose_ros.core.frame import Frame
from pose_ros.core.regions import boxes_to_regions
from pose_ros.errors import ConfigError
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

#: One turn: milliseconds of its images.
Run = Callable[[], Sequence[float]]
#: Of rtmlib: the network that looks into given boxes, with random weights, and the pair for the clip.
MODEL, DETECTOR, ESTIMATOR = "rtmpose-m-pth", "yolox-nano", "simplepose-ultralight"
RTMLIB = ("boxes", "video")
_IMAGE_WH = (640, 480)
#: The form of a network for several people is made in the background, which takes so long, seconds.
_SETTLE_S = 6.0
#: Images before those that count, of MediaPipe and beside it.
WARM_UP = 10


@dataclass(frozen=True)
class Solution:
    """What does here what one of MediaPipe's solutions does."""

    #: Of :func:`pose_ros.wiring.build`.
    config: Mapping[str, Any]
    #: Most subjects that both look for: MediaPipe's own default.
    most: int = 1
    #: Its ``model_complexity``.
    complexity: int = 1

    def pipeline(self, most: int = 0, **changes: Any) -> Pipeline:
        """Return the pipeline."""
        return build({**self.config, "top_down": {"max_subjects": most or self.most}, **changes})


_HANDS, _FACES = {"model": "mediapipe-hand-landmark-full"}, {"model": "mediapipe-face-landmark"}
#: Name in ``mediapipe.solutions`` -> the same here.
SOLUTIONS = {
    "pose": Solution({"model": "blazepose-full"}),
    "hands": Solution(_HANDS, most=2),
    "face_mesh": Solution(_FACES),
    "holistic": Solution({"model": "blazepose-full", "hands": _HANDS, "faces": _FACES}),
    # MediaPipe's mesh with irises is another network, which only its own runtime reads.
    "face_mesh_irises": Solution({"model": "mediapipe-face-mesh-iris"}),
}
_UNASKED = "face_mesh_irises"


def run(args: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Return rows, versions of the other programs, and what was worked on.

    Raises:
        ConfigError: No program is named, one does not work, or some work needs one that is not named.
    """
    pythons = {"rtmlib": args.rtmlib_python, "mediapipe": args.mediapipe_python}
    known = {**dict.fromkeys(RTMLIB, "rtmlib"), **dict.fromkeys(SOLUTIONS, "mediapipe")}
    if not any(pythons.values()):
        raise ConfigError("beside", "expected --rtmlib-python or --mediapipe-python: the python of an environment in "
                                    "which `pip install rtmlib onnxruntime openvino`, or mediapipe==0.10.21, was said")
    work = args.work or [name for name, program in known.items() if pythons[program] and name != _UNASKED]
    for name in work:
        if not pythons[known[name]]:
            raise ConfigError("--work", f"'{name}' is compared with {known[name]}: expected --{known[name]}-python")
    if args.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cpus])  # the other programs inherit it
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        others = {name: stack.enter_context(Other(name, pythons[name])) for name in {known[w]: 0 for w in work}}
        frames, fps = clip(args.source) if set(work) != {"boxes"} else ([], 0.0)
        # The others know no camera, and place nobody in front of it.
        frames = [replace(frame, camera=None) for frame in frames]
        file = save(frames, folder) if frames else ""
        for name in work:
            console.note(f"{name} ...")
            other = others[known[name]]
            if name == "boxes":
                found += _boxes(other, args, folder)
            elif name == "video":
                found += _video(other, args, frames, fps, file)
            else:
                found += _solution(other, args, name, frames, file)
    versions = {f"{name} {what}": v for name, other in others.items() for what, v in other.versions.items()}
    sizes = {"size": "{}x{}".format(*frames[0].size_wh), "clip": len(frames)} if frames else {}
    return found, versions, {"source": args.source if frames else "noise", **sizes}


def _boxes(other: Other, args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Crops, network and decoding in given boxes of an image of noise; the network is exported with random weights."""
    from pose_ros.networks import catalogue
    from pose_ros.networks.export import export
    from pose_ros.plugin import Model
    from pose_ros.registry import load
    from pose_ros.runtime import open_session

    card, image = Store().card(MODEL), np.random.default_rng(0).integers(0, 256, (*_IMAGE_WH[::-1], 3), np.uint8)
    network, saved = folder / f"{MODEL}.onnx", folder / "noise.npy"
    np.save(saved, image[None])
    export(catalogue.build(card.network, card.input_wh), card.input_wh, network)
    kind: Any = load("estimators", card.plugin)
    plugins = {p: kind(Model(card, open_session(network, runtime="openvino", precision=p))) for p in args.precisions}
    for people in args.people:
        boxes, count = _people_boxes(people), max(2, args.images // people)
        regions = boxes_to_regions(boxes)
        calls = {p: partial(plugin.estimate, image, regions) for p, plugin in plugins.items()}
        for call in calls.values():
            end = time.monotonic() + (_SETTLE_S if people > 1 else 0)
            while time.monotonic() < end:
                call()
        ask = partial(other, "boxes", file=str(network), clip=str(saved), input_wh=card.input_wh, count=count,
                      boxes=boxes.tolist())  # fmt: skip
        runs: dict[str, Run] = {f"rtmlib, {backend}": partial(ask, backend=backend) for backend in args.backends}
        runs |= {f"{HERE}, openvino, {p}": partial(timed, call, count) for p, call in calls.items()}
        yield from rows(f"{MODEL}, {people} in given boxes", in_turns(runs, args.rounds))


def _people_boxes(people: int) -> np.ndarray:
    """Return where people stand, side by side, xyxy."""
    centre = (np.arange(people) + 0.5) * _IMAGE_WH[0] / people
    return np.array([[x - 60, 60, x + 60, 420] for x in centre], np.float32)


def pair(store: Store) -> dict[str, Any]:
    """Return what rtmlib has to be told of the pair of networks for the clip; they are fetched if need be."""
    told: dict[str, Any] = {}
    for key, name in (("detector", DETECTOR), ("estimator", ESTIMATOR)):
        card = store.card(name)
        told |= {key: str(fetch(store, card)), f"{key}_wh": card.input_wh}
    return told


def pair_pipeline(precision: str, **top_down: Any) -> Pipeline:
    """Return the same pair here."""
    return build({"model": f"{DETECTOR}+{ESTIMATOR}", "runtime": "openvino", "precision": precision,
                  "top_down": {"max_subjects": 30, **top_down}, "detector": {"score_threshold": 0.3}})  # fmt: skip


def _video(
    other: Other, args: argparse.Namespace, frames: list[Frame], fps: float, file: str
) -> list[dict[str, Any]]:
    """Detector and estimator; rtmlib detects in every image, which is its default."""
    told = pair(Store())
    ask = partial(other, "video", clip=file, count=args.images, **told)
    runs: dict[str, Run] = {f"rtmlib, {backend}": partial(ask, backend=backend) for backend in args.backends}
    for precision in args.precisions:
        for name, options in (("detector in every image", {"follow": False}), ("detector when needed", {})):
            pipeline = pair_pipeline(precision, **options)
            runs[f"{HERE}, openvino, {precision}, {name}"] = _shown(pipeline, frames, fps, args.images, 0)
    return rows(f"{DETECTOR}+{ESTIMATOR} on the clip", in_turns(runs, args.rounds))


def _solution(
    other: Other, args: argparse.Namespace, name: str, frames: list[Frame], file: str
) -> list[dict[str, Any]]:
    """One of MediaPipe's solutions, opened anew in every turn."""
    solution = SOLUTIONS[name]
    pipeline = solution.pipeline(device=args.device)
    # MediaPipe's Python takes every image as 1/30 s later than the one before, whatever the video says.
    ask = partial(other, "video", solution=name, clip=file, most=solution.most, complexity=solution.complexity,
                  count=args.images, warm_up=WARM_UP)  # fmt: skip
    shown = _shown(pipeline, frames, 30.0, args.images, WARM_UP)
    runs: dict[str, Run] = {"mediapipe": ask, HERE: shown}
    return rows(f"{name} on the clip", in_turns(runs, args.rounds))


def _shown(pipeline: Pipeline, frames: list[Frame], fps: float, count: int, warm_up: int) -> Run:
    """Return what shows a clip from its beginning to a pipeline that knows nobody."""

    def show() -> Sequence[float]:
        pipeline.reset()
        images = endless(frames, fps)
        for frame in itertools.islice(images, warm_up):
            pipeline(frame)
        return timed(lambda: pipeline(next(images)), count)

    return show


def timed(call: Callable[[], object], count: int) -> list[float]:
    """Return the milliseconds of ``count`` calls, one after another."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return times
