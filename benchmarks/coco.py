# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model on images with COCO keypoint annotations.

    python benchmarks/coco.py FOLDER --model yolox-nano+simplepose-ultralight
    python benchmarks/coco.py FOLDER --model simplepose-ultralight --boxes truth --json result.json

FOLDER holds images and the annotation file ``person_keypoints.json``, by whose boxes a detector is judged too. The
protocol is that of mmpose's ``CocoMetric`` with ``score_mode="bbox_keypoint"``: the score of a
person is the box's score times the mean score of its keypoints above 0.2.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros import datasets
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections, boxes_to_regions
from pose_ros.core.stages import Stages
from pose_ros.detectors.base import Detector
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import of_boxes, of_keypoints
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue
from pose_ros.sources import TopDown
from pose_ros.wiring import build, known_options, parse_model

#: A detector is measured with nearly all it has to say: average precision weighs its doubts itself.
_DETECTOR = {"score_threshold": 0.01, "nms_iou": 0.65, "max_detections": 100}
#: Nobody is followed from one image to the next.
_ESTIMATOR = {"follow": False}


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
    truth = datasets.open("coco", folder, "person_keypoints.json")
    target = catalogue.get("coco17")
    detector, card = parse_model(model, store)
    estimator = {**known_options(card, _ESTIMATOR), **(estimator or {})}
    config: dict[str, Any] = {"model": model, "runtime": runtime, "track": False, "estimator": estimator}
    if detector is not None:
        config["detector"] = known_options(detector, _DETECTOR)
        config["top_down"] = {"max_subjects": 100, "follow": False}
    source = build(config, store).source
    if isinstance(source, TopDown):
        source.detector = _Recorder(source.detector)  # type: ignore[assignment]
    poses: dict[int, Poses] = {}
    found: dict[int, Detections] = {}
    for sample in truth:
        source.reset()
        image = sample.read()
        if boxes == "truth":
            people = (sample.visibility > 0).any(axis=1) & ~sample.ignore
            regions = boxes_to_regions(sample.boxes[people].astype(np.float32))
            poses[sample.id] = source.estimator.estimate(image, regions)  # type: ignore[attr-defined]
        else:
            poses[sample.id] = source(Frame(image), Stages())
            if isinstance(source, TopDown):
                found[sample.id] = source.detector.last  # type: ignore[attr-defined]
    labels = gather.labels(target, ((sample.id, sample) for sample in truth))
    result = {"keypoints": of_keypoints(labels, gather.poses(target, poses.items()), target.sigmas).summary()}
    if found:
        result["boxes"] = of_boxes(labels, gather.boxes(found.items())).summary()
    return {kind: {name: round(value, 4) for name, value in stats.items()} for kind, stats in result.items()}


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
