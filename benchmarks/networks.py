# SPDX-License-Identifier: Apache-2.0
"""Every network of the test data, run by its card: its accuracy on annotated images, beside what was to be expected.

    python benchmarks/networks.py TESTDATA
    python benchmarks/networks.py TESTDATA --only hands --json result.json

Expected figures are those of ``expected.json`` in the test data, measured by another program. Metrics are those of COCO
(AP), PCK@0.2 of the box's longer side, EPE in pixels, NME by the distance of the outer corners of the
eyes, OKS with 0.53 of the box as area, and recall: the part of annotated subjects that were found.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import hands as annotated_hands

from pose_ros import datasets
from pose_ros.core.frame import Frame
from pose_ros.core.regions import iou, keypoints_to_boxes
from pose_ros.datasets.pictures import read
from pose_ros.evaluation import Job, estimate, score
from pose_ros.media.sources import open_source
from pose_ros.metrics.pck import longer_side
from pose_ros.models.store import Store
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.registry import load
from pose_ros.runtime import open_session
from pose_ros.skeletons import catalogue
from pose_ros.sources import TopDown
from pose_ros.wiring import build

#: Cards of networks that were converted for the test data, and are nowhere to be had.
CONVERTED = Path(__file__).parents[1] / "test/data/cards/converted.yaml"
#: Sets of hands that are measured; ``hands.py`` has more of them.
_HANDS = ("freihand", "onehand10k", "panoptic-hand", "rhd")
#: Data set of faces -> where the test data has it.
_FACES = {
    "300w": "300w/test_300w.json", "300w-lp": "300wlp/test_300wlp.json", "300vw": "300vw/anno_300vw.json",
    "aflw": "aflw/test_aflw.json", "cofw": "cofw/test_cofw.json", "lapa": "lapa/test_lapa.json",
    "wflw": "wflw/test_wflw.json",
}  # fmt: skip
#: A detection that overlaps a face by this is that face; annotators and networks disagree about foreheads.
_SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Row:
    """One figure."""

    #: ``[detector+]estimator`` or a detector.
    model: str
    metric: str
    ours: float
    #: None where nobody has published or measured one.
    expected: float | None = None

    @property
    def key(self) -> str:
        """What is measured."""
        return f"{self.model}: {self.metric}"


def prepare(testdata: Path, folder: Path) -> Store:
    """Return a store in ``folder`` with all networks of the test data, each by the card that names its SHA-256.

    From then on cards are found in ``folder``, besides the shipped ones, and files nowhere else.
    """
    cards = folder / "cards"
    cards.mkdir(parents=True)
    shutil.copy(CONVERTED, cards)
    os.environ["POSE_ROS_MODEL_PATH"], os.environ["POSE_ROS_CACHE"] = str(cards), str(folder)
    store = Store(folder / "models", offline=True)
    by_hash = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in (testdata / "models").rglob("*") if p.is_file()}
    for name in store.names():
        card = store.card(name)
        path = by_hash.get(card.file.sha256)
        if path is not None and card.file.path:
            (cards / card.file.path).symlink_to(path)
        elif path is not None:
            store.accepted.add(name)
            store.fetch(card, source=path)
    os.environ["POSE_ROS_ACCEPT_LICENCES"] = ",".join(store.accepted)
    return store


def ready(store: Store) -> list[str]:
    """Return the names of the models whose files are here."""
    return [name for name in store.names() if store.state(store.card(name)) == "ready"]


def plugin(store: Store, name: str, runtime: str = "auto", **options: Any) -> Any:
    """Return the plugin of a card with its network."""
    card = store.card(name)
    made: type[NetworkPlugin] = load(f"{card.kind}s", card.plugin)
    session = open_session(store.path(card), runtime=runtime, outputs=card.outputs)
    return made(Model(card, session), made.Options(**options))


def judged(data: str, labels: Path, model: str, boxes: str = "", runtime: str = "auto") -> float:
    """Return what ``pose-ros eval`` prints first for a model on a label file."""
    job = Job(data, labels.parent, model, labels.name, boxes, json.dumps({"runtime": runtime}))
    return score(job.dataset(), estimate(job), job.skeleton(), 0, job.protocol()).measures[0].value


def people(testdata: Path, store: Store) -> Iterator[Row]:
    """COCO's average precision in annotated and in detected boxes, and of the boxes."""
    expected = json.loads((testdata / "expected.json").read_text())["baselines"]
    labels = testdata / "body2d/coco_mini/person_keypoints.json"
    for name, known, runtime in (
        ("movenet-lightning-ptq", None, "auto"),
        ("movenet-lightning-ptq-onnx", "movenet_onnx", "onnxruntime"),
        ("simplepose-ultralight", "simplepose", "auto"),
    ):
        for boxes, word in (("truth", "gtbox"), ("detector", "yolox")):
            model = name if boxes == "truth" else f"yolox-nano+{name}"
            value = expected[f"coco_mini {known} {word}"][0] if known else None
            yield Row(model, "coco_mini AP", judged("coco", labels, model, boxes, runtime), value)
    yield Row("yolox-nano", "coco_mini box AP", judged("coco", labels, "yolox-nano"),
              expected["coco_mini yolox_nano person bbox"][0])
    model = "mediapipe-pose-detection-v0.8.10+blazepose-lite-onnx"
    yield Row(model, "coco_mini AP", judged("coco", labels, model))


