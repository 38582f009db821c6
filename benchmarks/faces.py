# SPDX-License-Identifier: Apache-2.0
"""How accurate models of faces are on annotated faces, in annotated boxes and in those of every detector.

    python benchmarks/faces.py TESTDATA
    python benchmarks/faces.py TESTDATA --json result.json

The metric is NME, the mean distance from the annotated points. It is divided by the distance of the outer corners of
the eyes, as for 300-W and WFLW; on AFLW, where eyes are often hidden, by the longer side of the annotated box. Points
are brought to the keypoints of the data set by the skeletons' conversions; only those count that the model and the data
set both have: all of the same set, some of another one, the corners of eyes and mouth and the chin of COFW and AFLW.
Meshes have other points than annotators draw at the outline of a face, so that they are never near to zero.

A face counts as found where a detection overlaps it. What is not found is left out of the mean, and its number is said.
Expected figures of PFLD are those of ``expected.json`` in the test data, of another program.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import annotations, keypoints, read
from networks import prepare

from pose_ros.core.poses import Poses
from pose_ros.core.regions import boxes_to_regions, iou, keypoints_to_boxes
from pose_ros.decode.rois import aligned_regions
from pose_ros.models.store import Store
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.registry import load
from pose_ros.runtime import open_session
from pose_ros.skeletons import catalogue

MODELS = ("pfld-68", "dlib-68", "mediapipe-face-landmark", "mediapipe-face-mesh-iris")
DETECTORS = ("mediapipe-face-detection-short-range", "mediapipe-face-detection-full-range", "ultraface-rfb-320")
#: File -> skeleton of its points; or, where we have none, index -> keypoint of face68.
_CORNERS = ("right_eye_0", "right_eye_3", "left_eye_0", "left_eye_3", "outer_lips_0", "outer_lips_6", "jaw_8")
SETS: dict[str, str | dict[int, str]] = {
    "300w/test_300w": "face68",
    "300wlp/test_300wlp": "face68",
    "300vw/anno_300vw": "face68",
    "wflw/test_wflw": "wflw98",
    "lapa/test_lapa": "lapa106",
    "cofw/test_cofw": dict(zip((8, 10, 11, 9, 22, 23, 28), _CORNERS, strict=True)),
    "aflw/test_aflw": dict(zip((6, 8, 9, 11, 15, 17, 18), _CORNERS, strict=True)),
}
#: Outer corners of the eyes.
_EYES = {"face68": (36, 45), "wflw98": (60, 72), "lapa106": (66, 79)}
EXPECTED = {("300w", "pfld-68"): 0.042, ("300wlp", "pfld-68"): 0.049, ("300vw", "pfld-68"): 0.048}
#: A detection that overlaps a face by this is that face; annotators and networks disagree about foreheads.
_SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Face:
    """An annotated face."""

    source: str
    image: np.ndarray
    skeleton: str
    #: (K, 2) of that skeleton, pixels; NaN where nothing is annotated.
    points: np.ndarray
    #: xyxy around the points, or as annotated where the points do not reach around the face.
    box: np.ndarray
    #: What distances are divided by, pixels.
    size: float


@dataclass(frozen=True)
class Row:
    """One figure."""

    #: ``[detector+]estimator``.
    model: str
    source: str
    #: Mean over the faces that were found; NaN where none was.
    nme: float
    found: int
    faces: int
    expected: float | None = None


def faces(testdata: Path) -> Iterator[Face]:
    """Yield all annotated faces of the test data."""
    for name, what in SETS.items():
        for path, annotation in annotations(testdata / "face" / f"{name}.json"):
            points, image = keypoints(annotation["keypoints"]), read(path)
            if isinstance(what, str):
                size = float(np.linalg.norm(np.subtract(*points[list(_EYES[what])])))
                yield Face(name.partition("/")[0], image, what, points, keypoints_to_boxes(points[None])[0], size)
                continue
            skeleton = catalogue.get("face68")
            few = np.full((len(skeleton), 2), np.nan)
            few[[skeleton.index[k] for k in what.values()]] = points[list(what)]
            x, y, w, h = annotation["bbox"]
            size = max(w, h) if "aflw" in name else float(np.linalg.norm(few[36] - few[45]))
            yield Face(name.partition("/")[0], image, "face68", few, np.float32([x, y, x + w, y + h]), size)


def true_region(face: Face, estimator: Any) -> np.ndarray:
    """Return the region (1, 5) in which an estimator would look if it knew where the face is."""
    box = face.box[None]
    if estimator.card.plugin == "landmarks":
        eyes = face.points[list(_EYES[face.skeleton])][None]
        return aligned_regions(eyes, box, start=0, end=1, target_deg=0, scale=1.5)
    regions = boxes_to_regions(box)
    if estimator.card.plugin == "ert":  # such that its rectangle is the one around the points
        params, side = estimator.params, regions[:, 2:4].max()
        wanted = side * params.points_scale / params.scale
        regions[:, 1] += params.points_shift * side - params.shift * wanted
        regions[:, 2:4] = wanted
    return regions


def nme(face: Face, poses: Poses) -> float:
    """Return the error of the first of the poses."""
    found = poses.to(catalogue.get(face.skeleton)).keypoints[0]
    distance = np.linalg.norm(found - face.points, axis=1)
    return float(np.nanmean(distance) / face.size) if np.isfinite(distance).any() else float("nan")


def measure(testdata: Path, stores: list[Store]) -> Iterator[Row]:
    """Yield a row for each model, each way to find faces, and each data set."""
    known = list(faces(testdata))
    estimators, detectors = ({name: _plugin(stores, name) for name in names} for names in (MODELS, DETECTORS))
    found: dict[str, list[np.ndarray | None]] = {}
    for name, detector in detectors.items():
        found[name] = []
        for face in known:
            seen = detector.detect(face.image)
            overlap = iou(face.box[None], seen.boxes)[0]
            best = int(overlap.argmax()) if len(seen) else -1
            found[name].append(seen.regions[best : best + 1] if best >= 0 and overlap[best] > _SAME_FACE_IOU else None)
    for name, estimator in estimators.items():
        for where, regions in {"": [true_region(f, estimator) for f in known], **found}.items():
            errors: dict[str, list[float]] = {}
            for face, region in zip(known, regions, strict=True):
                error = float("nan") if region is None else nme(face, estimator.estimate(face.image, region))
                errors.setdefault(face.source, []).append(error)
            for source, values in errors.items():
                good = [value for value in values if np.isfinite(value)]
                yield Row(f"{where}+{name}" if where else name, source, float(np.mean(good)) if good else float("nan"),
                          len(good), len(values), None if where else EXPECTED.get((source, name)))


def _plugin(stores: list[Store], name: str) -> Any:
    """Return a plugin with its networks, from the first store that has them."""

    def model(name: str) -> Model:
        store = next((s for s in stores if s.state(s.card(name)) == "ready"), stores[-1])
        card = store.card(name)
        session = open_session(store.path(card), name=name, outputs=card.outputs)
        return Model(card, session, {role: model(other) for role, other in card.needs.items()})

    made = model(name)
    cls: type[NetworkPlugin] = load(f"{made.card.kind}s", made.card.plugin)
    return cls(made)


def main() -> None:
    """Print one table: a row for each model and way to find faces, a column for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(args.testdata, [prepare(args.testdata.resolve(), Path(folder)), Store()]))
    sources = list(dict.fromkeys(row.source for row in rows))
    print(f"{'NME':62}" + "".join(f"{source:>12}" for source in sources))
    for model in dict.fromkeys(row.model for row in rows):
        cells = [f"{row.nme:.3f} {row.found}/{row.faces}" if row.found else f"- 0/{row.faces}"
                 for row in rows if row.model == model]
        print(f"{model:62}" + "".join(f"{cell:>12}" for cell in cells))
    print(f"{'expected of pfld-68':62}" + "".join(f"{EXPECTED.get((s, 'pfld-68'), ''):>12}" for s in sources))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
