# SPDX-License-Identifier: Apache-2.0
"""What runs in the environment of another program: it answers questions about its speed, one line each.

A script for another Python, which needs NumPy and the program itself, and nothing of this package::

    OTHER/bin/python other_programs.py rtmlib      # or mediapipe

The first line says which versions there are, or what is missing. Then comes a line of JSON for every line of JSON that
is read. Images are those of ``clip``, an .npy file of RGB uint8 (N, H, W, 3), forwards and backwards in turns.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

Ask = dict[str, Any]
#: Distributions whose versions matter, too.
_BELOW = ("onnxruntime", "openvino", "opencv-python", "opencv-contrib-python")


def timed(call: Callable[[np.ndarray], object], images: list[np.ndarray], count: int) -> list[float]:
    """Return the milliseconds of ``count`` calls, one after another."""
    times = []
    for number in range(count):
        began = time.perf_counter()
        call(images[number % len(images)])
        times.append((time.perf_counter() - began) * 1e3)
    return times


class Rtmlib:
    """rtmlib, its tools used as its own solutions use them."""

    def __init__(self) -> None:
        """Import it."""
        import rtmlib

        self._rtmlib, self._made, self._clips = rtmlib, dict[str, Any](), dict[str, Any]()

    def _tool(self, kind: str, file: str, size: Any, **settings: Any) -> Any:
        key = repr((kind, file, size, settings))
        if key not in self._made:
            self._made[key] = getattr(self._rtmlib, kind)(file, tuple(size), **settings)
        return self._made[key]

    def _people(self, ask: Ask, image: np.ndarray) -> tuple[Any, Any]:
        """Return keypoints and scores of all people in a BGR image."""
        # Only with all classes rtmlib can tell people from other things.
        detect = self._tool("YOLOX", ask["detector"], ask["detector_wh"], det_mode="multiclass", nms_thr=0.65,
                            score_thr=0.3, backend=ask["backend"])
        pose = self._tool("ViTPose", ask["estimator"], ask["estimator_wh"], backend=ask["backend"])
        boxes, classes = detect(image)
        boxes = [box for box, kind in zip(boxes, classes) if kind == 0]  # noqa: B905 - as in its tracker
        return pose(image, bboxes=boxes) if boxes else ([], [])

    def boxes(self, ask: Ask) -> list[float]:
        """Look into given boxes of an image again and again."""
        pose = self._tool("RTMPose", ask["file"], ask["input_wh"], backend=ask["backend"])
        image, boxes = np.load(ask["clip"])[0], np.array(ask["boxes"], np.float32)
        return timed(lambda image: pose(image, bboxes=boxes), [image], ask["count"])

    def video(self, ask: Ask) -> list[float]:
        """Detect people and look at them in every image."""
        file = ask["clip"]
        if file not in self._clips:
            self._clips[file] = there_and_back([np.ascontiguousarray(image[..., ::-1]) for image in np.load(file)])
        return timed(lambda image: self._people(ask, image), self._clips[file], ask["count"])

    def found(self, ask: Ask) -> list[Any]:
        """Return (number, keypoints, scores) of all people in image files."""
        import cv2

        rows: list[Any] = []
        for number, file in ask["images"]:
            image: Any = cv2.imread(file)
            keypoints, scores = self._people(ask, image)
            rows += [[number, np.asarray(k).tolist(), np.asarray(s).tolist()] for k, s in zip(keypoints, scores)]  # noqa: B905
        return rows


class Mediapipe:
    """MediaPipe's own Python, its solutions in video mode."""

    def __init__(self) -> None:
        """Import it."""
        import mediapipe

        self._solutions = mediapipe.solutions

    def video(self, ask: Ask) -> list[float]:
        """Show a clip to a solution; images before those that count are ``warm_up``."""
        most, size, known = ask["most"], ask["complexity"], self._solutions
        with {
            "pose": lambda: known.pose.Pose(model_complexity=size),
            "hands": lambda: known.hands.Hands(max_num_hands=most, model_complexity=size),
            "face_mesh": lambda: known.face_mesh.FaceMesh(max_num_faces=most),
            "face_mesh_irises": lambda: known.face_mesh.FaceMesh(max_num_faces=most, refine_landmarks=True),
            "holistic": lambda: known.holistic.Holistic(model_complexity=size),
        }[ask["solution"]]() as solution:
            images = there_and_back(list(np.load(ask["clip"])))
            return timed(solution.process, images, ask["warm_up"] + ask["count"])[ask["warm_up"] :]


def there_and_back(images: list[np.ndarray]) -> list[np.ndarray]:
    """Return a clip that can be repeated without a jump."""
    return images + images[-2:0:-1]


def versions(*names: str) -> dict[str, str]:
    """Return the versions of distributions that are here."""
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Answer until nobody asks any more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # these programs print

    def say(data: Any) -> None:
        print(json.dumps(data), file=answers, flush=True)

    try:
        program: Any = {"rtmlib": Rtmlib, "mediapipe": Mediapipe}[sys.argv[1]]()
    except ImportError as error:
        return say({"error": str(error)})
    say({"versions": versions(sys.argv[1], "numpy", *_BELOW)})
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            say({"answer": getattr(program, ask["what"])(ask)})
        except Exception as error:  # whatever it raises belongs to the other side's user
            say({"error": f"{type(error).__name__}: {error}"})
    return None


if __name__ == "__main__":
    main()
