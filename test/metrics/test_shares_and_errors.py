# SPDX-License-Identifier: Apache-2.0
"""PCK and its relatives, NME, errors in space, actions, intervals: beside mmpose's functions, and worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pose_ros.errors import ConfigError, ShapeError, UnknownNameError
from pose_ros.metrics import actions, mpjpe, nme, pck
from pose_ros.metrics.average_precision import of_keypoints
from pose_ros.metrics.bootstrap import bootstrap, ratio
from pose_ros.metrics.distance import distances, found_share, mean_error
from pose_ros.skeletons import catalogue

THREE = np.array([[[0.0, 0], [10, 0], [20, 0]]])


def test_image_errors_are_those_of_mmpose(scenes, recorded):
    found, truth, mask = scenes.poses(2)
    expected = recorded["mmpose"]
    away = distances(found, truth, mask)
    sizes = np.linspace(50, 150, len(found))
    correct = pck.pck(away, sizes, 0.1, "<")
    np.testing.assert_allclose(correct.per_keypoint, expected["pck"]["per_keypoint"])
    np.testing.assert_allclose(correct.mean, expected["pck"]["mean"])
    curve = pck.curve(away, 30.0, np.arange(20) / 20, "<")
    assert pck.area_under_curve(curve.mean) == pytest.approx(expected["auc"])
    assert mean_error(away) == pytest.approx(expected["epe"], rel=1e-6)
    np.testing.assert_allclose(nme.nme(away, sizes), expected["nme"], rtol=1e-6)


def test_errors_in_space_are_those_of_mmpose(scenes, recorded):
    found, truth, _ = scenes.poses(3)
    expected = recorded["mmpose"]
    assert mpjpe.mpjpe(found, truth).mean() == pytest.approx(expected["mpjpe none"])
    assert mpjpe.p_mpjpe(found, truth).mean() == pytest.approx(expected["mpjpe procrustes"])
    assert mpjpe.n_mpjpe(found, truth).mean() == pytest.approx(expected["mpjpe scale"])
    np.testing.assert_allclose(mpjpe.procrustes(found, truth)[0], expected["procrustes"], rtol=1e-9)


def test_keypoints_at_the_threshold_are_what_the_rule_says():
    away = distances(np.add(THREE, [0, 5]), THREE)
    assert pck.pck(away, 10.0, 0.5, "<").pooled == 0
    assert pck.pck(away, 10.0, 0.5, "<=").pooled == 1
    assert pck.pckh(away, np.array([10.0])).pooled == 1
    with pytest.raises(ConfigError, match="rule"):
        pck.pck(away, 10.0, 0.5, "=<")


def test_what_is_missing_is_wrong_and_has_no_error():
    found = THREE.copy()
    found[0, 0] = np.nan
    away = distances(found, THREE, np.array([[1, 2, 0]]))
    assert away.tolist()[0][:2] == [np.inf, 0]
    assert np.isnan(away[0, 2])
    correct = pck.pck(away, 10.0, 0.5)
    assert correct.correct.tolist() == [0, 1, 0]
    assert correct.labelled.tolist() == [1, 1, 0]
    assert correct.pooled == correct.mean == 0.5
    assert mean_error(away) == 0
    assert found_share(away) == 0.5
    assert np.isnan(mean_error(away[:, 2:]))
    assert np.isnan(found_share(away[:, 2:]))
    with pytest.raises(ShapeError):
        distances(found[:, :2], THREE)


def test_shares_of_groups_and_of_parts_add_up(rng_away):
    whole = pck.curve(rng_away, 1.0, np.linspace(0, 1, 11), "<=")
    halves = pck.curve(rng_away[:7], 1.0, np.linspace(0, 1, 11), "<=") + pck.curve(
        rng_away[7:], 1.0, np.linspace(0, 1, 11), "<=")  # fmt: skip
    np.testing.assert_array_equal(whole.correct, halves.correct)
    np.testing.assert_array_equal(whole.labelled, halves.labelled)
    slow = [[(rng_away[:, k] <= t).sum() for k in range(4)] for t in np.linspace(0, 1, 11)]
    np.testing.assert_array_equal(whole.correct, slow)
    assert whole.of([1, 3]).per_keypoint.tolist() == whole.per_keypoint[:, [1, 3]].tolist()


@pytest.fixture
def rng_away():
    away = np.random.default_rng(0).random((20, 4)).round(1)
    away[3, 2], away[5, 1] = np.nan, np.inf
    return away


def test_area_under_a_straight_line_is_a_half():
    steps = np.linspace(0, 50, 101)
    assert pck.area_under_curve(steps / 50, steps) == pytest.approx(0.5)
    assert pck.area_under_curve(np.array([0, 0.5, 1])) == 0.5


def test_limbs_are_correct_by_their_ends():
    limbs = np.array([[0, 1], [1, 2]])
    found = THREE + np.array([[[0, 4.0], [0, 6], [0, 0]]])
    assert pck.pcp(found, THREE, limbs).correct.tolist() == [0, 0]
    assert pck.pcp(found, THREE, limbs, ends="mean").correct.tolist() == [1, 1]
    assert pck.pcp(np.where([[[0], [0], [1]]], np.nan, found), THREE, limbs, 1.0).correct.tolist() == [1, 0]


def test_lengths_of_subjects():
    boxes = np.array([[0.0, 0, 3, 4]])
    assert pck.head_sizes(boxes) == pytest.approx(3)
    assert pck.longer_side(boxes) == 4
    assert nme.box_diagonal(boxes) == 5
    assert nme.box_size(boxes) == pytest.approx(np.sqrt(12))
    coco = catalogue.get("coco17")
    truth = np.zeros((1, 17, 2))
    truth[0, coco.index["right_hip"]] = 3, 4
    assert pck.torso_lengths(truth, coco) == 5
    away = distances(np.add(truth, [2.5, 0]), truth)
    assert pck.pdj(away, pck.torso_lengths(truth, coco), np.array([0.4, 0.5])).pooled.tolist() == [0, 1]
    with pytest.raises(ConfigError, match="face68"):
        pck.torso_lengths(truth, catalogue.get("face68"))


@pytest.mark.parametrize("name", sorted(nme.EYES))
def test_eyes_are_those_of_the_skeleton(name):
    names = catalogue.get(name).keypoints
    eyes = nme.EYES[name]
    assert all("eye" in names[i] or "pupil" in names[i] for i in (*eyes.corners, *eyes.pupils[0], *eyes.pupils[1]))
    left, right = (set(names[i].split("_")) & {"left", "right"} for i in eyes.corners)
    assert left != right
    with pytest.raises(UnknownNameError):
        nme.inter_ocular(np.zeros((1, 5, 2)), "face5")


def test_real_eyes_are_as_far_apart_as_eyes(testdata):
    """Pupils against corners, in real labels of 300-W."""
    labels = json.loads((testdata / "face/300w/test_300w.json").read_text())["annotations"]
    truth = np.array([row["keypoints"] for row in labels], float).reshape(len(labels), 68, 3)[..., :2]
    corners, pupils = nme.inter_ocular(truth, "face68"), nme.inter_pupil(truth, "face68")
    assert ((pupils / corners > 0.6) & (pupils / corners < 0.85)).all()
    shifted = distances(np.add(truth, [corners.mean() * 0.05, 0]), truth)
    assert np.mean(nme.nme(shifted, corners)) == pytest.approx(0.05, rel=0.2)


def test_failures_and_the_area_under_errors():
    errors = np.array([0.0, 0.05, 0.1, 0.2, np.nan])
    assert nme.failure_rate(errors, 0.1) == pytest.approx(2 / 5)
    assert nme.area_under_errors(errors, 0.1) == pytest.approx((1 + 0.5) / 5)
    steps = np.arange(0, 0.1 + 1e-4, 1e-4)
    shares = [(errors <= step).mean() for step in steps]
    assert nme.area_under_errors(errors, 0.1) == pytest.approx(pck.area_under_curve(np.array(shares), steps), abs=1e-3)


def test_alignment_undoes_what_it_may():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(5, 17, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    found = 2.5 * truth @ turn + [1, 2, 3]
    assert mpjpe.p_mpjpe(found, truth).max() < 1e-12
    assert mpjpe.p_mpjpe(found * [1, 1, -1], truth).min() > 0.1  # a mirror image stays one
    assert mpjpe.n_mpjpe(3 * truth + 1, truth, root=0).max() < 1e-12
    assert mpjpe.mpjpe(truth + 1, truth, root=0).max() < 1e-12
    found[0, 4] = np.nan
    assert mpjpe.p_mpjpe(found, truth).max() < 1e-12
    found[1, 2:] = np.nan
    assert np.isnan(mpjpe.p_mpjpe(found, truth)).tolist() == [False, True, False, False, False]


def test_real_poses_in_space(testdata):
    """Real poses of Human3.6M, moved and stretched: each measure sees what it is for."""
    poses = json.loads((testdata / "body3d/h36m/h36m.json").read_text())
    truth = np.array([row["kp3d_camera_m"] for row in poses])[..., :3]
    bones = np.array(catalogue.get("h36m17").edges)
    assert mpjpe.mpjpe(truth + 0.1, truth).mean() == pytest.approx(0.1 * np.sqrt(3))
    np.testing.assert_allclose(mpjpe.bone_length_error(1.1 * truth, truth, bones),
                               0.1 * mpjpe.bone_lengths(truth, bones).mean(axis=0))  # fmt: skip
    assert mpjpe.bone_length_spread(np.repeat(truth[:1], 3, axis=0), bones).max() < 1e-12
    assert mpjpe.mpjve(truth + 0.1, truth).max(initial=0) < 1e-12
    assert mpjpe.pck3d(np.add(truth, [0.1, 0, 0]), truth) == 1
    assert mpjpe.pck3d(np.add(truth, [0.2, 0, 0]), truth) == 0
    assert mpjpe.auc3d(np.add(truth, [0.0751, 0, 0]), truth) == pytest.approx(15 / 31)


def test_actions_are_counted(scenes):
    scores, truth = scenes.said()
    found = scores.argmax(axis=1)
    table = actions.confusion(truth, found, 5)
    assert table.accuracy == pytest.approx((truth == found).mean()) == actions.top_k_accuracy(truth, scores, 1)
    assert table.counts[2, 3] == ((truth == 2) & (found == 3)).sum()
    recall = [(found[truth == c] == c).mean() for c in range(5)]
    np.testing.assert_allclose(table.recall, recall)
    np.testing.assert_allclose(table.precision, [(truth[found == c] == c).mean() for c in range(5)])
    np.testing.assert_allclose(table.f1, 2 / (1 / table.recall + 1 / table.precision))
    assert table.mean_class_accuracy == pytest.approx(np.mean(recall))
    assert actions.top_k_accuracy(truth, scores, 5) == 1
    again = actions.confusion(truth[:30], found[:30], 5) + actions.confusion(truth[30:], found[30:], 5)
    np.testing.assert_array_equal(again.counts, table.counts)
    silent = actions.confusion([0, 1], [0, actions.NOTHING], 2)
    assert silent.accuracy == 0.5
    assert silent.recall.tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"found: expected classes -1 \.\. 1, got 0 \.\. 2"):
        actions.confusion([0, 1], [0, 2], 2)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        parts = rng.exponential(1, 60)
        interval = bootstrap(ratio(parts, np.ones(60)), 60, 300, 0.9, seed)
        assert interval.low <= interval.value <= interval.high
        hits += interval.low <= 1 <= interval.high
    assert 0.82 < hits / 200 < 0.95
    assert bootstrap(ratio(parts, np.ones(60)), 60) == bootstrap(ratio(parts, np.ones(60)), 60)
    with pytest.raises(ConfigError):
        bootstrap(ratio(parts, np.ones(60)), 0)


def test_an_interval_of_average_precision_needs_no_second_matching(benchmark_scenes):
    truth, found = benchmark_scenes.scene(60)
    evaluation = of_keypoints(truth, found, catalogue.get("coco17").sigmas)
    interval = bootstrap(lambda w: evaluation.summary(w, ["AP"])["AP"], len(evaluation.images), 100)
    assert interval.value == evaluation.summary()["AP"]
    assert 0 < interval.low < interval.value < interval.high < 1
