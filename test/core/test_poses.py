# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose_ros.core.poses import Poses, Source, TrackState, concatenate
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.skeletons import catalogue

ARM = Skeleton("arm", ("shoulder", "elbow", "wrist"))
HAND = Skeleton("hand", ("wrist", "thumb"))


def arms(n: int = 2, **columns: object) -> Poses:
    keypoints = np.arange(n * 6, dtype=np.float32).reshape(n, 3, 2)
    return Poses(ARM, keypoints, np.full((n, 3), 0.5, np.float32), **columns)


def test_columns_that_are_left_out_are_neutral():
    poses = arms()
    assert np.isnan(poses.boxes).all()
    assert poses.subject_scores.tolist() == [1, 1]
    assert (poses.sources == Source.MEASURED).all()
    assert poses.ids.tolist() == poses.ages_ns.tolist() == poses.sides.tolist() == [0, 0]
    assert (poses.states == TrackState.UNTRACKED).all()
    assert poses.points is poses.covariances is poses.local_points is poses.regions is None


def test_a_missing_keypoint_is_marked_as_such():
    keypoints = np.zeros((1, 3, 2))
    keypoints[0, 1] = np.nan
    assert Poses(ARM, keypoints, np.ones((1, 3))).sources.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(("columns", "message"), [
    ({"keypoints": np.zeros((1, 4, 2))}, r"keypoints: expected \(N, 3, 2\) for skeleton 'arm', got \(1, 4, 2\)"),
    ({"keypoints": np.zeros((3, 2))}, r"keypoints: expected \(N, 3, 2\)"),
    ({"scores": np.zeros((1, 2))}, r"scores: expected \(1, 3\), got \(1, 2\)"),
    ({"boxes": np.zeros(4)}, r"boxes: expected \(1, 4\), got \(4,\)"),
    ({"subject_scores": np.zeros(2)}, r"subject_scores: expected \(1,\), got \(2,\)"),
    ({"sources": np.zeros((1, 2))}, r"sources: expected \(1, 3\)"),
    ({"ids": np.zeros((1, 1))}, r"ids: expected \(1,\)"),
    ({"points": np.zeros((1, 3, 2))}, r"points: expected \(1, 3, 3\)"),
    ({"covariances": np.zeros((1, 3, 9))}, r"covariances: expected \(1, 3, 3, 3\)"),
    ({"regions": np.zeros((1, 4))}, r"regions: expected \(1, 5\)"),
])
def test_a_column_of_another_shape_is_refused_by_name(columns, message):
    with pytest.raises(ShapeError, match=message):
        Poses(**{"skeleton": ARM, "keypoints": np.zeros((1, 3, 2)), "scores": np.zeros((1, 3)), **columns})
    with pytest.raises(ShapeError, match=message.partition(" ")[0]):
        arms(1).replace(**columns)


def test_empty_keeps_k():
    assert Poses.empty(ARM).keypoints.shape == (0, 3, 2)
    assert Poses.empty(ARM).scores.shape == (0, 3)


def test_select_takes_every_column():
    poses = arms(3, ids=np.array([7, 8, 9]), points=np.ones((3, 3, 3)), regions=np.zeros((3, 5)))
    for rows in (np.array([2, 0]), np.array([True, False, True]), np.array([], int)):
        chosen = poses.select(rows)
        for f in dataclasses.fields(Poses):
            column = getattr(poses, f.name)
            if f.name != "skeleton" and column is not None:
                np.testing.assert_array_equal(getattr(chosen, f.name), column[rows])
    assert poses.select(np.array([2, 0])).ids.tolist() == [9, 7]


def test_one_keypoint_by_name():
    np.testing.assert_array_equal(arms().keypoint("wrist"), [[4, 5], [10, 11]])


def test_to_another_skeleton():
    poses = arms(points=np.ones((2, 3, 3)), boxes=np.ones((2, 4))).to(HAND)
    np.testing.assert_array_equal(poses.keypoint("wrist"), [[4, 5], [10, 11]])
    assert np.isnan(poses.keypoint("thumb")).all()
    assert poses.scores.tolist() == [[0.5, 0], [0.5, 0]]
    assert poses.sources.tolist() == [[1, 0], [1, 0]]
    assert np.isnan(poses.points[:, 1]).all()
    assert (poses.points[:, 0] == 1).all()
    assert poses.local_points is None
    assert (poses.boxes == 1).all()


def test_to_itself_is_itself():
    poses = arms()
    assert poses.to(ARM) is poses


def test_to_a_skeleton_of_something_else():
    with pytest.raises(ConfigError, match="'hand' and 'leg' have no keypoint in common"):
        Poses.empty(HAND).to(Skeleton("leg", ("knee", "ankle")))


def test_mediapipe33_to_coco17_keeps_names():
    source, target = catalogue.get("mediapipe33"), catalogue.get("coco17")
    poses = Poses(source, np.arange(66).reshape(1, 33, 2), np.ones((1, 33))).to(target)
    for name in target.keypoints:
        np.testing.assert_array_equal(poses.keypoint(name)[0, 0] / 2, source.index[name])


def test_concatenate():
    joined = concatenate([arms(1, ids=np.array([3])), Poses.empty(ARM), arms(2, points=np.ones((2, 3, 3)))])
    assert len(joined) == 3
    assert joined.ids.tolist() == [3, 0, 0]
    assert np.isnan(joined.points[0]).all()
    assert (joined.points[1:] == 1).all()
    assert joined.regions is None


def test_concatenate_refuses_what_does_not_belong_together():
    with pytest.raises(ConfigError, match=r"expected one skeleton, got \['arm', 'hand'\]"):
        concatenate([arms(), Poses.empty(HAND)])
    with pytest.raises(ConfigError, match="at least one"):
        concatenate([])


def test_replace_keeps_the_rest_and_the_original():
    poses = arms(ids=np.array([3, 4]), points=np.ones((2, 3, 3)))
    moved = poses.replace(sources=None, keypoints=np.full((2, 3, 2), np.nan), points=None, sides=[1, 2])
    assert moved.sources.tolist() == [[Source.MISSING] * 3] * 2
    assert (moved.ids.tolist(), moved.sides.tolist(), moved.points) == ([3, 4], [1, 2], None)
    assert (moved.keypoints.dtype, moved.sides.dtype) == (np.float32, np.uint8)
    assert (poses.sources == Source.MEASURED).all()
    assert poses.sides.tolist() == [0, 0]
    assert len(poses.replace(**vars(arms(3)))) == 3
