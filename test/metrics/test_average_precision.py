# SPDX-License-Identifier: Apache-2.0
"""Average precision: the numbers of pycocotools and xtcocotools, to the last bit."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_ros.errors import ConfigError, ShapeError
from pose_ros.metrics.average_precision import WHOLEBODY_PARTS, of_boxes, of_keypoints
from pose_ros.metrics.columns import GroundTruth, Predictions, concatenate
from pose_ros.metrics.oks import oks
from pose_ros.skeletons import catalogue

SIGMAS = catalogue.get("coco17").sigmas


def xyxy(rows):
    boxes = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def labels_of(rows, keys=("keypoints",)):
    """Return annotations of COCO as columns; without areas where they have none."""
    keypoints = visibility = None
    if keys[0] in rows[0]:
        points = np.array([np.concatenate([row[key] for key in keys]) for row in rows], float).reshape(len(rows), -1, 3)
        keypoints, visibility = points[..., :2], points[..., 2]
    boxes = xyxy(rows)
    areas = [row["area"] if "area" in row else row["bbox"][3] * row["bbox"][2] * 0.53 for row in rows]
    return GroundTruth([row["image_id"] for row in rows], boxes, areas, keypoints, visibility,
                       [row["iscrowd"] for row in rows], None, [row["category_id"] for row in rows])  # fmt: skip


def results_of(rows, keys=("keypoints",)):
    """Return results of COCO as columns; keypoints with score 0 are missing, and all others are not."""
    keypoints = None
    if keys[0] in rows[0]:
        points = np.array([np.concatenate([row[key] for key in keys]) for row in rows], float).reshape(len(rows), -1, 3)
        keypoints = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    return Predictions([row["image_id"] for row in rows], [row["score"] for row in rows],
                       xyxy(rows) if "bbox" in rows[0] else None, keypoints, None,
                       [row["category_id"] for row in rows])  # fmt: skip


def by_pycocotools(dataset, results, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dataset
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def numbers(summary):
    """Return the summary as pycocotools writes it."""
    return np.nan_to_num(list(summary.values()), nan=-1)


@pytest.mark.parametrize(
    ("labels", "results", "kind"),
    [("body2d/coco4/test_coco.json", "reference/coco4_preds.json", "keypoints"),
     ("reference/bbox100_gt.json", "reference/bbox100_preds.json", "bbox")],
)  # fmt: skip
def test_real_labels_and_results_give_the_reference(testdata, labels, results, kind):
    dataset, rows = (json.loads((testdata / name).read_text()) for name in (labels, results))
    truth, found = labels_of(dataset["annotations"]), results_of(rows)
    summary = of_keypoints(truth, found, SIGMAS).summary() if kind == "keypoints" else of_boxes(truth, found).summary()
    reference = json.loads((testdata / "expected.json").read_text())["reference"]
    expected = next(value for key, value in reference.items() if key.startswith(results))
    np.testing.assert_array_equal(np.round(numbers(summary), 4), expected)
    np.testing.assert_array_equal(numbers(summary), by_pycocotools(dataset, rows, kind).stats)


@pytest.mark.parametrize("file", ["person_keypoints", "instances"])
def test_real_crowds_are_as_in_pycocotools(testdata, file):
    """Images of COCO with crowds and people without keypoints; the results are other labels, moved."""
    dataset = json.loads((testdata / f"body2d/coco_mini/{file}.json").read_text())
    assert any(row["iscrowd"] for row in dataset["annotations"])
    rng = np.random.default_rng(0)
    rows = []
    for row in dataset["annotations"] * 3:
        box = np.array(row["bbox"])
        rows.append({"image_id": row["image_id"], "category_id": row["category_id"], "score": round(rng.random(), 1),
                     "bbox": (box + rng.normal(size=4) * box[2:].mean() * 0.05).tolist()})
        if "keypoints" in row:
            points = np.array(row["keypoints"], float).reshape(-1, 3)
            points[:, :2] += rng.normal(size=(17, 2)) * np.sqrt(row["area"]) * 0.1
            points[:, 2] = 1
            rows[-1]["keypoints"] = points.ravel().tolist()
    kind = "keypoints" if file.startswith("person") else "bbox"
    truth, found = labels_of(dataset["annotations"]), results_of(rows)
    evaluation = of_keypoints(truth, found, SIGMAS) if kind == "keypoints" else of_boxes(truth, found)
    np.testing.assert_array_equal(numbers(evaluation.summary()), by_pycocotools(dataset, rows, kind).stats)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("kind", "categories"), [("keypoints", 1), ("keypoints", 2), ("bbox", 3)])
def test_curves_are_bit_for_bit_those_of_pycocotools(benchmark_scenes, seed, kind, categories):
    images = 20 + seed
    truth, found = benchmark_scenes.scene(images, seed, categories, decimals=1 + seed % 3)
    theirs = by_pycocotools(*benchmark_scenes.as_coco(truth, found, kind, images), kind)
    evaluation = benchmark_scenes.own(truth, found, kind)
    precision, recall = evaluation.curves()
    np.testing.assert_array_equal(np.nan_to_num(precision, nan=-1), theirs.eval["precision"])
    np.testing.assert_array_equal(np.nan_to_num(recall, nan=-1), theirs.eval["recall"])
    np.testing.assert_array_equal(numbers(evaluation.summary()), theirs.stats)


def test_oks_is_bit_for_bit_that_of_pycocotools(benchmark_scenes):
    truth, found = benchmark_scenes.scene(40, 3)
    theirs = by_pycocotools(*benchmark_scenes.as_coco(truth, found, "keypoints", 40), "keypoints")
    for image in range(1, 41):
        labels, results = truth.select(truth.image == image), found.select(found.image == image)
        results = results.select(np.argsort(-results.scores, kind="stable")[:20])
        expected = np.reshape(theirs.ious[image, 1], (len(results), len(labels)))
        ours = oks(results.keypoints, labels.keypoints, labels.visibility, labels.areas,
                   theirs.params.kpt_oks_sigmas, labels.boxes)  # fmt: skip
        np.testing.assert_array_equal(ours, expected)


def test_parts_of_whole_bodies_are_as_in_xtcocotools(testdata, scenes, recorded):
    labels = json.loads((testdata / "body2d/coco4/test_coco_wholebody.json").read_text())["annotations"]
    results = scenes.wholebody_results(labels)
    sigmas = np.array(catalogue.get("wholebody133").sigmas)
    np.testing.assert_array_equal(sigmas, recorded["xtcocotools"]["sigmas"])
    truth, found = labels_of(labels, tuple(scenes.PARTS)), results_of(results, tuple(scenes.PARTS))
    # Sizes are those of the body's keypoints, as xtcocotools takes them.
    whole = replace(found, boxes=results_of(results).boxes, areas=results_of(results).areas)
    for part, where in WHOLEBODY_PARTS.items():
        scores = [row["score" if part == "body" else f"{part}_score"] for row in results]
        summary = of_keypoints(truth.part(where), whole.part(where, np.array(scores)), sigmas[where]).summary()
        np.testing.assert_allclose(numbers(summary), recorded["xtcocotools"][part], rtol=0, atol=1e-15)


def test_crowdpose_is_as_in_xtcocotools(scenes, recorded):
    dataset, rows = scenes.crowded()
    truth = labels_of(dataset["annotations"])
    # CrowdPose counts only keypoints that can be seen.
    hidden = ~(truth.visibility == 2).any(axis=1)
    truth = replace(truth, ignore=hidden)
    evaluation = of_keypoints(truth, results_of(rows), scenes.CROWD_SIGMAS)
    summary = evaluation.summary()
    index = {image["id"]: image["crowdIndex"] for image in dataset["images"]}
    levels = evaluation.by_crowd(np.array([index[i] for i in evaluation.images]))
    ours = [summary[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")]
    np.testing.assert_allclose(ours, recorded["xtcocotools"]["crowd"][:6], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(np.round(list(levels.values()), 4), recorded["xtcocotools"]["crowd"][6:])


def test_weights_are_as_if_images_stood_there_so_often(benchmark_scenes):
    truth, found = benchmark_scenes.scene(30, 1)
    evaluation = of_keypoints(truth, found, SIGMAS)
    often = np.arange(len(evaluation.images)) % 3
    copies = [
        [rows.select(rows.image == image) for image, times in zip(evaluation.images, often, strict=True)
         for _ in range(times)] for rows in (truth, found)
    ]  # fmt: skip
    again = [[type(part)(**{**vars(part), "image": np.full(len(part), i)}) for i, part in enumerate(parts)]
             for parts in copies]  # fmt: skip
    expected = of_keypoints(concatenate(again[0]), concatenate(again[1]), SIGMAS).summary()
    ours = evaluation.summary(often.astype(float))
    np.testing.assert_allclose(list(ours.values()), list(expected.values()), atol=1e-12)
    assert evaluation.summary(often.astype(float), ["AP"]) == {"AP": ours["AP"]}


def test_nothing_found_and_nothing_to_find():
    points = np.arange(34.0).reshape(1, 17, 2)
    truth = GroundTruth([7], [[0, 0, 40, 40]], None, points)
    nothing = Predictions([], [], None, np.empty((0, 17, 2)))
    assert of_keypoints(truth, nothing, SIGMAS).summary()["AP"] == 0
    no_truth = truth.select(np.zeros(1, bool))
    perfect = Predictions([7], [0.5], None, points)
    assert np.isnan(of_keypoints(no_truth, perfect, SIGMAS).summary()["AP"])
    assert of_keypoints(truth, perfect, SIGMAS).summary()["AP"] == pytest.approx(1)
    assert of_boxes(truth, Predictions([7], [0.5], [[0, 0, 40, 40]])).by_category() == {0: pytest.approx(1)}


def test_a_missing_keypoint_is_infinitely_far():
    truth = np.zeros((1, 2, 2))
    found = np.array([[[0, 0], [np.nan, np.nan]], [[0, 0], [1e9, 0]]])
    assert oks(found, truth, np.ones((1, 2)), [100], [0.1, 0.1]).tolist() == [[0.5], [0.5]]
    assert oks(found, truth, np.zeros((1, 2)), [100], [0.1, 0.1]).tolist() == [[0], [0]]


def test_wrong_columns_are_refused():
    with pytest.raises(ShapeError, match="boxes: expected \\(2, 4\\)"):
        GroundTruth([1, 2], np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="visibility: expected \\(1, 17\\)"):
        GroundTruth([1], np.zeros((1, 4)), None, np.zeros((1, 17, 2)), np.zeros((1, 16)))
    with pytest.raises(ConfigError, match="keypoints"):
        of_keypoints(GroundTruth([1], np.zeros((1, 4))), Predictions([1], [1], np.zeros((1, 4))), SIGMAS)
    with pytest.raises(ShapeError, match="sigmas"):
        oks(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.ones((1, 2)), [1], [0.1])