def video(testdata: Path, store: Store) -> Iterator[Row]:
    """OKS of one person who dances, followed by the estimator's own rule, with labels of every tenth frame."""
    truth = _dance(testdata / "video/sleap_dance.labels.slp")
    model = "yolox-nano+movenet-lightning-ptq"
    pipeline = build({"model": model, "smooth": False, "top_down": {"max_subjects": 1, "detect_every": 60.0}}, store)
    source = pipeline.source
    assert isinstance(source, TopDown)
    oks = []
    for number, frame in enumerate(open_source(str(testdata / "video/sleap_dance.mp4"))):
        poses = pipeline(Frame(frame.image, number * 33_333_333)).poses
        if number % 10 == 0:
            oks.append(_oks(poses.keypoints[0], truth[number]) if len(poses) else 0.0)
    yield Row(model, "sleap_dance OKS", float(np.mean(oks)), 0.84)
    yield Row(model, "sleap_dance share of frames without a detector", 1 - source.detections / len(truth))


def _dance(path: Path) -> np.ndarray:
    """Return the labels (frames, 17, 2) of a SLEAP file, those of a human before those of a model; NaN where none."""
    import h5py

    order = catalogue.get("coco17").index
    with h5py.File(path) as file:
        meta = json.loads(file["metadata"].attrs["json"])
        nodes = [meta["nodes"][node["id"]]["name"] for node in meta["skeletons"][0]["nodes"]]
        labels = np.full((len(file["frames"]), 17, 2), np.nan)
        points = {0: file["points"][:], 1: file["pred_points"][:]}
        # Of several instances of a frame the last one wins: humans' are of type 0.
        for row in sorted(file["instances"][:], key=lambda row: (row["frame_id"], -int(row["instance_type"]))):
            part = points[int(row["instance_type"])][row["point_id_start"] : row["point_id_end"]]
            for name, point in zip(nodes, part, strict=True):
                if point["visible"]:
                    labels[int(file["frames"][row["frame_id"]]["frame_idx"]), order[name]] = point["x"], point["y"]
    return labels


def _oks(keypoints: np.ndarray, truth: np.ndarray) -> float:
    seen = np.isfinite(truth).all(axis=1)
    width, height = np.ptp(truth[seen], axis=0)
    variance = (2 * np.array(catalogue.get("coco17").sigmas)[seen]) ** 2
    distance = ((np.nan_to_num(keypoints[seen], nan=-1e6) - truth[seen]) ** 2).sum(axis=1)
    return float(np.exp(-distance / (2 * variance * 0.53 * width * height)).mean())


