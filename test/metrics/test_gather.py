# SPDX-License-Identifier: Apache-2.0
"""Labels of data sets and poses of pipelines become columns: as COCO's JSON of them would."""

from __future__ import annotations

import numpy as np

from pose_ros import datasets
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.metrics import gather
from pose_ros.metrics.average_precision import of_boxes, of_keypoints
from pose_ros.skeletons import catalogue

COCO = catalogue.get("coco17")


def test_labels_as_results_are_perfect(testdata):
    """The labels of real photographs, crowds and people without keypoints among them, given back as they are."""
    samples = [(s.id, s) for s in datasets.open("coco", testdata / "body2d/coco_mini", "person_keypoints.json")]
    labels = gather.labels(COCO, samples)
    assert len(labels) == 93
    assert labels.crowd.sum() == 1
    found, seen = [], []
    for number, s in samples:
        people = (s.visibility > 0).any(axis=1) & ~s.ignore
        found.append((number, Poses(COCO, s.keypoints[people], (s.visibility[people] > 0).astype(float))))
        seen.append((number, Detections(s.boxes[~s.ignore] - 0.5, np.ones((~s.ignore).sum()))))
    assert of_keypoints(labels, gather.poses(COCO, found), COCO.sigmas).summary()["AP"] == 1
    assert of_boxes(labels, gather.boxes(seen)).summary()["AP"] == 1
    without = of_keypoints(labels, gather.poses(COCO, found[::2]), COCO.sigmas).summary()
    assert 0.2 < without["AR"] < 0.8


def test_subjects_are_ranked_by_what_they_are_sure_of():
    scores = np.zeros((3, 17))
    scores[0, :4] = 0.1, 0.15, 0.4, 0.8
    scores[1] = 0.15
    found = Poses(COCO, np.zeros((3, 17, 2)), scores, subject_scores=np.array([0.5, 1, 1]))
    np.testing.assert_allclose(gather.ranking(found), [0.5 * 0.6, 0, 0], rtol=1e-6)


def test_poses_of_another_skeleton_are_converted():
    halpe = catalogue.get("halpe26")
    found = Poses(halpe, np.arange(52.0).reshape(1, 26, 2), np.ones((1, 26)))
    columns = gather.poses(COCO, [(3, found), (4, Poses.empty(halpe))], category=2)
    assert columns.keypoints.shape == (1, 17, 2)
    assert (columns.image.tolist(), columns.categories.tolist()) == ([3], [2])
    np.testing.assert_array_equal(columns.keypoints[0], found.to(COCO).keypoints[0])
    assert len(gather.labels(COCO, [])) == len(gather.poses(COCO, [])) == len(gather.boxes([])) == 0
