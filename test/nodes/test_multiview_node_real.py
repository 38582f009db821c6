# SPDX-License-Identifier: Apache-2.0
"""A bag of four cameras through the real nodes: player, four pose nodes, and the multi-view node."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

import numpy as np
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter

from pose_ros.nodes.multiview_node import MultiviewNode
from pose_ros.nodes.player_node import PlayerNode
from pose_ros.nodes.pose_node import PoseNode
from pose_ros.ros.qos import LATCHED, sensor
from pose_ros.ros.reading import array_to_poses, info_to_skeleton
from pose_ros.skeletons import catalogue

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
LIMBS = [(f"{side}_{a}", f"{side}_{b}") for side, (a, b) in itertools.product(
    ("left", "right"), (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")))]  # fmt: skip


def overrides(**values):
    return [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]


@pytest.fixture(scope="module")
def bag(testdata):
    return testdata / "bags" / "pose2sim_single_4cam"


@pytest.fixture
def fused(ros, models, bag):
    """Return what is fused, as poses and as messages, and the hands."""
    other, arrays, infos, hands = ros.node("other"), [], [], []
    other.create_subscription(SkeletonArray, "/multiview/hands/skeletons", hands.append, sensor("reliable", 100))
    other.create_subscription(SkeletonArray, "/multiview/skeletons", arrays.append, sensor("reliable", 100))
    other.create_subscription(SkeletonInfo, "/multiview/skeleton_info", infos.append, LATCHED)
    poses = [
        ros.add(PoseNode(context=ros.context, namespace=name, parameter_overrides=overrides(
            model="blazepose-full", smooth=False, image_topic="image_raw/compressed", reliability="reliable", depth=100,
            hands__model="mediapipe-hand-landmark-full",
        ))) for name in CAMERAS
    ]
    room = ros.add(MultiviewNode(context=ros.context, parameter_overrides=overrides(
        cameras=", ".join(CAMERAS), sync__max_wait=5.0, sync__max_silence=60.0, hands=True,
    )))
    assert ros.spin_until(lambda: all(node._state == "active" for node in (*poses, room)))
    player = ros.add(PlayerNode(ros.context, parameter_overrides=overrides(
        source=str(bag), wait_for_subscribers=2 * len(CAMERAS),
    )))
    assert ros.spin_until(lambda: len(arrays) == 20, 60.0), (len(arrays), room._health.last_error)
    for node in (player, *poses, room):
        node.close()
    skeleton = info_to_skeleton(infos[-1])
    return [array_to_poses(array, skeleton) for array in arrays], arrays, hands


def test_a_gymnast_before_four_cameras(fused):
    poses, arrays, hands = fused
    assert [p.ids.tolist() for p in poses] == [[1]] * 20
    assert {a.header.frame_id for a in arrays} == {"world"}
    stamps = [a.header.stamp.sec * 10**9 + a.header.stamp.nanosec for a in arrays]
    np.testing.assert_allclose(np.diff(stamps), 1e9 / 12, atol=2)
    points = np.concatenate([p.points for p in poses])
    errors = np.concatenate([p.reprojection_errors for p in poses])
    known = np.isfinite(points).all(axis=2)
    assert known.mean() > 0.95
    assert np.nanmedian(errors) < 6  # px, where 10 are asked for
    assert (errors[np.isfinite(errors)] < 10).mean() > 0.9
    assert np.nanpercentile(errors, 95) < 12
    index = poses[0].skeleton.index
    spread = {}
    for a, b in LIMBS:
        lengths = np.linalg.norm(points[:, index[a]] - points[:, index[b]], axis=1)
        assert 0.2 < np.nanmedian(lengths) < 0.5
        spread[a, b] = np.nanstd(lengths) / np.nanmean(lengths)
    # Forearms of an arm that is hidden in two of four cameras are the worst.
    assert np.median(list(spread.values())) < 0.05, spread
    assert max(spread.values()) < 0.12, spread
    # His hands are at his wrists, and of the size of hands.
    hand21 = catalogue.get("hand21")
    found = [(whole, array_to_poses(array, hand21)) for whole, array in zip(poses, hands, strict=False)]
    assert sum(len(hand) > 0 for _, hand in found) > 12, [len(hand) for _, hand in found]
    apart, long = [], []
    for whole, hand in found:
        assert set(hand.parents.tolist()) <= {1}
        for row, side in enumerate(hand.sides.tolist()):
            wrist = whole.points[0, index[{1: "left_wrist", 2: "right_wrist"}[side]]]
            apart.append(np.linalg.norm(hand.points[row, 0] - wrist))
            long.append(np.linalg.norm(hand.points[row, 0] - hand.points[row, hand21.index["middle_finger1"]]))
    assert np.nanmedian(apart) < 0.04
    assert np.nanpercentile(apart, 95) < 0.08
    assert 0.06 < np.nanmedian(long) < 0.11
