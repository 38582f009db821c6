# SPDX-License-Identifier: Apache-2.0
"""Record what MediaPipe's own Python says about hands and faces in test images, as numbers to compare with.

Runs in an environment of its own, which needs nothing of this package::

    python -m venv mp && mp/bin/pip install mediapipe==0.10.21
    mp/bin/python test/data/record_mediapipe_landmarks.py TESTDATA test/data/mediapipe_hands_faces_0_10_21.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np

HANDS = ("hand/freihand", "hand/gesture_images", "hand/onehand10k", "hand/rhd")
FACES = ("face",)
#: Of the 468 landmarks of a face every 13th is kept.
FACE_STEP = 13


def images(testdata: Path, folders: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, RGB) of all images below folders of the test data."""
    for folder in folders:
        for path in sorted((testdata / folder).rglob("*")):
            if path.suffix in (".jpg", ".png"):
                yield str(path.relative_to(testdata)), cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def pixels(landmarks: Any, image: np.ndarray, step: int = 1) -> list[list[float]]:
    """Return x, y of landmarks."""
    height, width = image.shape[:2]
    return [[round(p.x * width, 2), round(p.y * height, 2)] for p in landmarks.landmark[::step]]


def hands(testdata: Path) -> list[dict[str, Any]]:
    """Return two hands of each image at most."""
    cases = []
    with mp.solutions.hands.Hands(static_image_mode=True, max_num_hands=2, model_complexity=0) as model:
        for name, image in images(testdata, HANDS):
            result = model.process(image)
            found = zip(result.multi_hand_landmarks or (), result.multi_hand_world_landmarks or (),
                        result.multi_handedness or (), strict=True)
            cases.append({"file": name, "hands": [{
                "landmarks": pixels(landmarks, image),
                "world": [[round(v, 4) for v in (p.x, p.y, p.z)] for p in world.landmark],
                "side": side.classification[0].label, "score": round(side.classification[0].score, 3),
            } for landmarks, world, side in found]})  # fmt: skip
    return cases


def faces(testdata: Path) -> list[dict[str, Any]]:
    """Return five faces of each image at most."""
    cases = []
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=5) as model:
        for name, image in images(testdata, FACES):
            found = model.process(image).multi_face_landmarks or ()
            cases.append({"file": name, "faces": [pixels(landmarks, image, FACE_STEP) for landmarks in found]})
    return cases


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    result = {"mediapipe": mp.__version__, "face_step": FACE_STEP,
              "hands": hands(args.testdata), "faces": faces(args.testdata)}
    args.output.write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
