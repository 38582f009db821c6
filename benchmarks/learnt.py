# SPDX-License-Identifier: Apache-2.0
"""Measure recognisers that have learnt.

Without arguments: CPU time of one look of each kind of network, by runtime, with random weights (as fast as others):
the best of several rounds, one thread.
--recordings FOLDER: how many of PINTO0309's recordings the two small networks of gestures know: FOLDER holds
``keypoint_classifier/keypoint.csv`` and ``point_history_classifier/point_history.csv``.
--pictures FOLDER: which gestures are seen in pictures, by MediaPipe's hands; folders are named after what they show.
--video FILE: the likeliest class of each of --recognisers in each second of a video, bodies by --model.

    python benchmarks/learnt.py
    python benchmarks/learnt.py --recordings action --pictures gesture_images
    python benchmarks/learnt.py --video clip.mp4 --recognisers stgcnpp-ntu60-2d-joint
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pose_ros import registry, wiring
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.networks.export import export
from pose_ros.plugin import Model
from pose_ros.recognisers.base import Clip, Recogniser, Seen
from pose_ros.recognisers.window import Window
from pose_ros.runtime import open_session

HANDS = "mediapipe-palm-detection-full+mediapipe-hand-landmark-full"
RECORDED = {
    "gesture-sign": "keypoint_classifier/keypoint.csv", "gesture-path": "point_history_classifier/point_history.csv",
}  # fmt: skip
NETWORKS = ("stgcn-ntu60-2d-joint", "stgcnpp-ntu60-2d-joint", "stgcnpp-hagrid", "posec3d-ntu60")
_ROUNDS = 7


def still(poses: Poses, steps: int, step_s: float, size_wh: tuple[int, int]) -> Clip:
    """Return a clip in which nobody moves."""
    window = Window(poses.skeleton, max(steps * step_s, 0.1))
    ids = np.arange(len(poses)) + 1
    for i in range(max(steps, 1)):
        window.put(poses.replace(ids=ids), round(i * step_s * 1e9), size_wh)
    return window.clip(steps, step_s)


def likeliest(found: Sequence[Seen]) -> Mapping[int, Seen]:
    """Return the best of each row."""
    return {seen.row: seen for seen in sorted(found, key=lambda seen: seen.score)}


def speed() -> None:
    """Print how long one look takes."""
    rng = np.random.default_rng(0)
    print(f"{'CPU ms, one person':<26}{'onnxruntime':>12}{'openvino':>10}{'torch':>8}{'inputs':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            card = cards.get(name)
            network = catalogue.build(card.network, card.input_wh)
            path, shape = Path(folder) / f"{name}.onnx", network.input_shape(card.input_wh)
            export(network, card.input_wh, path)
            import torch

            torch.save(network.state_dict(), path.with_suffix(".pth"))
            batch = rng.standard_normal((1, *shape), np.float32)
            row = []
            for runtime in ("onnxruntime", "openvino", "torch"):
                file = path.with_suffix(".pth") if runtime == "torch" else path
                how = {"network": card.network, "input_wh": card.input_wh} if runtime == "torch" else {}
                session = open_session(file, runtime=runtime, device="cpu", threads=1, **how)
                row.append(best(lambda s=session, b=batch: s.run(b)))
            plugin = registry.load("recognisers", card.plugin)(Model(card, session))
            made = clip_of(plugin, rng)
            stretch = slice(0, plugin.steps)
            row.append(best(lambda p=plugin, c=made, s=stretch: p._inputs(c, [0], s)))
            print(f"{name:<26}{row[0]:>12.1f}{row[1]:>10.1f}{row[2]:>8.1f}{row[3]:>8.2f}")


def clip_of(made: Recogniser, rng: np.random.Generator) -> Clip:
    """Return a clip of one person who wanders."""
    shape = (1, made.steps, len(made.takes))
    keypoints = rng.uniform(200, 800, (1, 1, shape[2], 2)) + rng.normal(0, 3, (*shape, 2)).cumsum(axis=1)
    nothing, one = np.full((*shape, 3), np.nan), np.zeros(1, np.int64)
    return Clip(made.takes, one + 1, np.arange(made.steps) * 33_333_333, keypoints, np.ones(shape), nothing, nothing,
                np.zeros((1, made.steps, 0)), one, one, (1280, 960))


def best(run: object) -> float:
    """Return milliseconds of CPU time of all threads, of the best round."""
    found = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        run()  # type: ignore[operator]
        found.append((time.process_time() - began) * 1e3)
    return min(found)


def table(counts: Counter[tuple[str, str]], rows: Sequence[str], columns: Sequence[str]) -> None:
    """Print how often what (row) was taken for what (column)."""
    columns = [c for c in columns if any(counts[r, c] for r in rows)]
    wide = max(map(len, rows)) + 2
    print(" " * wide + " ".join(f"{c:>{max(len(c), 5)}}" for c in columns))
    for r in rows:
        print(f"{r:<{wide}}" + " ".join(f"{counts[r, c]:>{max(len(c), 5)}}" for c in columns))


def recordings(folder: Path) -> None:
    """Print how the small networks know what they learnt from."""
    for name, file in RECORDED.items():
        made = wiring.recogniser({"model": name, "recogniser": {"mirror": False}})
        rows = np.loadtxt(folder / file, delimiter=",")
        labels, places = rows[:, 0].astype(int), rows[:, 1:].reshape(len(rows), -1, 2)
        keypoints = np.full((len(rows), made.steps, 21, 2), np.nan)
        if made.steps == 1:
            keypoints[:, 0] = 500 + 100 * places
        else:
            keypoints[:, :, made.takes.index["forefinger4"]] = 500 + 1000 * places
        nothing, none = np.full((*keypoints.shape[:3], 3), np.nan), np.zeros(len(rows), np.int64)
        clip = Clip(made.takes, none + 1, np.arange(made.steps), keypoints, np.ones(keypoints.shape[:3]), nothing,
                    nothing, np.zeros((len(rows), made.steps, 0)), none, none, (1000, 1000))
        found = likeliest(made.see(clip))
        right = np.mean([found[i].name == made.actions[label] for i, label in enumerate(labels)])
        print(f"\n{name}: {len(rows)} recordings, {right:.3f} known")
        counts = Counter((made.actions[label], found[i].name) for i, label in enumerate(labels))
        table(counts, made.actions, made.actions)


def pictures(folder: Path) -> None:
    """Print which gestures are seen in pictures."""
    made = {name: wiring.recogniser(name) for name in ("stgcnpp-hagrid", "gesture-sign")}
    counts: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in made}
    shown = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for label in shown:
        for path in sorted((folder / label).iterdir()):
            image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
            size = image.shape[1], image.shape[0]
            poses = wiring.build(HANDS)(Frame(image, 1, "camera")).poses
            for name, recogniser in made.items():
                clip = still(poses, recogniser.steps, recogniser.step_s, size)
                found = likeliest(recogniser.see(clip))
                counts[name].update((label, found[i].name) for i in found)
                counts[name][label, "(no hand)"] += not found
    for name, recogniser in made.items():
        print(f"\n{name}, each hand of {sum(len(list((folder / s).iterdir())) for s in shown)} pictures")
        table(counts[name], shown, [*recogniser.actions, "(no hand)"])


def video(path: Path, model: str, names: Sequence[str]) -> None:
    """Print what is likeliest in each second."""
    made = {name: wiring.recogniser(name) for name in names}
    pipeline, windows = wiring.build({"model": model}), {}
    capture = cv2.VideoCapture(str(path))
    rate, index = capture.get(cv2.CAP_PROP_FPS) or 30.0, 0
    while (read := capture.read())[0]:
        image, stamp = np.ascontiguousarray(read[1][..., ::-1]), round(index / rate * 1e9)
        poses = pipeline(Frame(image, stamp, "camera")).poses
        for name, recogniser in made.items():
            window = windows.setdefault(name, Window(recogniser.takes, recogniser.window_s + 1.0))
            window.put(poses, stamp, (image.shape[1], image.shape[0]))
            if index % round(rate) == round(rate) - 1:
                clip = window.clip(recogniser.steps, recogniser.step_s)
                said = [f"person {clip.ids[row]} {seen.name} {seen.score:.2f}"
                        for row, seen in likeliest(recogniser.see(clip)).items()]
                print(f"{index / rate:6.2f} s  {name}: {', '.join(said) or '-'}")
        index += 1


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, metavar="FOLDER")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--video", type=Path, metavar="FILE")
    parser.add_argument("--model", default="blazepose-full", help="for the video")
    parser.add_argument("--recognisers", default="stgcnpp-ntu60-2d-joint", help="for the video, with commas between")
    given = parser.parse_args()
    if given.recordings:
        recordings(given.recordings)
    if given.pictures:
        pictures(given.pictures)
    if given.video:
        video(given.video, given.model, given.recognisers.split(","))
    if not (given.recordings or given.pictures or given.video):
        speed()


if __name__ == "__main__":
    main()
