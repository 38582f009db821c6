# SPDX-License-Identifier: Apache-2.0
"""Record what dlib finds: ``python record_dlib.py TESTDATA MODELS`` writes ``dlib.npz`` beside this script.

MODELS is a folder with ``shape_predictor_68_face_landmarks.dat`` and ``shape_predictor_5_face_landmarks.dat``.
Rectangles are those of its own face detector, those published with its pictures, and random ones: of other shapes, off
the image, and around no face.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from pathlib import Path

import dlib  # type: ignore[import-not-found]
import numpy as np

#: Random rectangles for each picture.
_RANDOM = 3


def _rectangles(path: Path, image: np.ndarray, rng: np.random.Generator) -> list[tuple[int, ...]]:
    height, width = image.shape[:2]
    found = _published(path)
    found += [(r.left(), r.top(), r.right(), r.bottom()) for r in dlib.get_frontal_face_detector()(image, 1)]
    for _ in range(_RANDOM):
        side = rng.integers(12, 2 * min(height, width))
        left, top = rng.integers(-side, width), rng.integers(-side, height)
        found.append((left, top, left + side, top + int(side * rng.uniform(0.5, 1.5))))
    return [tuple(map(int, r)) for r in found]


def _published(path: Path) -> list[tuple[int, ...]]:
    table = path.parent / "training_with_face_landmarks.xml"
    images = ET.parse(table).getroot().iter("image") if table.exists() else ()
    boxes = [box.attrib for image in images if image.attrib["file"] == path.name for box in image.iter("box")]
    return [(int(b["left"]), int(b["top"]), int(b["left"]) + int(b["width"]) - 1, int(b["top"]) + int(b["height"]) - 1)
            for b in boxes]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("models", type=Path)
    args = parser.parse_args()
    files = {k: args.models / f"shape_predictor_{k}_face_landmarks.dat" for k in (5, 68)}
    predictors = {k: dlib.shape_predictor(str(file)) for k, file in files.items()}
    rng = np.random.default_rng(7)
    made: dict[str, np.ndarray] = {}
    for path in sorted(p for p in (args.testdata / "face").rglob("*") if p.suffix in (".jpg", ".png")):
        image = dlib.load_rgb_image(str(path))
        name = str(path.relative_to(args.testdata))
        rectangles = _rectangles(path, image, rng)
        made[f"{name}/rectangles"] = np.array(rectangles, np.int16)
        for k, predictor in predictors.items():
            parts = [[(p.x, p.y) for p in predictor(image, dlib.rectangle(*r)).parts()] for r in rectangles]
            made[f"{name}/{k}"] = np.array(parts, np.int16)
    np.savez_compressed(Path(__file__).with_name("dlib.npz"), **made)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
