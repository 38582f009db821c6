# SPDX-License-Identifier: Apache-2.0
"""How accurate models of hands are on annotated hands: EPE, PCK and AUC, and how often the side is right.

    python benchmarks/hands.py TESTDATA                                  # every model of hands whose file is here
    python benchmarks/hands.py TESTDATA --model rtmpose-m-hand --json result.json

Each model is measured twice. *Where the hand is* is known in the first row: networks that see upright boxes get the
annotated one, those that see turned regions get the one that they would take while they follow that hand. In the
second row the model's own detector finds the hands; of those the one counts that is nearest to the annotated one.

Metrics are mmpose's: EPE, the mean distance in pixels of the image; PCK, the part of the keypoints whose distance is
below 0.2 of the longer side of the annotated box; AUC, the mean of the parts below 0, 1.5, 3 ... 28.5 pixels. Of the
keypoints of a hand that is not found EPE says nothing, and to PCK and AUC they are wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.regions import boxes_to_regions, iou, keypoints_to_boxes
from pose_ros.decode.rois import enclosing_regions
from pose_ros.errors import PoseRosError
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline
from pose_ros.sources import TopDown
from pose_ros.wiring import build

#: RHD's 21 points in the order of hand21: each finger is counted from its tip.
_RHD = [0, *(i for tip in range(1, 21, 4) for i in range(tip + 3, tip - 1, -1))]
#: InterHand2.6M's 21 points of one hand: like RHD's, and the wrist comes last. Right hands come first.
_INTERHAND = [20, *(i - 1 for i in _RHD[1:])]
_SIDES = {"left": LEFT, "right": RIGHT}
_PCK = 0.2
_AUC_PX = np.arange(20) / 20 * 30
#: A hand that overlaps the annotated one by less than this is another one.
_SAME_HAND_IOU = 0.1


@dataclass(frozen=True)
class Hand:
    """An annotated hand."""

    #: Of the data set.
    source: str
    path: Path
    #: (21, 2) pixels, NaN where nothing is annotated.
    keypoints: np.ndarray
    #: xyxy.
    box: np.ndarray
    #: LEFT, RIGHT, or 0 where nothing is annotated.
    side: int


def hands(testdata: Path) -> Iterator[Hand]:
    """Yield all annotated hands of the test data."""
    for name in ("freihand/test_freihand", "onehand10k/test_onehand10k", "panoptic_hand/test_panoptic", "rhd/test_rhd"):
        source = name.partition("/")[0]
        for path, annotation in annotations(testdata / "hand" / f"{name}.json"):
            points = keypoints(annotation["keypoints"])
            # FreiHAND has right hands only; Panoptic says it in the name of the file.
            side = RIGHT if source == "freihand" else {"_l": LEFT, "_r": RIGHT}.get(path.stem[-2:], 0)
            if source == "rhd":
                points, side = points[_RHD], _SIDES[annotation["hand_type"]]
            yield Hand(source, path, points, _xyxy(annotation["bbox"]), side)
    yield from _interhand(testdata / "hand/interhand2.6m")
    for path, annotation in annotations(testdata / "body2d/coco4/test_coco_wholebody.json"):
        for word, side in _SIDES.items():
            if annotation[f"{word}hand_valid"]:
                points = keypoints(annotation[f"{word}hand_kpts"])
                yield Hand("coco_wholebody", path, points, _xyxy(annotation[f"{word}hand_box"]), side)


def _interhand(folder: Path) -> Iterator[Hand]:
    data, joints, cameras = (json.loads((folder / f"{n}.json").read_text()) for n in ("data", "joint_3d", "camera"))
    images = {image["id"]: image for image in data["images"]}
    for annotation in data["annotations"]:
        image = images[annotation["image_id"]]
        of_capture, camera = cameras[str(image["capture"])], image["camera"]
        position, rotation, focal, centre = (
            np.array(of_capture[key][camera]) for key in ("campos", "camrot", "focal", "princpt")
        )
        world = np.array(joints[str(image["capture"])][str(image["frame_idx"])]["world_coord"])
        seen = (world - position) @ rotation.T
        points = seen[:, :2] / seen[:, 2:] * focal + centre
        points[np.ravel(annotation["joint_valid"]) == 0] = np.nan
        for side, first in ((RIGHT, 0), (LEFT, 21)):
            hand = points[first : first + 21][_INTERHAND]
            if np.isfinite(hand).any():
                box = keypoints_to_boxes(hand[None])[0]
                yield Hand("interhand2.6m", folder / image["file_name"], hand, box, side)


def annotations(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the image and each annotation of a file in COCO's form."""
    data = json.loads(path.read_text())
    images = {image["id"]: image["file_name"] for image in data["images"]}
    for annotation in data["annotations"]:
        yield path.parent / images[annotation["image_id"]], annotation


