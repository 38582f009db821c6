# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model on images with COCO keypoint annotations, by pycocotools.

    python benchmarks/coco.py FOLDER --model yolox-nano+simplepose-ultralight
    python benchmarks/coco.py FOLDER --model simplepose-ultralight --boxes truth --json result.json

FOLDER holds images and the annotation files ``person_keypoints.json`` and, for the accuracy of the boxes,
``instances.json``. The protocol is that of mmpose's ``CocoMetric`` with ``score_mode="bbox_keypoint"``: the score of a
person is the box's score times the mean score of its keypoints above 0.2.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, boxes_to_regions
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.registry import load
from pose_ros.skeletons import catalogue
from pose_ros.sources import TopDown
from pose_ros.wiring import build, parse_model

_PERSON = 1
_KEYPOINT_STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
_BOX_STATS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
#: A detector is measured with nearly all it has to say: average precision weighs its doubts itself.
_DETECTOR = {"score_threshold": 0.01, "nms_iou": 0.65, "max_detections": 100}
#: Nobody is followed from one image to the next.
_ESTIMATOR = {"follow": False}
#: Keypoints below this do not count for the score of a person.
_MIN_KEYPOINT_SCORE = 0.2


def evaluate(
    folder: Path,
    model: str,
    boxes: str = "detector",
    store: Store | None = None,
    estimator: dict[str, Any] | None = None,
    runtime: str = "auto",
) -> dict[str, dict[str, float]]:
    """Return ``{"keypoints": {"AP": ...}, "boxes": {...}}``; boxes only where a detector found them.

    Args:
        folder: Images and annotations.
        model: ``[detector+]estimator``.
        boxes: ``detector``, or ``truth`` for those of the annotations.
        store: Where models are.
        estimator: Options of the estimator.
        runtime: Library that runs the networks.
    """
    store = store or Store()
    truth = _read(folder / "person_keypoints.json")
    target = catalogue.get("coco17")
    detector, card = parse_model(model, store)
    estimator = {**_known(card, _ESTIMATOR), **(estimator or {})}
    config: dict[str, Any] = {"model": model, "runtime": runtime, "track": False, "estimator": estimator}
    if detector is not None:
        config["detector"] = _known(detector, _DETECTOR)
        config["top_down"] = {"max_subjects": 100, "follow": False}
    source = build(config, store).source
    if isinstance(source, TopDown):
        source.detector = _Recorder(source.detector)  # type: ignore[assignment]
    poses: dict[int, Poses] = {}
    found: dict[int, Detections] = {}
    for number, image in _images(folder, truth):
        source.reset()
        if boxes == "truth":
            people = [a["bbox"] for a in truth.imgToAnns[number] if a["num_keypoints"] and not a["iscrowd"]]
            xywh = np.array(people, np.float32).reshape(-1, 4)
            regions = boxes_to_regions(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1))
            poses[number] = source.estimator.estimate(image, regions).to(target)  # type: ignore[attr-defined]
        else:
            poses[number] = source(Frame(image), Stages()).to(target)
            if isinstance(source, TopDown):
                found[number] = source.detector.last  # type: ignore[attr-defined]
    result = {"keypoints": _score(truth, _keypoint_results(poses), "keypoints", _KEYPOINT_STATS)}
    if found and (folder / "instances.json").is_file():
        result["boxes"] = _score(_read(folder / "instances.json"), _box_results(found), "bbox", _BOX_STATS)
    return result


def _known(card: ModelCard, options: dict[str, Any]) -> dict[str, Any]:
    """Return those of the options that the plugin of a card has."""
    known = load(f"{card.kind}s", card.plugin).Options.__dataclass_fields__  # type: ignore[attr-defined]
    return {key: value for key, value in options.items() if key in known}


class _Recorder:
    """Passes on what a detector says, and remembers it."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.last = Detections.empty()

    def detect(self, image: np.ndarray) -> Detections:
        self.last = self.detector.detect(image)
        return self.last


def stock(store: Store, folder: Path, model: str) -> None:
    """Take the files of a model from a folder, where they are found by their SHA-256."""
    for card in parse_model(model, store):
        if card is None or store.state(card) == "ready":
            continue
        for path in folder.rglob(f"*{card.file.suffix}"):
            if hashlib.sha256(path.read_bytes()).hexdigest() == card.file.sha256:
                store.fetch(card, source=path)


def _images(folder: Path, truth: COCO) -> Iterator[tuple[int, np.ndarray]]:
    for number, entry in sorted(truth.imgs.items()):
        yield number, cv2.cvtColor(cv2.imread(str(folder / entry["file_name"])), cv2.COLOR_BGR2RGB)


def _keypoint_results(poses: dict[int, Poses]) -> list[dict[str, Any]]:
    results = []
    for number, people in poses.items():
        for keypoints, scores, subject in zip(people.keypoints, people.scores, people.subject_scores, strict=True):
            good = scores > _MIN_KEYPOINT_SCORE
            columns = np.concatenate([np.nan_to_num(keypoints), scores[:, None]], axis=1)
            results.append({
                "image_id": number, "category_id": _PERSON, "keypoints": columns.astype(float).ravel().tolist(),
                "score": float(subject * scores[good].mean()) if good.any() else 0.0,
            })
    return results


def _box_results(found: dict[int, Detections]) -> list[dict[str, Any]]:
    results = []
    for number, people in found.items():
        # COCO measures boxes from the edge of the image, half a pixel before the centre of the first pixel.
        for (x0, y0, x1, y1), score in zip((people.boxes + 0.5).astype(float), people.scores, strict=True):
            results.append({
                "image_id": number, "category_id": _PERSON, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(score),
            })
    return results


def _read(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def _score(truth: COCO, results: list[dict[str, Any]], kind: str, names: Sequence[str]) -> dict[str, float]:
    if not results:
        return dict.fromkeys(names, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.catIds = [_PERSON]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: round(float(value), 4) for name, value in zip(names, evaluation.stats, strict=True)}


def main() -> None:
    """Print the statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="yolox-nano+simplepose-ultralight", help="[detector+]estimator")
    parser.add_argument("--boxes", choices=("detector", "truth"), default="detector")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored image")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="take model files from here, not the network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here")
    args = parser.parse_args()
    store = Store()
    if args.models:
        stock(store, args.models, args.model)
    options = {"flip_test": True} if args.flip_test else {}
    result = evaluate(args.folder, args.model, args.boxes, store, options)
    for kind, stats in result.items():
        print(f"{args.model}, {kind}, boxes of {args.boxes}:")
        print("  " + "  ".join(f"{name} {value:.3f}" for name, value in stats.items()))
    if args.json:
        args.json.write_text(json.dumps({"model": args.model, "boxes_of": args.boxes, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
