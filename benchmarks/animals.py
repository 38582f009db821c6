# SPDX-License-Identifier: Apache-2.0
"""What can be measured of animals without weights that have to be asked for: ``python benchmarks/animals.py TESTDATA``.

Which animals yolox-nano finds in photographs and in the clip of a dog, and whether they keep their ids; the keypoints
are those of a stand-in, at the same places of every box. ``--flies MODEL --video VIDEO`` runs a network of the user's
own, such as SLEAP's test model, and compares the first frame with ``test/data/networks/sleap.npz``. ``pose-ros eval``
measures any model on labelled animals.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.datasets.pictures import read
from pose_ros.media.draw import draw
from pose_ros.models.store import Store
from pose_ros.wiring import build

SLEAP = Path(__file__).parents[1] / "test/data/networks/sleap.npz"
#: As AP-10K's networks, without one.
STAND_IN = """\
kind: estimator
plugin: centered-instance
summary: Points at fixed places.
file: {path: stand-in.onnx}
licence: {weights: Apache-2.0}
input_wh: [64, 64]
skeleton: ap10k17
detector: yolox-nano
subjects: [cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe]
outputs: [points, scores]
"""
PHOTOGRAPHS = (
    "animal/ak/AAOYRUDX/AAOYRUDX_f000027.jpg", "animal/animalpose/ca110.jpeg", "animal/ap10k/000000000004.jpg",
    "animal/atrw/000061.jpg", "animal/horse10/0244.png", "animal/horse10/0292.png", "animal/macaque/PRI_1473.jpg",
    "animal/zebra/810.jpg", "animal/fly/1400.jpg", "animal/locust/630.jpg",
)  # fmt: skip


def make_stand_in(folder: Path) -> None:
    """Write the card and a network that says the same of everything."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    x = np.array([8, 10, 5, 16, 54, 18, 18, 18, 22, 22, 22, 48, 48, 48, 52, 52, 52], np.float32)
    y = np.array([12, 12, 16, 20, 22, 32, 44, 58, 32, 44, 58, 32, 44, 58, 32, 44, 58], np.float32)
    constants = {"place": np.stack([x, y], axis=1)[None], "sure": np.full((1, 17), 0.9, np.float32),
                 "zero": np.zeros((), np.float32)}
    nodes = []
    for name, value, axes in (("points", "place", [1, 2, 3]), ("scores", "sure", [1, 2, 3])):
        nodes += [helper.make_node("ReduceMean", ["image"], [f"{name}_m"], axes=axes, keepdims=0),
                  helper.make_node("Mul", [f"{name}_m", "zero"], [f"{name}_z"]),
                  helper.make_node("Reshape", [f"{name}_z", f"{name}_s"], [f"{name}_r"]),
                  helper.make_node("Add", [f"{name}_r", value], [name])]
        constants[f"{name}_s"] = np.array([-1] + [1] * (constants[value].ndim - 1), np.int64)
    graph = helper.make_graph(
        nodes, "stand_in", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 64, 64])],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", 17, 2]),
         helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 17])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              folder / "stand-in.onnx")
    (folder / "stand-in.yaml").write_text(STAND_IN)


def photographs(testdata: Path, pictures: Path | None) -> None:
    """Print which animals are found in each photograph."""
    pipeline = build({"model": "stand-in", "track": False, "top_down": {"max_subjects": 10}})
    print(f"{'photograph':<44}animals")
    for name in PHOTOGRAPHS:
        image = read(testdata / name)
        poses = pipeline(Frame(image, 0)).poses
        said = ", ".join(f"{label} {score:.2f}" for label, score in zip(poses.labels, poses.subject_scores.tolist(),
                                                                        strict=True))
        print(f"{name:<44}{said or '-'}")
        if pictures:
            shown = draw(image, poses)
            cv2.imwrite(str(pictures / f"{Path(name).stem}.png"), cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))


def clip(path: Path, model: str, pictures: Path | None) -> list[Poses]:
    """Print what is found in a video, and return the poses of each frame."""
    pipeline = build({"model": model, "top_down": {"max_subjects": 10}})
    video = cv2.VideoCapture(str(path))
    found: list[Poses] = []
    labels: Counter[str] = Counter()
    while True:
        there, image = video.read()
        if not there:
            break
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        found.append(pipeline(Frame(rgb, round(len(found) / 30 * 1e9))).poses)
        labels.update(found[-1].labels.tolist())
        if pictures and len(found) % 100 == 1:
            shown = cv2.cvtColor(draw(rgb, found[-1]), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(pictures / f"{path.stem}_{len(found)}.png"), shown)
    ids = Counter(i for poses in found for i in poses.ids.tolist())
    none = sum(len(poses) == 0 for poses in found)
    print(f"{path.name}: {len(found)} frames, {none} of them empty; {len(ids)} ids, the longest for "
          f"{max(ids.values(), default=0)} frames; labels {dict(labels)}")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--flies", metavar="MODEL", help="a model of two points of flies")
    parser.add_argument("--video", type=Path, help="the frames of the flies")
    parser.add_argument("--pictures", metavar="FOLDER", type=Path, help="write annotated images here")
    args = parser.parse_args()
    if args.flies:
        with np.load(SLEAP) as file:
            truth = file["truth"]
        first = clip(args.video, args.flies, args.pictures)[0]
        errors = np.linalg.norm(first.keypoints[:, None] - truth, axis=3).mean(axis=2).min(axis=0)
        print(f"first frame: {len(first)} flies, of {len(truth)} the distance in px: {np.round(errors, 2).tolist()}")
        return
    store = Store()
    if store.state(store.card("yolox-nano")) != "ready":
        store.fetch(store.card("yolox-nano"), source=args.testdata / "models/detector/yolox_nano.onnx")
    with tempfile.TemporaryDirectory() as folder:
        make_stand_in(Path(folder))
        os.environ["POSE_ROS_MODEL_PATH"] = os.pathsep.join([folder, os.environ.get("POSE_ROS_MODEL_PATH", "")])
        photographs(args.testdata, args.pictures)
        clip(args.testdata / "video/dlclive_dog_clip.avi", "stand-in", args.pictures)


if __name__ == "__main__":
    main()
