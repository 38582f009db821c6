# SPDX-License-Identifier: Apache-2.0
"""Accuracy of whole people, part by part, on images with COCO-WholeBody annotations.

    python benchmarks/wholebody.py FOLDER ANNOTATIONS.json                              # BlazePose, hands, face mesh
    python benchmarks/wholebody.py FOLDER ANNOTATIONS.json --model yolox-nano+rtmw-l --hands "" --faces ""

A person of the annotations is compared with the nearest one that was found. Of each part that is annotated: how often
it was found, and of those that were, the mean object keypoint similarity (sigmas of COCO-WholeBody, area of the person)
and the share of keypoints within a fifth of the part's size (PCK@0.2; the longer side of the box around its keypoints).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_ros.core.assign import assign
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

WHOLE = catalogue.get("wholebody133")
#: Part -> key of the annotations, and its keypoints.
PARTS = {
    "body": ("keypoints", np.arange(17)),
    "feet": ("foot_kpts", np.arange(17, 23)),
    "face": ("face_kpts", np.array(WHOLE.blocks["face"][1])),
    "left hand": ("lefthand_kpts", np.array(WHOLE.blocks["left_hand"][1])),
    "right hand": ("righthand_kpts", np.array(WHOLE.blocks["right_hand"][1])),
}
#: A keypoint that is off by this part of the size of what it is in is still right.
_PCK = 0.2


def people(annotations: Mapping[str, Any], image: int) -> Iterator[tuple[np.ndarray, float]]:
    """Yield 133 keypoints, NaN where not annotated, and the area of each person in an image."""
    for person in annotations["annotations"]:
        if person["image_id"] != image or person.get("iscrowd") or not person["num_keypoints"]:
            continue
        points = np.full((133, 2), np.nan)
        for key, index in PARTS.values():
            values = np.array(person[key], float).reshape(-1, 3)
            points[index] = np.where(values[:, 2:] > 0, values[:, :2], np.nan)
        yield points, float(person["area"])


def compared(poses: Poses, truth: list[tuple[np.ndarray, float]]) -> Iterator[tuple[str, bool, float, float]]:
    """Yield part, whether it was found, and its similarity and PCK, of every annotated part."""
    sigmas = np.array(WHOLE.sigmas)

    def likeness(points: np.ndarray, found: np.ndarray, area: float) -> np.ndarray:
        away = np.linalg.norm(found - points, axis=-1)
        return np.where(np.isfinite(away), np.exp(-(away**2) / (8 * sigmas**2 * max(area, 1))), 0)

    body = PARTS["body"][1]
    gain = np.array([
        [likeness(points, found, area)[body].mean() for found in poses.keypoints] for points, area in truth
    ])
    rows = dict(assign(gain.reshape(len(truth), len(poses)), 1e-3).tolist())
    for row, (points, area) in enumerate(truth):
        for part, (_, index) in PARTS.items():
            known = index[np.isfinite(points[index]).all(axis=1)]
            if not len(known):
                continue
            found = poses.keypoints[rows[row]] if row in rows else np.full((133, 2), np.nan)
            if np.isnan(found[known]).all():
                yield part, False, np.nan, np.nan
                continue
            size = np.ptp(points[known], axis=0).max()
            right = np.linalg.norm(found[known] - points[known], axis=1) <= _PCK * size
            yield part, True, float(likeness(points, found, area)[known].mean()), float(right.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="images")
    parser.add_argument("annotations", type=Path, help="COCO-WholeBody JSON file")
    parser.add_argument("--model", default="blazepose-full", help="of the bodies")
    parser.add_argument("--hands", default="mediapipe-hand-landmark-full", help="model of hands, '' for none")
    parser.add_argument("--faces", default="mediapipe-face-landmark", help="model of faces, '' for none")
    args = parser.parse_args()
    annotations = json.loads(args.annotations.read_text(encoding="utf-8"))
    pipeline = build({
        "model": args.model, "skeleton": WHOLE.name, "smooth": False, "top_down": {"max_subjects": 20},
        "hands": {"model": args.hands}, "faces": {"model": args.faces},
    })  # fmt: skip
    rows: list[tuple[str, bool, float, float]] = []
    for image in annotations["images"]:
        pipeline.reset()
        picture = cv2.cvtColor(cv2.imread(str(args.folder / image["file_name"])), cv2.COLOR_BGR2RGB)
        poses = pipeline(Frame(picture)).poses
        rows += compared(poses, list(people(annotations, image["id"])))
    print(f"{args.model}, hands: {args.hands or 'none'}, faces: {args.faces or 'none'}\n"
          f"{'part':12}{'annotated':>10}{'found':>7}{'OKS':>8}{'PCK@0.2':>9}")
    for part in PARTS:
        of_part = [row for row in rows if row[0] == part]
        found = [row for row in of_part if row[1]]
        figures = [f"{np.mean([row[i] for row in found]):.3f}" if found else "-" for i in (2, 3)]
        print(f"{part:12}{len(of_part):>10}{len(found):>7}{figures[0]:>8}{figures[1]:>9}")


if __name__ == "__main__":
    main()
