# SPDX-License-Identifier: Apache-2.0
"""Record what MediaPipe's own Python finds in images and videos, as arrays to compare with.

Runs in an environment of its own, which needs nothing of this package::

    python -m venv mp && mp/bin/pip install mediapipe==0.10.21
    mp/bin/python test/data/record_mediapipe_solutions.py hands TESTDATA OUTPUT.npz --files hand/rhd video/my.avi:5

Images are shown in static mode; all frames of a video, or of a film of ``hands/clips.py``, one after another in video
mode, of which every n-th is kept where its name ends in ``:n``. Solutions are those of ``mp.solutions``, in the words
of :data:`SOLUTIONS`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import mediapipe as mp
import numpy as np
from hands.clips import CLIPS

#: Name -> how to open it, from (static mode, most subjects, model complexity).
SOLUTIONS: dict[str, Callable[[bool, int, int], Any]] = {
    "hands": lambda static, most, size: mp.solutions.hands.Hands(
        static_image_mode=static, max_num_hands=most, model_complexity=size),
    "face_mesh": lambda static, most, size: mp.solutions.face_mesh.FaceMesh(
        static_image_mode=static, max_num_faces=most),
    "face_mesh_irises": lambda static, most, size: mp.solutions.face_mesh.FaceMesh(
        static_image_mode=static, max_num_faces=most, refine_landmarks=True),
    "holistic": lambda static, most, size: mp.solutions.holistic.Holistic(
        static_image_mode=static, model_complexity=size),
    "holistic_irises": lambda static, most, size: mp.solutions.holistic.Holistic(
        static_image_mode=static, model_complexity=size, refine_face_landmarks=True),
}
#: MediaPipe's word -> its number; images are mirrored for it, so its left hands are right ones.
SIDES = {"Left": 1, "Right": 2}
#: What one subject is: group, landmarks in the image, the same in metres or None, side, score of the side.
Subject = tuple[str, Any, Any, int, float]


def subjects(result: Any) -> Iterator[Subject]:
    """Yield what one image's result holds, whichever solution it is of."""
    if hasattr(result, "multi_hand_landmarks"):
        for hand, world, sides in zip(result.multi_hand_landmarks or (), result.multi_hand_world_landmarks or (),
                                      result.multi_handedness or (), strict=True):
            side = sides.classification[0]
            yield "hands", hand, world, SIDES[side.label], side.score
    elif hasattr(result, "multi_face_landmarks"):
        for face in result.multi_face_landmarks or ():
            yield "faces", face, None, 0, 0.0
    else:
        # Of bodies MediaPipe's sides are the person's own, and the hands have no metres.
        for group, landmarks, world, side in (
            ("bodies", result.pose_landmarks, result.pose_world_landmarks, 0),
            ("hands", result.left_hand_landmarks, None, 1), ("hands", result.right_hand_landmarks, None, 2),
            ("faces", result.face_landmarks, None, 0),
        ):  # fmt: skip
            if landmarks:
                yield group, landmarks, world, side, 1.0


def images(testdata: Path, name: str) -> Iterator[np.ndarray]:
    """Yield the image, or all frames of the video, RGB."""
    path = testdata / name
    if name in CLIPS:
        yield from CLIPS[name](testdata)
        return
    if path.suffix in (".jpg", ".png"):
        yield cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        return
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


def files(testdata: Path, names: list[str]) -> Iterator[tuple[str, int]]:
    """Yield files and the step between frames that are kept; folders are searched for images."""
    for name in names:
        path, _, step = name.partition(":")
        if (testdata / path).is_dir():
            found = [p for p in sorted((testdata / path).rglob("*")) if p.suffix in (".jpg", ".png")]
            yield from ((str(p.relative_to(testdata)), 1) for p in found)
        else:
            yield path, int(step or 1)


def record(name: str, testdata: Path, names: list[str], most: int, size: int) -> dict[str, np.ndarray]:
    """Return ``cases``: (file, frame), and of each group all subjects: which case, landmarks, world, side, score.

    Landmarks are 16-bit integers of an eighth of a pixel, world landmarks of a tenth of a millimetre.
    """
    cases: list[tuple[str, int]] = []
    found: dict[str, list[tuple[int, np.ndarray, np.ndarray, int, float]]] = {}
    for file, step in files(testdata, names):
        is_image = Path(file).suffix in (".jpg", ".png")
        with SOLUTIONS[name](is_image, most, size) as solution:
            for frame, image in enumerate(images(testdata, file)):
                result = solution.process(image)
                if frame % step:
                    continue
                cases.append((file, frame))
                scale = 8 * np.array(image.shape[1::-1])
                for group, landmarks, world, side, score in subjects(result):
                    points = np.array([[p.x, p.y] for p in landmarks.landmark]) * scale
                    metres = np.array([[p.x, p.y, p.z] for p in world.landmark]) if world else np.zeros((0, 3))
                    found.setdefault(group, []).append((len(cases) - 1, points, metres * 1e4, side, score))
    arrays = {"head": np.array(json.dumps({"mediapipe": mp.__version__, "opencv": cv2.__version__, "solution": name,
                                           "most": most, "model_complexity": size})),
              "files": np.array([file for file, _ in cases]), "frames": np.array([frame for _, frame in cases])}
    for group, rows in found.items():
        case, points, metres, sides, scores = zip(*rows, strict=True)
        arrays |= {
            f"{group}_case": np.array(case, np.int16), f"{group}_landmarks": np.rint(points).astype(np.int16),
            f"{group}_world": np.rint(metres).astype(np.int16), f"{group}_sides": np.array(sides, np.uint8),
            f"{group}_scores": np.array(scores, np.float16),
        }  # fmt: skip
    return arrays


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solution", choices=SOLUTIONS)
    parser.add_argument("testdata", type=Path, help="folder of the test data")
    parser.add_argument("output", type=Path, help="NPZ file to write")
    parser.add_argument("--files", nargs="+", required=True, help="images, folders of images, VIDEO or VIDEO:STEP")
    parser.add_argument("--most", type=int, default=2, help="most hands or faces")
    parser.add_argument("--complexity", type=int, default=1, choices=(0, 1, 2), help="model_complexity")
    args = parser.parse_args()
    found = record(args.solution, args.testdata, args.files, args.most, args.complexity)
    np.savez_compressed(args.output, **found)
    groups = [key.removesuffix("_case") for key in found if key.endswith("_case")]
    counts = ", ".join(f"{len(found[f'{group}_case'])} {group}" for group in groups)
    print(f"{args.output.name}: {len(found['files'])} images, {counts}", file=sys.stderr)


if __name__ == "__main__":
    main()
