# SPDX-License-Identifier: Apache-2.0
"""Show what becomes of faces that are cut off, small or many: ``python benchmarks/face_limits.py TESTDATA``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from pose_ros.core import quaternion
from pose_ros.core.camera import Camera
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

DETECTORS = ("mediapipe-face-detection-short-range", "mediapipe-face-detection-full-range")
MODEL = "mediapipe-face-mesh-iris"
#: A large face; and more of them for a crowd.
LARGE = "face/lapa/10773046825_0.jpg"
FACES = (LARGE, "face/cofw/001766.jpg", "face/aflw/image04476.jpg", "face/300wlp/AFW_134212_1_0.jpg",
         "face/300vw/001/imgs/000006.jpg")  # fmt: skip


def read(path: Path) -> np.ndarray:
    """Return an image, RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def seen(pipeline: Pipeline, image: np.ndarray, left: int = 0, bottom: int | None = None) -> Poses:
    """Return the faces of an image that is cut off, seen by a camera that could have taken the whole."""
    height, width = image.shape[:2]
    k = np.array([[1.2 * width, 0, width / 2 - left], [0, 1.2 * width, height / 2], [0, 0, 1]])
    image = np.ascontiguousarray(image[:bottom, left:])
    pipeline.reset()
    return pipeline(Frame(image, 0, camera=Camera(k, (image.shape[1], image.shape[0])))).poses


def told(poses: Poses) -> str:
    """Return how many faces there are, and how the first one is turned."""
    if not len(poses) or poses.frames is None:
        return "nobody"
    x = quaternion.to_matrices(poses.frames[0, 0, 3:])[:, 0]
    yaw, pitch = np.rad2deg([np.arctan2(x[0], -x[2]), np.arcsin(x[1])])
    return f"{len(poses)} found, presence {poses.subject_scores[0]:.2f}, yaw {yaw:.0f}, pitch {pitch:.0f} degrees"


def crowd(images: list[np.ndarray], boxes: np.ndarray, size: int = 180) -> np.ndarray:
    """Return five rows of six faces, each half as large as its tile."""
    tiles = []
    for image, (x0, y0, x1, y1) in zip(images, boxes, strict=True):
        scale = size / (1.8 * max(x1 - x0, y1 - y0))
        shift = size / 2 - scale * np.array([x0 + x1, y0 + y1]) / 2
        tiles.append(cv2.warpAffine(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (size, size),
                                    flags=cv2.INTER_AREA))
    return np.vstack([np.hstack([tiles[(row + column) % len(tiles)] for column in range(6)]) for row in range(5)])


def main() -> None:
    """Print what is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("detectors", nargs="*", default=DETECTORS)
    args = parser.parse_args()
    images = [read(args.testdata / name) for name in FACES]
    for detector in args.detectors:
        print(detector)
        pipeline = build({"model": f"{detector}+{MODEL}", "track": False, "top_down": {"max_subjects": 40}})
        image = images[0]
        whole = seen(pipeline, image)
        x0, y0, x1, y1 = whole.boxes[0]
        print(f"  {'whole':<22}{told(whole)}")
        for share in (0.25, 0.4, 0.5):
            left, bottom = int(x0 + share * (x1 - x0)), int(y1 - share * (y1 - y0))
            print(f"  {f'{share:.0%} cut off aside':<22}{told(seen(pipeline, image, left=left))}")
            print(f"  {f'{share:.0%} cut off below':<22}{told(seen(pipeline, image, bottom=bottom))}")
        for pixels in (200, 100, 60, 40, 25):
            scale = pixels / max(x1 - x0, y1 - y0)
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:480, :640]
            canvas = np.full((480, 640, 3), 128, np.uint8)
            canvas[: small.shape[0], : small.shape[1]] = small
            print(f"  {f'{pixels} pixels':<22}{told(seen(pipeline, canvas))}")
        boxes = np.array([seen(pipeline, one).boxes[0] for one in images])
        many = seen(pipeline, crowd(images, boxes))
        posed = 0 if many.frames is None else int(np.isfinite(many.frames).all(axis=(1, 2)).sum())
        print(f"  {'30 faces':<22}{len(many)} found, {posed} with a pose")
        print(f"  {'nobody, black':<22}{told(seen(pipeline, np.zeros((480, 640, 3), np.uint8)))}")
        noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        print(f"  {'nobody, noise':<22}{told(seen(pipeline, noise))}")


if __name__ == "__main__":
    main()
