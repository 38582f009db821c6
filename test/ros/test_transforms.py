# SPDX-License-Identifier: Apache-2.0
"""TF frames of keypoints: names, stamps, and which ones there are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tf2_msgs", reason="tf2_msgs is not installed")
pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pose_ros.core.poses import Poses, Source, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.ros.transforms import poses_to_transforms

SKELETON = Skeleton("pair", ("left wrist", "nose"))
POINTS = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], np.float32)


def transforms(poses: Poses, header: Header, *args: object, **options: object) -> TFMessage:
    """Return the frames after a way over the wire."""
    made = TFMessage(transforms=poses_to_transforms(poses, header, *args, **options))
    return deserialize_message(serialize_message(made), TFMessage)


def poses(**columns: object) -> Poses:
    given = {"points": POINTS, "ids": [3, 12], "states": [2, 2], **columns}
    return Poses(given.pop("skeleton", SKELETON), np.zeros((2, 2, 2)), given.pop("scores", np.ones((2, 2))), **given)


def header(frame_id: str = "camera_optical") -> Header:
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = 3, 5
    return made


def places(msg: TFMessage) -> dict[str, list[float]]:
    return {t.child_frame_id: [t.transform.translation.x, t.transform.translation.y, t.transform.translation.z]
            for t in msg.transforms}


def test_every_keypoint_is_a_frame_at_the_stamp_of_the_image() -> None:
    msg = transforms(poses(), header(), "robot1/")
    assert places(msg) == {
        "robot1/body_3/left_wrist": [1, 2, 3], "robot1/body_3/nose": [4, 5, 6],
        "robot1/body_12/left_wrist": [7, 8, 9], "robot1/body_12/nose": [10, 11, 12],
    }
    assert all(t.header == header() and t.transform.rotation.w == 1 for t in msg.transforms)


def test_what_is_missing_doubtful_or_nameless_has_no_frame() -> None:
    points = POINTS.copy()
    points[0, 0, 2] = np.nan
    assert set(places(transforms(poses(points=points), header()))) == {
        "body_3/nose", "body_12/left_wrist", "body_12/nose"}
    doubtful = poses(scores=[[0.1, 0.9], [0.1, 0.1]])
    assert set(places(transforms(doubtful, header(), kind="hand"))) == {"hand_3/nose"}
    assert set(places(transforms(poses(ids=[0, 5]), header()))) == {"body_5/left_wrist", "body_5/nose"}
    assert transforms(poses(states=[0, 2]), header()).transforms == transforms(poses(ids=[0, 12]), header()).transforms
    assert transforms(poses(points=None), header()).transforms == []


def test_names_are_what_tf_accepts() -> None:
    names = places(transforms(poses(), header(), "/my robot/", "körper"))
    assert "my_robot/k_rper_3/left_wrist" in names


@pytest.mark.parametrize("frame_id", ["", "/camera"])
def test_a_parent_that_tf_refuses_is_named(frame_id: str) -> None:
    with pytest.raises(ConfigError, match=r"header\.frame_id: expected the camera's optical frame"):
        transforms(poses(), header(frame_id))


FACE = Skeleton("face", ("nose",), joints=("face/nose",), frames=("face", "gaze"))
TURNED = [1.0, 2.0, 3.0, 0.0, 0.6, 0.0, 0.8]


def faces(**columns: object) -> Poses:
    frames = np.array([[TURNED, [np.nan] * 7], [[4.0, 5, 6, 0, 0, 0, 1], TURNED]])
    given = {"frames": frames, "ids": [3, 12], "states": [2, 2], **columns}
    return Poses(FACE, np.zeros((2, 1, 2)), np.ones((2, 1)), **given)


def test_frames_of_a_face_are_turned_and_named_as_rep_155_asks() -> None:
    msg = transforms(faces(), header(), "robot1/", "face")
    assert places(msg) == {"robot1/face_3": [1, 2, 3], "robot1/face_12": [4, 5, 6], "robot1/gaze_12": [1, 2, 3]}
    turn = msg.transforms[0].transform.rotation
    assert [turn.x, turn.y, turn.z, turn.w] == pytest.approx([0, 0.6, 0, 0.8])
    assert all(t.header == header() for t in msg.transforms)
    assert transforms(faces(ids=[0, 0]), header()).transforms == []


def test_keypoints_of_faces_have_no_frames_unless_asked_for() -> None:
    def shown(poses: Poses, **options: object) -> set[str]:
        return set(places(transforms(poses, header(), **options)))

    face = faces(points=np.array([[[1, 2, 3]], [[4, 5, 6]]]))
    assert shown(face) == {"face_3", "face_12", "gaze_12"}
    assert shown(face, kind="face", keypoints=("all",)) - shown(face) == {"face_3/nose", "face_12/nose"}
    assert shown(poses(), kind="face") == shown(poses(), keypoints=("none",)) == set()
    whole = dataclasses.replace(SKELETON, blocks={"face": ("nose", (1, -1))})
    assert shown(poses(skeleton=whole)) == {"body_3/left_wrist", "body_12/left_wrist"}
    assert len(shown(poses(skeleton=whole), keypoints=("all",))) == 4


def test_chosen_keypoints_alone_are_frames() -> None:
    assert set(places(transforms(poses(), header(), keypoints=("nose",)))) == {"body_3/nose", "body_12/nose"}
    both = transforms(poses(), header(), keypoints=("nose", "left wrist", "elbow"))
    assert both == transforms(poses(), header(), keypoints=("all",))
    assert transforms(poses(), header(), keypoints=("elbow",)).transforms == []
    assert transforms(poses(), header(), keypoints=()).transforms == []


def test_words_and_names_add_up() -> None:
    whole = poses(skeleton=dataclasses.replace(SKELETON, blocks={"face": ("nose", (1,))}))
    assert set(places(transforms(whole, header(), keypoints=("auto", "nose")))) == set(
        places(transforms(whole, header(), keypoints=("all",))))
    assert len(transforms(whole, header(), keypoints=("none", "nose")).transforms) == 2


def test_chosen_frames_alone_are_frames() -> None:
    def shown(*frames: str) -> set[str]:
        return set(places(transforms(faces(), header(), frames=frames)))

    assert shown("all") == shown("auto") == shown("face", "gaze", "body") == {"face_3", "face_12", "gaze_12"}
    assert shown("gaze") == {"gaze_12"}
    assert shown("none") == shown("body") == shown() == set()


@pytest.mark.parametrize("state", [TrackState.UNTRACKED, TrackState.PREDICTED, TrackState.LOST])
def test_frames_of_who_is_not_seen_are_not_refreshed(state: TrackState) -> None:
    assert set(places(transforms(poses(states=[state, 1]), header()))) == {"body_12/left_wrist", "body_12/nose"}
    assert set(places(transforms(faces(states=[state, 1]), header()))) == {"face_12", "gaze_12"}


def test_frames_of_held_keypoints_are_not_refreshed() -> None:
    sources = [[Source.HELD, Source.MEASURED], [Source.INFERRED, Source.HELD]]
    assert set(places(transforms(poses(sources=sources), header()))) == {"body_3/nose", "body_12/left_wrist"}


def test_segments_of_a_body_are_frames_beside_its_keypoints() -> None:
    """What a whole-body skeleton says of its face does not take the frames of its joints away."""
    body = dataclasses.replace(SKELETON, frames=("body", "left_thigh"))
    frames = np.array([[TURNED, [np.nan] * 7], [TURNED, TURNED]])
    assert set(places(transforms(poses(skeleton=body, frames=frames), header()))) == {
        "body_3", "body_12", "left_thigh_12", "body_3/left_wrist", "body_3/nose", "body_12/left_wrist", "body_12/nose"}
