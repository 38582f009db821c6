# SPDX-License-Identifier: Apache-2.0
"""Joint states: names, units, and which joints there are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="sensor_msgs is not installed")
pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.ros.joint_states import poses_to_joint_states

BODY = Skeleton("body", ("nose",), measures=("mouth_opening", "left_knee_flexion", "right_knee_flexion"))
HAND = Skeleton("hand", ("wrist",), measures=("grasp_opening",))


def of(
    skeleton: Skeleton, measures: list[list[float]] | None, ids: list[int], states: list[int] | None = None
) -> Poses:
    n = len(ids)
    return Poses(skeleton, np.zeros((n, 1, 2)), np.ones((n, 1)), ids=np.array(ids),
                 measures=None if measures is None else np.array(measures),
                 states=np.array(states or [TrackState.TRACKED] * n))


def joints(*kinds: tuple[str, Poses], prefix: str = "") -> JointState:
    """Return the message after a way over the wire."""
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 3, 5
    made = poses_to_joint_states(kinds, header, prefix)
    msg = deserialize_message(serialize_message(made), JointState)
    assert msg.header == header
    assert not msg.velocity
    assert not msg.effort
    return msg


def test_angles_and_openings_of_all_subjects_are_one_message() -> None:
    bodies = of(BODY, [[0.5, 0.25, 1.0], [0.5, -0.25, 2.0]], ids=[3, 12])
    msg = joints(("body", bodies), ("hand", of(HAND, [[0.0625]], ids=[4])), prefix="/my robot/")
    assert list(msg.name) == [
        "my_robot/body_3/left_knee_flexion", "my_robot/body_3/right_knee_flexion",
        "my_robot/body_12/left_knee_flexion", "my_robot/body_12/right_knee_flexion",
        "my_robot/hand_4/grasp_opening",
    ]  # fmt: skip
    assert list(msg.position) == [0.25, 1.0, -0.25, 2.0, 0.0625]


def test_what_is_not_known_is_left_out() -> None:
    msg = joints(("body", of(BODY, [[0.5, np.nan, 1.0]], ids=[3])), ("hand", of(HAND, None, ids=[4])))
    assert (list(msg.name), list(msg.position)) == (["body_3/right_knee_flexion"], [1.0])
    assert list(joints(("face", of(Skeleton("face", ("nose",)), None, ids=[1]))).name) == []
    assert list(joints(("body", Poses.empty(BODY))).name) == []


@pytest.mark.parametrize("state", [TrackState.UNTRACKED, TrackState.PREDICTED, TrackState.LOST])
def test_joints_of_who_is_not_seen_are_not_refreshed(state: TrackState) -> None:
    bodies = of(BODY, [[0.5, 0.25, 1.0], [0.5, -0.25, 2.0]], ids=[3, 12], states=[state, TrackState.NEW])
    assert list(joints(("body", bodies)).position) == [-0.25, 2.0]
    assert not joints(("body", of(BODY, [[0.5, 0.25, 1.0]], ids=[0]))).name
