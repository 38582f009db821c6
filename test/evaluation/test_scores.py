# SPDX-License-Identifier: Apache-2.0
"""Numbers of answers that are known to be right or wrong, on real labels of every protocol."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_ros import datasets
from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError, DatasetMissingError, UnknownNameError
from pose_ros.evaluation import score
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import judged
from pose_ros.metrics.distance import distances
from pose_ros.metrics.pck import longer_side, pck
from pose_ros.skeletons import catalogue

#: Data set, folder of the test data, label file, what it is judged by, and the best there is.
SETS = [
    ("coco", "body2d/coco_mini", "person_keypoints.json", "AP", 1),
    ("ap10k", "animal/ap10k", "test_ap10k.json", "AP", 1),
    ("coco-wholebody", "body2d/coco4", "test_coco_wholebody.json", "AP", 1),
    ("crowdpose", "body2d/crowdpose", "test_crowdpose.json", "AP", 1),
    ("jhmdb", "body2d/jhmdb", "test_jhmdb_sub1.json", "PCK@0.2", 1),
    ("freihand", "hand/freihand", "test_freihand.json", "PCK@0.2", 1),
    ("panoptic-hand", "hand/panoptic_hand", "test_panoptic.json", "PCKh@0.7", 1),
    ("interhand2.6m", "hand/interhand2.6m", "data.json", "MPJPE", 0),
    ("horse10", "animal/horse10", "test_horse10.json", "PCK@0.3", 1),
    ("300w", "face/300w", "test_300w.json", "NME", 0), ("wflw", "face/wflw", "test_wflw.json", "NME", 0),
    ("coco-format", "animal/fly", "test_fly.json", "PCK@0.2", 1), ("sleap", "video", "", "RMSE", 0),
    ("aflw", "face/aflw", "test_aflw.json", "NME", 0), ("lightning-pose", "animal/mirror_mouse", "", "RMSE", 0),
]  # fmt: skip
IDS = [row[0] for row in SETS]


def truth_as_answers(dataset, told: bool) -> Estimates:
    """Labels as a model that knows them would say them."""
    parts = []
    for sample in dataset:
        rows = judged(sample)
        keypoints = sample.keypoints[rows]
        points = None if sample.points is None else sample.points[rows]
        poses = Poses(dataset.skeleton, keypoints, np.isfinite(keypoints).all(axis=2), local_points=points)
        parts.append(Estimates.of(poses, rows if told else None))
    return concatenate(parts)


@pytest.mark.parametrize("told", [True, False], ids=["told", "found"])
@pytest.mark.parametrize(("name", "folder", "file", "measure", "best"), SETS, ids=IDS)
def test_labels_themselves_are_the_best_answers(name, folder, file, measure, best, told, testdata):
    dataset = datasets.open(name, testdata / folder, file)
    answers = truth_as_answers(dataset, told)
    scores = score(dataset, answers, dataset.skeleton, resamples=10)
    assert scores.measures[0].name == measure
    assert scores.measures[0].value == pytest.approx(best, abs=1e-3)
    one = len(np.unique(scores.subjects[:, 0])) == 1
    assert scores.measures[0].low == pytest.approx(np.nan if one else best, abs=1e-3, nan_ok=True)
    assert scores.shared.all()
    if told:
        assert scores.found == len(scores.subjects) == sum(len(judged(sample)) for sample in dataset)
        np.testing.assert_allclose(scores.errors, 0, atol=1e-3)
        known = scores.per_part[np.isfinite(scores.per_part)]
        np.testing.assert_allclose(known, 0 if measure in ("MPJPE", "NME") else 1, atol=1e-3)
    else:  # of a person of whom one keypoint is labelled, a box around it says nothing
        assert scores.found >= 0.85 * len(scores.subjects)


@pytest.mark.parametrize(("name", "folder", "file", "measure", "best"), SETS, ids=IDS)
def test_nothing_found_is_the_worst_answer(name, folder, file, measure, best, testdata):
    dataset = datasets.open(name, testdata / folder, file)
    nobody = concatenate([Estimates.of(Poses.empty(dataset.skeleton)) for _ in dataset])
    scores = score(dataset, nobody, dataset.skeleton, resamples=0)
    value = scores.measures[0].value
    assert value == 0 if best else np.isnan(value)
    assert scores.found == 0
    assert (scores.errors > 0.9).all()


def test_mpii_is_judged_by_heads_without_pelvis_and_thorax(testdata, monkeypatch):
    dataset = datasets.open("mpii", testdata / "body2d/mpii", "test_mpii.json")
    answers = truth_as_answers(dataset, told=True)
    with pytest.raises(ConfigError, match=r"'head', which the labels of .* do not have"):
        score(dataset, answers, dataset.skeleton, 0)
    build, away_px = dataset._build, 3.0
    wrong = answers.keypoints.copy()
    wrong[:, [dataset.skeleton.index[name] for name in ("pelvis", "thorax")]] += 1000
    others = np.setdiff1d(np.arange(16), [dataset.skeleton.index[name] for name in ("pelvis", "thorax")])
    wrong[:, others, 0] += away_px  # just as far as is still right
    wrong = np.where(np.isfinite(wrong), np.round(wrong * 4) / 4, np.nan)
    monkeypatch.setattr(dataset, "_build", lambda entry: _rounded(build(entry), 2 * away_px))
    scores = score(dataset, replace(answers, keypoints=wrong), dataset.skeleton, 0)
    assert (scores.measures[0].name, scores.measures[0].value) == ("PCKh@0.5", 1)


def _rounded(sample, head):
    return replace(sample, keypoints=np.round(sample.keypoints * 4) / 4, normalisers={
        "head": np.full(len(sample), head)})


def test_pck_is_that_of_the_metric(testdata, rng):
    dataset = datasets.open("freihand", testdata / "hand/freihand", "test_freihand.json")
    answers = truth_as_answers(dataset, told=True)
    noise = rng.normal(0, 0.15 * longer_side(dataset[0].boxes)[0], answers.keypoints.shape)
    moved = replace(answers, keypoints=(answers.keypoints + noise).astype(np.float32))
    measures = {m.name: m.value for m in score(dataset, moved, dataset.skeleton, 0).measures}
    truth, boxes = (np.concatenate([getattr(s, name) for s in dataset]) for name in ("keypoints", "boxes"))
    away = distances(moved.keypoints, truth)
    expected = float(pck(away, longer_side(boxes), 0.2).mean)
    assert 0.1 < expected < 0.9
    assert measures["PCK@0.2"] == pytest.approx(expected, abs=1e-12)
    assert measures["EPE"] == pytest.approx(float(np.nanmean(away)), rel=1e-6)


def test_only_shared_keypoints_are_judged(testdata):
    """A model of bodies with 17 points on a set of 14: head and neck are made of others or are not judged."""
    dataset = datasets.open("crowdpose", testdata / "body2d/crowdpose", "test_crowdpose.json")
    own = datasets.open("coco", testdata / "body2d/coco_mini", "person_keypoints.json").skeleton
    nobody = concatenate([Estimates.of(Poses.empty(own)) for _ in dataset])
    scores = score(dataset, nobody, own, resamples=0)
    assert 12 <= scores.shared.sum() < 14
    assert np.isnan(scores.per_part[~scores.shared]).all()


@pytest.mark.parametrize("error", [
    UnknownNameError("model", "x", ["xy"]), DatasetMissingError("coco", "expected a folder"), ConfigError("a.b", "no")
])
def test_errors_travel_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


def test_answers_that_were_cut_off_are_refused(tmp_path: Path):
    path = tmp_path / "00000000.npz"
    Estimates.of(Poses.empty(catalogue.get("coco17"))).save(path)
    Estimates.load(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="remove"):
        Estimates.load(path)
