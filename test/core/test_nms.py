# SPDX-License-Identifier: Apache-2.0
"""Doubles among poses. The similarity is that of pycocotools; the suppression is written out here once more, slowly."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval, Params

from pose_ros.core.nms import MEAN_SIGMA, oks, oks_nms
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")


def people(rng: np.random.Generator, n: int, spread: float = 3.0) -> Poses:
    """Return n poses of two people, each off by ``spread`` pixels."""
    bodies = rng.uniform(0, 200, (2, 17, 2))
    keypoints = bodies[rng.integers(0, 2, n)] + rng.normal(0, spread, (n, 17, 2))
    return Poses(COCO, keypoints, rng.uniform(0.1, 1, (n, 17)), subject_scores=rng.uniform(0.1, 1, n))


def coco_oks(a: np.ndarray, b: np.ndarray, area: float) -> float:
    """Return what pycocotools gives for a result ``a`` and a label ``b`` that shows all keypoints."""
    evaluation = COCOeval.__new__(COCOeval)
    evaluation.params = Params("keypoints")
    flat = [np.concatenate([p, np.full((17, 1), 2)], axis=1).ravel().tolist() for p in (a, b)]
    evaluation._dts = {(1, 1): [{"keypoints": flat[0], "score": 1.0}]}
    evaluation._gts = {(1, 1): [{"keypoints": flat[1], "bbox": [0, 0, 1, 1], "area": area}]}
    return float(evaluation.computeOks(1, 1)[0, 0])


def test_similarity_is_that_of_pycocotools(rng):
    keypoints = people(rng, 6, 10.0).keypoints.astype(float)
    areas = rng.uniform(2000, 30000, 6)
    expected = [[coco_oks(keypoints[i], keypoints[j], (areas[i] + areas[j]) / 2) for j in range(6)] for i in range(6)]
    np.testing.assert_allclose(oks(keypoints, areas, COCO.sigmas), expected, atol=1e-6)


def test_only_keypoints_that_both_have_count():
    points = np.zeros((3, 4, 2))
    points[0, 3] = points[1, 0] = points[2, 1:] = np.nan
    points[1, 1] += 1000
    alike = oks(points, np.full(3, 100.0))
    np.testing.assert_allclose(alike, [[1, 0.5, 1], [0.5, 1, 0], [1, 0, 1]], atol=1e-9)


def test_without_published_tolerances_all_keypoints_have_the_same():
    points = np.array([[[0.0, 0]], [[2 * MEAN_SIGMA * 100, 0]]])
    np.testing.assert_allclose(oks(points, np.full(2, 1e4)), [[1, np.exp(-0.5)], [np.exp(-0.5), 1]])


@pytest.mark.parametrize("area", [0.0, np.nan])
def test_a_subject_without_a_size_is_alike_to_itself_alone(area):
    points = np.array([[[5.0, 5]], [[9.0, 5]]])
    np.testing.assert_allclose(oks(points, np.full(2, area)), np.eye(2), atol=1e-6)


@pytest.mark.parametrize("limit", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_the_better_of_two_that_are_alike_stays(limit, seed):
    poses = people(np.random.default_rng(seed), 12)
    extent = np.concatenate([poses.keypoints.min(axis=1), poses.keypoints.max(axis=1)], axis=1)
    areas = (extent[:, 2] - extent[:, 0]) * (extent[:, 3] - extent[:, 1])
    rank = poses.subject_scores * poses.scores.mean(axis=1)
    kept: list[int] = []
    for i in sorted(range(12), key=lambda i: -rank[i]):
        if all(coco_oks(poses.keypoints[i], poses.keypoints[j], (areas[i] + areas[j]) / 2) <= limit for j in kept):
            kept.append(i)
    assert 1 < len(kept) < 12
    np.testing.assert_array_equal(oks_nms(poses, limit).subject_scores, poses.subject_scores[sorted(kept)])


def test_soft_suppression_lowers_scores_and_keeps_everybody():
    skeleton = Skeleton("point", ("a",))
    poses = Poses(skeleton, np.zeros((3, 1, 2)), np.ones((3, 1)), boxes=np.tile(np.float32([0, 0, 9, 9]), (3, 1)),
                  subject_scores=np.array([0.5, 0.9, 0.7]))
    once = np.exp(-1 / 0.9)
    np.testing.assert_allclose(oks_nms(poses, 0.9, soft=True).subject_scores, [0.5 * once**2, 0.9, 0.7 * once],
                               rtol=1e-6)


def test_keypoints_without_a_score_do_not_count_for_the_rank():
    """A pose with few sure keypoints is better than one with all keypoints guessed."""
    few, all_of_them = np.zeros(17), np.full(17, 0.4)
    few[:3] = 0.9
    points = np.broadcast_to(np.linspace(0, 100, 34).reshape(17, 2), (2, 17, 2))
    poses = Poses(COCO, points, np.stack([all_of_them, few]))
    np.testing.assert_array_equal(oks_nms(poses, 0.9).scores[0], few.astype(np.float32))


def test_nobody_and_one():
    assert len(oks_nms(Poses.empty(COCO), 0.9)) == 0
    one = Poses(COCO, np.full((1, 17, 2), np.nan), np.zeros((1, 17)))
    assert len(oks_nms(one, 0.9)) == 1
    assert len(oks_nms(Poses(COCO, np.full((3, 17, 2), np.nan), np.zeros((3, 17))), 0.9)) == 3