def keypoints(annotated: Any) -> np.ndarray:
    """Return (K, 2) of COCO's list, NaN where nothing is annotated."""
    rows = np.array(annotated, float).reshape(-1, 3)
    return np.where(rows[:, 2:] > 0, rows[:, :2], np.nan)


def read(path: Path) -> np.ndarray:
    """Return an image, RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _xyxy(xywh: Any) -> np.ndarray:
    x, y, w, h = xywh
    return np.array([x, y, x + w, y + h], np.float32)


def true_region(hand: Hand, card: ModelCard) -> np.ndarray:
    """Return the region (1, 5) in which a model would look for a hand if it knew where that is."""
    roi = card.params.get("roi")
    if roi is None:
        return boxes_to_regions(hand.box[None])
    seen = np.isfinite(hand.keypoints).all(axis=1)
    known = {key: [i for i in roi[key] if seen[i]] for key in ("points", "end")}
    if not (seen[roi["start"]] and known["end"] and len(known["points"]) > len(roi["points"]) / 2):
        return np.full((1, 5), np.nan, np.float32)
    return enclosing_regions(hand.keypoints[None], **{**roi, **known})


@dataclass
class Score:
    """What is known about some hands of one data set."""

    hands: int = 0
    found: int = 0
    #: Distances of all annotated keypoints, pixels, and the same as a part of the box; infinite where not found.
    px: list[float] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    #: Whether each side is right, where it is known and the model tells it.
    sides: list[bool] = field(default_factory=list)

    def add(self, hand: Hand, poses: Poses, tells_side: bool) -> None:
        """Compare one hand with the nearest of those that were found."""
        self.hands += 1
        seen = np.isfinite(hand.keypoints).all(axis=1)
        near = iou(keypoints_to_boxes(poses.keypoints), hand.box[None])[:, 0] > _SAME_HAND_IOU
        poses = poses.select(near)
        distance = np.full(seen.sum(), np.inf)
        if len(poses):
            self.found += 1
            each = np.linalg.norm(poses.keypoints[:, seen] - hand.keypoints[seen], axis=2)
            row = int(each.mean(axis=1).argmin())
            distance = each[row]
            if tells_side and hand.side:
                self.sides.append(int(poses.sides[row]) == hand.side)
        self.px += distance.tolist()
        self.parts += (distance / (hand.box[2:] - hand.box[:2]).max()).tolist()

    def figures(self) -> dict[str, float | int | None]:
        """Return what the table shows."""
        px, parts = np.array(self.px), np.array(self.parts)
        known = px[np.isfinite(px)]
        return {
            "hands": self.hands, "found": self.found, "EPE px": float(known.mean()) if len(known) else None,
            "PCK@0.2": float((parts < _PCK).mean()), "AUC": float((px[:, None] < _AUC_PX).mean()),
            "sides": float(np.mean(self.sides)) if self.sides else None,
        }  # fmt: skip


def measure(pipeline: Pipeline, cases: list[Hand]) -> dict[tuple[str, str], Score]:
    """Return the scores of a model by what it was told (``region`` or ``image``) and data set; ``all`` is over all."""
    source = pipeline.source
    assert isinstance(source, TopDown)
    card = source.estimator.card
    tells_side = card.plugin == "landmarks"
    scores: dict[tuple[str, str], Score] = {}
    for hand in cases:
        image = read(hand.path)
        pipeline.reset()
        region = true_region(hand, card)
        answers = {"image": pipeline(Frame(image, 1)).poses}
        if np.isfinite(region).all():
            answers["region"] = source.estimator.estimate(image, region, np.array([hand.side], np.uint8))
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
    store, cases, results = Store(), list(hands(args.testdata)), []
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
            results.append({"model": model, "told": told, "set": name, **asdict(score), **row})
            cells = [f"{row[k]:>{w}.{d}f}" if row[k] is not None else " " * w
                     for k, w, d in (("EPE px", 7, 2), ("PCK@0.2", 8, 3), ("AUC", 6, 3), ("sides", 6, 2))]
            print(f"{model:40} {told:7} {name:15} {row['hands']:>5} {row['found']:>5} {' '.join(cells)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
