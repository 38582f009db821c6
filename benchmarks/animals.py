# SPDX-License-Identifier: Apache-2.0
"""What can be measured of animals without weights that have to be asked for: ``python benchmarks/animals.py TESTDATA``.

Which animals yolox-nano finds in photographs and in the clip of a dog, and whether they keep their ids; the keypoints
are those of a stand-in, at the same places of every box. ``--flies MODEL --video VIDEO`` runs a network of the user's
own, such as SLEAP's test model, and compares the first frame with ``test/data/networks/sleap.npz``. ``--model MODEL``
with ``--annotations FILE`` evaluates any model on images with keypoints in COCO's format, with the sigmas of its
skeleton.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.media.draw import draw
from pose_ros.metrics.average_precision import of_keypoints
from pose_ros.metrics.columns import GroundTruth, Predictions
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue
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


def statistics(truth: dict[str, Any], results: list[dict[str, Any]], sigmas: Sequence[float]) -> dict[str, float]:
    """Return average precision and recall of keypoints, whatever the kinds of animals.

    Args:
        truth: Annotations in COCO's format.
        results: ``image_id``, ``keypoints`` (x, y, score in turn) and ``score`` of each animal.
        sigmas: Of the skeleton.
    """
    rows = truth["annotations"]
    own, other = (np.array([row["keypoints"] for row in part], float).reshape(len(part), -1, 3)
                  for part in (rows, results))  # fmt: skip
    boxes = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    areas, crowd = (np.array([row[key] for row in rows]) for key in ("area", "iscrowd"))
    labels = GroundTruth(np.array([row["image_id"] for row in rows]), boxes, areas, own[..., :2], own[..., 2], crowd)
    found = Predictions(np.array([row["image_id"] for row in results]), np.array([row["score"] for row in results]),
                        keypoints=other[..., :2])  # fmt: skip
    return of_keypoints(labels, found, sigmas).summary()


def results_of(poses: Poses, image_id: int) -> list[dict[str, Any]]:
    """Return poses as :func:`statistics` takes them; what is missing lies at 0, 0, which is how COCO writes it."""
    points = np.concatenate([np.nan_to_num(poses.keypoints), poses.scores[..., None]], axis=2)
    scores = poses.subject_scores * poses.scores.mean(axis=1)
    return [
        {"image_id": image_id, "keypoints": row.ravel().tolist(), "score": float(score)}
        for row, score in zip(points, scores, strict=True)
    ]


def read(path: Path) -> np.ndarray:
    """Return an image as RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def evaluate(model: str, annotations: Path) -> dict[str, float]:
    """Return the statistics of a model on the images of an annotation file, which lie beside it."""
    truth = json.loads(annotations.read_text())
    pipeline = build({"model": model, "track": False, "top_down": {"max_subjects": 30}})
    found: list[dict[str, Any]] = []
    for image in truth["images"]:
        pipeline.reset()
        poses = pipeline(Frame(read(annotations.parent / image["file_name"]), 0)).poses
        found += results_of(poses, image["id"])
    return statistics(truth, found, catalogue.get(pipeline.skeleton.name).sigmas)


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
    parser.add_argument("--model", help="evaluate this one ...")
    parser.add_argument("--annotations", type=Path, help="... on these keypoints")
    parser.add_argument("--pictures", metavar="FOLDER", type=Path, help="write annotated images here")
    args = parser.parse_args()
    if args.model:
        print(json.dumps(evaluate(args.model, args.annotations), indent=1))
        return
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
