# SPDX-License-Identifier: Apache-2.0
"""How long average precision takes beside pycocotools, and that both say the same: synthetic labels and results.

    python benchmarks/average_precision.py --images 5000

Labels as in COCO: 0 to 14 people an image, some keypoints not labelled, people without any, crowds; boxes of 80
categories. Results: people that are found once, twice or not at all, with errors of all sizes, and clutter. Timed is
processor time of this process, the smaller one of ``--repeat`` runs, from labels and results in memory (columns here;
pycocotools' own COCO objects there, whose making from JSON is not counted) to the printed statistics.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_ros.metrics.average_precision import Evaluation, of_boxes, of_keypoints
from pose_ros.metrics.columns import GroundTruth, Predictions
from pose_ros.skeletons import catalogue

SKELETON = "coco17"


def scene(images: int, seed: int = 0, categories: int = 1, decimals: int = 3) -> tuple[GroundTruth, Predictions]:
    """Return labels and results that have everything that makes a difference in COCO's evaluation.

    Args:
        images: How many, numbered from 1.
        seed: Of the random numbers.
        categories: Numbered from 1.
        decimals: Of scores; few of them make ties.
    """
    rng = np.random.default_rng(seed)
    k = len(catalogue.get(SKELETON))
    people = np.minimum(rng.poisson(rng.gamma(1.2, 2, images)), 14)
    image = np.repeat(np.arange(1, images + 1), people)
    n = len(image)
    size = np.exp(rng.normal(4.3, 0.9, (n, 1))) * rng.uniform([0.3, 0.8], [0.7, 1.2], (n, 2))
    corner = rng.uniform(0, 400, (n, 2))
    points = corner[:, None] + rng.random((n, k, 2)) * size[:, None]
    visibility = rng.choice(3, (n, k), p=[0.3, 0.2, 0.5])
    visibility[rng.random(n) < 0.2] = 0
    crowd = rng.random(n) < 0.03
    areas = 0.6 * size.prod(axis=1)
    boxes = np.round(np.concatenate([corner, corner + size], axis=1), 2)
    points = np.round(points, 2)
    points[visibility == 0] = 0
    truth = GroundTruth(image, boxes, np.round(areas, 2), points, visibility, crowd, None,
                        rng.integers(1, categories + 1, n))  # fmt: skip
    of = np.concatenate([np.flatnonzero(rng.random(n) < share) for share in (0.85, 0.2)])
    error = rng.gamma(1.5, 0.05, (len(of), 1, 1)) * np.sqrt(areas)[of, None, None]
    found = points[of] + rng.normal(size=(len(of), k, 2)) * error
    found[visibility[of] == 0] = (boxes[of, None, :2] + rng.random((len(of), k, 2)) * size[of, None])[
        visibility[of] == 0]  # fmt: skip
    shaken = boxes[of] + rng.normal(size=(len(of), 4)) * error[:, 0] * 0.5
    clutter = rng.integers(1, images + 1, 2 * images)
    at = rng.uniform(0, 400, (len(clutter), 1, 2))
    strange = at + rng.random((len(clutter), k, 2)) * np.exp(rng.normal(4, 1, (len(clutter), 1, 1)))
    where = np.concatenate([image[of], clutter])
    keypoints = np.round(np.concatenate([found, strange]), 2)
    scores = np.concatenate([rng.beta(4, 2, len(of)), rng.beta(2, 4, len(clutter))])
    ends = np.concatenate([shaken, np.concatenate([strange.min(axis=1), strange.max(axis=1)], axis=1)])
    ends = np.round(np.concatenate([np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])],
                                   axis=1), 2)  # fmt: skip
    kinds = np.concatenate([truth.categories[of], rng.integers(1, categories + 1, len(clutter))])
    order = rng.permutation(len(where))
    return truth, Predictions(where, np.round(scores, decimals), ends, keypoints, None, kinds).select(order)


def as_coco(truth: GroundTruth, found: Predictions, kind: str, images: int) -> tuple[Any, list[dict[str, Any]]]:
    """Return the same as COCO's annotations and results; annotations are numbered from 1."""
    labels = []
    assert truth.keypoints is not None
    assert truth.visibility is not None
    assert found.keypoints is not None
    points = np.concatenate([truth.keypoints, truth.visibility[..., None]], axis=2).reshape(len(truth), -1)
    for i, (image, box, area, row, crowd, category) in enumerate(
        zip(truth.image.tolist(), truth.boxes.tolist(), truth.areas.tolist(), points.tolist(), truth.crowd.tolist(),
            truth.categories.tolist(), strict=True), 1,
    ):  # fmt: skip
        labels.append({"id": i, "image_id": image, "category_id": category, "bbox": _xywh(box), "area": area,
                       "iscrowd": int(crowd), "keypoints": row, "num_keypoints": sum(v > 0 for v in row[2::3])})
    results: list[dict[str, Any]] = []
    rows = np.concatenate([found.keypoints, np.ones((*found.keypoints.shape[:2], 1))], axis=2).reshape(len(found), -1)
    for image, box, row, score, category in zip(
        found.image.tolist(), found.boxes.tolist(), rows.tolist(), found.scores.tolist(), found.categories.tolist(),
        strict=True,
    ):  # fmt: skip
        results.append({"image_id": image, "category_id": category, "score": score, "bbox": _xywh(box)})
        if kind == "keypoints":
            results[-1]["keypoints"] = row
    categories = [{"id": int(c), "name": str(c)} for c in np.unique(truth.categories)]
    every = [{"id": i} for i in range(1, images + 1)]
    return {"images": every, "annotations": labels, "categories": categories}, results


def _xywh(box: list[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def pycocotools(dataset: Any, results: list[dict[str, Any]], kind: str) -> Callable[[], np.ndarray]:
    """Return what runs the oracle."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dataset
        coco.createIndex()
        answers = coco.loadRes(copy.deepcopy(results))

    def run() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(coco, answers, kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return np.asarray(evaluation.stats)

    return run


def own(truth: GroundTruth, found: Predictions, kind: str) -> Evaluation:
    """Return the evaluation of this package."""
    return of_keypoints(truth, found, catalogue.get(SKELETON).sigmas) if kind == "keypoints" else of_boxes(truth, found)


def best(run: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Return the least processor time, seconds, and the result."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return min(times), result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{'':28}{'labels':>8}{'results':>9}{'pycocotools':>13}{'here':>9}{'times':>7}  largest difference")
    for name, kind, categories in (("keypoints, 1 category", "keypoints", 1), ("boxes, 1 category", "bbox", 1),
                                   ("boxes, 80 categories", "bbox", 80)):  # fmt: skip
        truth, found = scene(args.images, args.seed, categories)
        theirs, expected = best(pycocotools(*as_coco(truth, found, kind, args.images), kind), args.repeat)
        ours, summary = best(lambda t=truth, f=found, k=kind: own(t, f, k).summary(), args.repeat)
        off = np.abs(np.nan_to_num(np.array(list(summary.values())), nan=-1) - expected).max()
        print(f"{name:28}{len(truth):8}{len(found):9}{theirs:11.2f} s{ours:7.2f} s{theirs / ours:7.1f}  {off:g}")


if __name__ == "__main__":
    main()
