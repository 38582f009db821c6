# SPDX-License-Identifier: Apache-2.0
"""What ``pose-ros eval`` does not say of hands: how often the side is right, and the hands of whole people.

    python benchmarks/hands.py TESTDATA                                  # every model of hands whose file is here
    python benchmarks/hands.py TESTDATA --model rtmpose-m-hand --json result.json

Each model is measured twice. *Where the hand is* is known in the first row: networks that see upright boxes get the
annotated one, those that see turned regions get the one that they would take while they follow that hand. In the
second row the model's own detector finds the hands; of those the one counts that is nearest to the annotated one.

EPE, PCK@0.2 of the annotated box and AUC are those of docs/metrics.md, over all annotated keypoints. Of the keypoints
of a hand that is not found EPE says nothing, and to PCK and AUC they are wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros import datasets
from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import iou, keypoints_to_boxes
from pose_ros.datasets import Sample
from pose_ros.errors import PoseRosError
from pose_ros.estimators.base import CropEstimator
from pose_ros.evaluation.regions import true_regions
from pose_ros.metrics.distance import distances
from pose_ros.metrics.pck import curve, longer_side, pck
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline
from pose_ros.skeletons import catalogue
from pose_ros.sources import TopDown
from pose_ros.wiring import build

#: Data set -> where the test data has it.
SETS = {
    "freihand": "hand/freihand/test_freihand.json", "onehand10k": "hand/onehand10k/test_onehand10k.json",
    "panoptic-hand": "hand/panoptic_hand/test_panoptic.json", "rhd": "hand/rhd/test_rhd.json",
    "interhand2.6m": "hand/interhand2.6m/data.json", "coco-wholebody": "body2d/coco4/test_coco_wholebody.json",
}  # fmt: skip
HAND = catalogue.get("hand21")
_AUC_PX = np.arange(20) / 20 * 30
#: A hand that overlaps the annotated one by less than this is another one.
_SAME_HAND_IOU = 0.1


@dataclass(frozen=True)
class Hand:
    """An annotated hand."""

    #: Of the data set.
    source: str
    image: np.ndarray
    #: (21, 2) pixels, NaN where nothing is annotated.
    keypoints: np.ndarray
    #: xyxy; in whole people, where the sets have other boxes, around the keypoints.
    box: np.ndarray
    #: LEFT, RIGHT, or 0 where nothing is annotated.
    side: int

    def region(self, estimator: CropEstimator) -> np.ndarray:
        """Return the region (1, 5) in which a model would look for it if it knew where that is."""
        return true_regions(estimator, HAND, self.keypoints[None], self.box[None])


def hands(testdata: Path) -> Iterator[Hand]:
    """Yield all annotated hands of the test data."""
    for name, where in SETS.items():
        path = testdata / where
        for sample in datasets.open(name, path.parent, path.name):
            image = sample.read()
            for keypoints, box, side in _of(name, sample):
                if np.isfinite(keypoints).any():
                    yield Hand(name, image, keypoints, box, side)


def _of(name: str, sample: Sample) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield keypoints, box and side of the hands of a sample."""
    if name == "coco-wholebody":
        blocks = catalogue.get("wholebody133").blocks
        for word, side in (("left_hand", LEFT), ("right_hand", RIGHT)):
            points = sample.keypoints[:, blocks[word][1]]
            for keypoints, box in zip(points, keypoints_to_boxes(points), strict=True):
                yield keypoints, box, side
        return
    # FreiHAND has right hands only; Panoptic says it in the name of the file.
    stem = Path(sample.where).stem
    known = RIGHT if name == "freihand" else {"_l": LEFT, "_r": RIGHT}.get(stem[-2:], 0)
    sides = np.full(len(sample), known) if sample.sides is None else sample.sides
    yield from zip(sample.keypoints, sample.boxes, sides.tolist(), strict=True)


