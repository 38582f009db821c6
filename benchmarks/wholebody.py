# SPDX-License-Identifier: Apache-2.0
"""Accuracy of whole people, part by part, on images with COCO-WholeBody annotations.

    python benchmarks/wholebody.py FOLDER LABELS.json                              # BlazePose, hands, face mesh

Of networks that know whole people ``pose-ros eval --data coco-wholebody`` says more. Here hands and faces are found by
networks of their own where bodies say that they are.

A person of the annotations is compared with the nearest one that was found. Of each part that is annotated: how often
it was found, and of those that were, the mean object keypoint similarity (sigmas of COCO-WholeBody, area of the person)
and the share of keypoints within a fifth of the part's size (PCK@0.2; the longer side of the box around its keypoints).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_ros import datasets
from pose_ros.core.assign import assign
from pose_ros.core.frame import Frame
from pose_ros.core.poses import Poses
from pose_ros.metrics.average_precision import WHOLEBODY_PARTS
from pose_ros.metrics.oks import oks
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

WHOLE = catalogue.get("wholebody133")
PARTS = {name: np.arange(133)[where] for name, where in WHOLEBODY_PARTS.items() if name != "wholebody"}
#: A keypoint that is off by this part of the size of what it is in is still right.
_PCK = 0.2


def compared(poses: Poses, sample: datasets.Sample) -> Iterator[tuple[str, bool, float, float]]:
    """Yield part, whether it was found, and its similarity and PCK, of every annotated part of every person."""
    sigmas = np.array(WHOLE.sigmas)

    def alike(part: np.ndarray, found: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return oks(found[:, part], sample.keypoints[rows][:, part], sample.visibility[rows][:, part],
                   sample.areas[rows], sigmas[part].tolist())  # fmt: skip

    judged = np.flatnonzero((sample.visibility[:, PARTS["body"]] > 0).any(axis=1) & ~sample.ignore)
    rows = dict(assign(alike(PARTS["body"], poses.keypoints, judged).T, 1e-3).tolist())
    for row, person in enumerate(judged):
        found = poses.keypoints[rows[row]] if row in rows else np.full((133, 2), np.nan)
        for part, index in PARTS.items():
            known = index[sample.visibility[person, index] > 0]
            if not len(known):
                continue
            if np.isnan(found[known]).all():
                yield part, False, np.nan, np.nan
                continue
            points = sample.keypoints[person, known]
            right = np.linalg.norm(found[known] - points, axis=1) <= _PCK * np.ptp(points, axis=0).max()
            yield part, True, float(alike(index, found[None], np.array([person]))[0, 0]), float(right.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the data set coco-wholebody, or images")
    parser.add_argument("labels", help="its split, or a label file below the folder")
    parser.add_argument("--model", default="blazepose-full", help="of the bodies")
    parser.add_argument("--hands", default="mediapipe-hand-landmark-full", help="model of hands, '' for none")
    parser.add_argument("--faces", default="mediapipe-face-landmark", help="model of faces, '' for none")
    args = parser.parse_args()
    pipeline = build({
        "model": args.model, "skeleton": WHOLE.name, "smooth": False, "top_down": {"max_subjects": 20},
        "hands": {"model": args.hands}, "faces": {"model": args.faces},
    })  # fmt: skip
    rows: list[tuple[str, bool, float, float]] = []
    for sample in datasets.open("coco-wholebody", args.folder, args.labels):
        pipeline.reset()
        rows += compared(pipeline(Frame(sample.read())).poses, sample)
    print(f"{args.model}, hands: {args.hands or 'none'}, faces: {args.faces or 'none'}\n"
          f"{'part':12}{'annotated':>10}{'found':>7}{'OKS':>8}{'PCK@0.2':>9}")
    for part in PARTS:
        of_part = [row for row in rows if row[0] == part]
        found = [row for row in of_part if row[1]]
        figures = [f"{np.mean([row[i] for row in found]):.3f}" if found else "-" for i in (2, 3)]
        print(f"{part:12}{len(of_part):>10}{len(found):>7}{figures[0]:>8}{figures[1]:>9}")


if __name__ == "__main__":
    main()