def hands(testdata: Path, store: Store) -> Iterator[Row]:
    """Landmarks in regions as they would be while a hand is followed, and palms."""
    cases = [hand for hand in annotated_hands(testdata) if hand.source in _HANDS]
    estimator = plugin(store, "mediapipe-hand-landmark-lite-onnx")
    errors, correct, sides = [], [], []
    for hand in cases:
        if np.isfinite(hand.keypoints).all():
            poses = estimator.estimate(hand.image, hand.region(estimator))
            distance = np.linalg.norm(poses.keypoints[0] - hand.keypoints, axis=1)
            errors.append(distance.mean())
            correct.append((distance < 0.2 * longer_side(hand.box[None])).mean())
            if hand.side:
                sides.append(poses.sides[0] == hand.side)
    name = estimator.card.name
    yield Row(name, "PCK@0.2", float(np.mean(correct)))
    yield Row(name, "EPE px", float(np.mean(errors)))
    yield Row(name, "share of sides that are right", float(np.mean(sides)))
    detector = plugin(store, "mediapipe-palm-detection-lite-onnx")
    found = []
    for hand in cases:
        middle, regions = np.nanmean(hand.keypoints, axis=0), detector.detect(hand.image).regions
        found.append((np.linalg.norm(regions[:, :2] - middle, axis=1) < regions[:, 2] / 2).any())
    yield Row(detector.card.name, "recall", float(np.mean(found)))
    pictures = sorted((testdata / "hand/gesture_images").rglob("*.jpg"))
    yield Row(detector.card.name, "recall in gesture_images",
              float(np.mean([len(detector.detect(read(path))) > 0 for path in pictures])))


def faces(testdata: Path, store: Store) -> Iterator[Row]:
    """Landmarks in annotated and in detected boxes, and detectors."""
    # From expected.json: "300W .027/.042, 300W-LP ~.049, 300VW .031-.048".
    for name, expected in (("300w", 0.042), ("300w-lp", 0.049), ("300vw", 0.048)):
        yield Row("pfld-68", f"NME {name}", judged(name, testdata / "face" / _FACES[name], "pfld-68", "keypoints"),
                  expected)
    for name in ("ultraface-rfb-320", "mediapipe-face-detection-short-range-onnx"):
        detector = plugin(store, name)
        near, far = [], []
        for image, boxes in _faces(testdata):
            best = iou(boxes, detector.detect(image).boxes).max(axis=1, initial=0) > _SAME_FACE_IOU
            large = np.ptp(boxes.reshape(-1, 2, 2), axis=1).max(axis=1) > 0.2 * max(image.shape)
            near.extend(best[large])
            far.extend(best[~large])
        yield Row(name, "recall, faces of a fifth of the image or more", float(np.mean(near)))
        yield Row(name, "recall, smaller faces", float(np.mean(far)))
    mesh = plugin(store, "mediapipe-face-landmark-onnx")
    presence = []
    for image, _ in _faces(testdata):
        presence.extend(mesh.estimate(image, detector.detect(image).regions).subject_scores)
    yield Row(f"{detector.card.name}+{mesh.card.name}", "mean presence", float(np.mean(presence)))


def _faces(testdata: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an image and the boxes (N, 4) xyxy of its faces."""
    for name, where in _FACES.items():
        path = testdata / "face" / where
        for sample in datasets.open(name, path.parent, path.name):
            yield sample.read(), keypoints_to_boxes(sample.keypoints)
    folder = testdata / "face/dlib_faces"
    for image in ET.parse(folder / "training_with_face_landmarks.xml").getroot().iter("image"):
        boxes = [[float(box.attrib[key]) for key in ("left", "top", "width", "height")] for box in image.iter("box")]
        corners = np.array(boxes)
        corners[:, 2:] += corners[:, :2]
        yield read(folder / image.attrib["file"]), corners


PARTS: dict[str, Callable[[Path, Store], Iterable[Row]]] = {
    "people": people, "video": video, "hands": hands, "faces": faces,
}  # fmt: skip


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the rest out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = prepare(args.testdata.resolve(), Path(folder))
        rows = []
        print(f"{'model':60} {'metric':46} {'here':>7} {'expected':>9}")
        for name, part in PARTS.items():
            for row in part(args.testdata, store) if not args.only or name in args.only else ():
                expected = "" if row.expected is None else f"{row.expected:9.3f}"
                print(f"{row.model:60} {row.metric:46} {row.ours:7.3f} {expected}", flush=True)
                rows.append(row)
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