@dataclass
class Score:
    """What is known about some hands of one data set."""

    hands: int = 0
    found: int = 0
    #: (21,) distances of each hand, pixels: NaN where not annotated, infinite where not found; and sizes of the boxes.
    away: list[np.ndarray] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    #: Whether each side is right, where it is known and the model tells it.
    sides: list[bool] = field(default_factory=list)

    def add(self, hand: Hand, poses: Poses, tells_side: bool) -> None:
        """Compare one hand with the nearest of those that were found."""
        self.hands += 1
        self.sizes.append(float(longer_side(hand.box[None])[0]))
        poses = poses.select(iou(keypoints_to_boxes(poses.keypoints), hand.box[None])[:, 0] > _SAME_HAND_IOU)
        each = distances(poses.keypoints, np.broadcast_to(hand.keypoints, poses.keypoints.shape))
        self.away.append(np.where(np.isfinite(hand.keypoints).all(axis=1), np.inf, np.nan))
        if len(poses):
            row = int(np.nanmean(each, axis=1).argmin())
            self.found += 1
            self.away[-1] = each[row]
            if tells_side and hand.side:
                self.sides.append(int(poses.sides[row]) == hand.side)

    def figures(self) -> dict[str, float | int | None]:
        """Return what the table shows."""
        away = np.array(self.away)
        known = away[np.isfinite(away)]
        return {
            "hands": self.hands, "found": self.found, "EPE px": float(known.mean()) if len(known) else None,
            "PCK@0.2": float(pck(away, np.array(self.sizes), 0.2).pooled),
            "AUC": float(curve(away, 1.0, _AUC_PX).pooled.mean()),
            "sides": float(np.mean(self.sides)) if self.sides else None,
        }  # fmt: skip


def measure(pipeline: Pipeline, cases: list[Hand]) -> dict[tuple[str, str], Score]:
    """Return the scores of a model by what it was told (``region`` or ``image``) and data set; ``all`` is over all."""
    source = pipeline.source
    assert isinstance(source, TopDown)
    tells_side = source.estimator.card.plugin == "landmarks"
    scores: dict[tuple[str, str], Score] = {}
    for hand in cases:
        pipeline.reset()
        region = hand.region(source.estimator)
        answers = {"image": pipeline(Frame(hand.image, 1)).poses}
        if np.isfinite(region).all():
            answers["region"] = source.estimator.estimate(hand.image, region, np.array([hand.side], np.uint8))
        for told, poses in answers.items():
            for name in (hand.source, "all"):
                scores.setdefault((told, name), Score()).add(hand, poses, tells_side)
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path, help="folder of the test data")
    parser.add_argument("--model", action="append", help="'[detector+]estimator'; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args()
    store, cases = Store(), list(hands(args.testdata))
    results: list[dict[str, Any]] = []
    every = [name for name in store.names() if store.card(name).skeleton == "hand21"]
    ready = [name for name in every if store.state(store.card(name)) == "ready"]
    print(f"{'model':40} {'knows':7} {'data set':15} {'hands':>5} {'found':>5} {'EPE px':>7} {'PCK@0.2':>8} "
          f"{'AUC':>6} {'sides':>6}")
    for model in args.model or ready:
        try:
            pipeline = build({"model": model, "smooth": False, "top_down": {"max_subjects": 20}}, store)
        except PoseRosError as error:
            if args.model:
                raise
            print(f"{model:40} left out: {error}")
            continue
        for (told, name), score in sorted(measure(pipeline, cases).items()):
            row = score.figures()
            results.append({"model": model, "told": told, "set": name, **row})
            cells = [f"{row[k]:>{w}.{d}f}" if row[k] is not None else " " * w
                     for k, w, d in (("EPE px", 7, 2), ("PCK@0.2", 8, 3), ("AUC", 6, 3), ("sides", 6, 2))]
            print(f"{model:40} {told:7} {name:15} {row['hands']:>5} {row['found']:>5} {' '.join(cells)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
