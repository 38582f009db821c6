# SPDX-License-Identifier: Apache-2.0
"""hri_msgs: constants by name, ids, edges of images, and frames."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("hri_msgs", reason="hri_msgs is not installed")
pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from hri_msgs.msg import FacialLandmarks, IdsMatch, Skeleton2D
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from pose_ros.anatomy import humanoid
from pose_ros.core import quaternion
from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError
from pose_ros.ros import hri
from pose_ros.skeletons import catalogue

HEADER, SIZE = Header(frame_id="camera"), (200, 100)


def constants(message: type) -> dict[str, int]:
    names = [name for name in dir(type(message)) if re.fullmatch("[A-Z][A-Z0-9_]*", name)]
    return {name: getattr(message, name) for name in names}


def poses(skeleton: str, **columns: np.ndarray) -> Poses:
    """Return one subject whose keypoint i is at the pixel (2 i, i), with the score 1 - i / 1000."""
    kind = catalogue.get(skeleton)
    i = np.arange(len(kind))
    return Poses(kind, np.stack([2 * i, i], axis=1)[None], (1 - i / 1000)[None], **columns)


def at(point) -> tuple[float, float]:
    return round(point.x * SIZE[0] - 0.5, 3), round(point.y * SIZE[1] - 0.5, 3)


@pytest.mark.parametrize("skeleton", ["coco17", "coco18", "body25", "mediapipe33", "wholebody133"])
def test_keypoints_are_where_the_constants_say(skeleton: str) -> None:
    """COCO has the right eye of OpenPose first, the message the left one: names count, and nothing else does."""
    made = hri.skeletons2d(HEADER, poses(skeleton), SIZE)[0]
    msg = deserialize_message(serialize_message(made), Skeleton2D)
    names = constants(Skeleton2D)
    assert len(names) == 18
    index = catalogue.get(skeleton).index
    for name, place in names.items():
        if name.lower() in index and index[name.lower()] < 100:
            i = index[name.lower()]
            assert at(msg.skeleton[place]) == (2 * i, i), name
            assert msg.skeleton[place].c == pytest.approx(1 - i / 1000)


def test_a_neck_is_made_of_both_shoulders_and_as_sure_as_the_less_sure() -> None:
    body = poses("coco17")
    left, right = (body.skeleton.index[f"{side}_shoulder"] for side in ("left", "right"))
    (msg,) = hri.skeletons2d(HEADER, body, SIZE)
    assert at(msg.skeleton[Skeleton2D.NECK]) == (left + right, (left + right) / 2)
    assert msg.skeleton[Skeleton2D.NECK].c == pytest.approx(1 - max(left, right) / 1000)
    keypoints = body.keypoints.copy()
    keypoints[0, left] = np.nan
    (msg,) = hri.skeletons2d(HEADER, body.replace(keypoints=keypoints), SIZE)
    for place in (Skeleton2D.NECK, Skeleton2D.LEFT_SHOULDER):
        assert (msg.skeleton[place].x, msg.skeleton[place].y, msg.skeleton[place].c) == (0, 0, 0)


def test_points_outside_of_the_image_are_missing_and_the_last_pixel_is_inside() -> None:
    body = poses("hri18")
    keypoints = body.keypoints.copy()
    keypoints[0, :3] = (-1, 5), (199, 99), (200, 50)
    (msg,) = hri.skeletons2d(HEADER, body.replace(keypoints=keypoints), SIZE)
    assert [p.c > 0 for p in msg.skeleton[:3]] == [False, True, False]


def test_landmarks_are_where_the_constants_say() -> None:
    kind = catalogue.get("openpose_face70")
    (msg,) = hri.landmarks(HEADER, poses("openpose_face70"), SIZE)
    assert (msg.width, msg.height, len(constants(FacialLandmarks))) == (*SIZE, 70)
    for constant, keypoint in {
        "RIGHT_EAR": "jaw_0", "RIGHT_PROFILE_7": "jaw_7", "LEFT_PROFILE_7": "jaw_9", "LEFT_EAR": "jaw_16",
        "RIGHT_EYEBROW_OUTSIDE": "right_brow_0", "LEFT_EYEBROW_INSIDE": "left_brow_0",
        "LEFT_EYEBROW_OUTSIDE": "left_brow_4", "NOSE": "nose_bridge_3", "RIGHT_EYE_OUTSIDE": "right_eye_0",
        "RIGHT_EYE_BOTTOM_1": "right_eye_5", "LEFT_EYE_INSIDE": "left_eye_0", "LEFT_EYE_OUTSIDE": "left_eye_3",
        "MOUTH_OUTER_BOTTOM_1": "outer_lips_11", "MOUTH_INNER_LEFT": "inner_lips_4", "RIGHT_PUPIL": "right_pupil",
    }.items():  # fmt: skip
        i = kind.index[keypoint]
        assert at(msg.landmarks[getattr(FacialLandmarks, constant)]) == (2 * i, i), constant
    order = hri._landmark_order()
    assert sorted(order) == list(range(70))
    # The right side of a name is that of the keypoint, and flipping a face flips its constants.
    flip = dict(enumerate(kind.flip))
    names = {place: name for name, place in constants(FacialLandmarks).items()}
    for place, keypoint in enumerate(order.tolist()):
        other = list(order).index(flip[keypoint])
        mirrored = re.sub("LEFT|RIGHT", lambda m: {"LEFT": "RIGHT", "RIGHT": "LEFT"}[m[0]], names[place])
        if "TOP" not in mirrored and "BOTTOM" not in mirrored and "NOSTRIL" not in mirrored:
            assert names[other] == mirrored


def test_a_mesh_has_all_70_points_and_no_body_is_a_face() -> None:
    assert hri.knows_landmarks(catalogue.get("facemesh478"))
    (msg,) = hri.landmarks(HEADER, poses("facemesh478"), (2000, 1000))
    assert all(p.c > 0 for p in msg.landmarks)
    assert not hri.knows_landmarks(catalogue.get("wholebody133"))
    assert hri.knows_skeleton2d(catalogue.get("wholebody133"))
    assert not hri.knows_skeleton2d(catalogue.get("ap10k17"))


def test_ids_are_short_begin_with_a_letter_and_are_unique() -> None:
    assert (hri.human_id("body", 7), hri.human_id("face", 7)) == ("b0007", "f0007")
    assert hri.human_id("body", 36**4) == "a0000"
    tracks = [*range(5000), *range(36**4 - 50, 36**4 + 5000), 12 * 36**4 - 1, 2**32 - 1]
    ids = [hri.human_id(kind, track) for kind in ("body", "face") for track in tracks]
    assert len({*ids}) == 2 * len(tracks)
    assert all(re.fullmatch("[a-z][a-z0-9]{4}", id) for id in ids)


@pytest.mark.parametrize(("box", "expected"), [
    ((-0.5, -0.5, 199.5, 99.5), (0, 0, 1, 1)), ((49.5, 24.5, 99.5, 49.5), (0.25, 0.25, 0.5, 0.5)),
    ((-50, 49.5, 49.5, 300), (0, 0.5, 0.25, 1)), ((np.nan,) * 4, (0, 0, 0, 0)), ((300, 10, 400, 20), (0, 0, 0, 0)),
])  # fmt: skip
def test_regions_are_parts_of_the_image(box, expected) -> None:
    msg = hri.roi(HEADER, np.array(box, np.float32), 0.75, SIZE)
    assert (msg.xmin, msg.ymin, msg.xmax, msg.ymax) == expected
    assert msg.c == (0.75 if any(expected) else 0)


def test_a_match_says_what_is_what() -> None:
    msg = hri.match("f0001", "b0002", 0.5)
    assert (msg.id1, msg.id1_type, msg.id2, msg.id2_type) == ("f0001", IdsMatch.FACE, "b0002", IdsMatch.BODY)


def test_unknown_joints_are_left_out() -> None:
    angles = np.full(len(humanoid.MOVING), np.nan)
    angles[humanoid.MOVING.index("l_elbow")] = 0.5
    msg = hri.joint_state(HEADER, "b0001", angles)
    assert (list(msg.name), list(msg.position)) == (["l_elbow_b0001"], [0.5])
    lengths = humanoid.completed(np.array([0.1, *[np.nan] * (len(humanoid.LENGTHS) - 1)]))
    links = {t.child_frame_id: t.header.frame_id for t in hri.links(HEADER, "b0001", angles, lengths, "robot1/")}
    assert links["robot1/l_elbow_b0001"] == "robot1/l_shoulder_b0001"
    assert {name.split("/")[1].split("_b0")[0] for name in links} == {
        "torso", "head", "l_elbow", "l_wrist", "l_ankle", "r_wrist", "r_ankle"}


def test_who_is_not_seen_to_look_elsewhere_looks_ahead() -> None:
    kind = catalogue.get("face68")
    frames = np.full((1, len(kind.frames), 7), np.nan)
    ahead = np.column_stack([(0, 0, -1), (1, 0, 0), (0, -1, 0)])  # of a face that looks into the camera
    frames[0, kind.frames.index("face")] = 1, 2, 3, *quaternion.from_rotations(ahead[None])[0]
    face, gaze = hri.face_frames(HEADER, poses("face68", frames=frames), 0, "f0001")
    assert [face.child_frame_id, gaze.child_frame_id] == ["face_f0001", "gaze_f0001"]
    turn = gaze.transform.rotation
    made = quaternion.to_matrices(np.array([turn.x, turn.y, turn.z, turn.w]))
    np.testing.assert_allclose(made[:, 2], ahead[:, 0], atol=1e-6)  # along the nose
    np.testing.assert_allclose(made[:, 1], -ahead[:, 2], atol=1e-6)  # down
    np.testing.assert_allclose(made[:, 0], -ahead[:, 1], atol=1e-6)  # to the right of who looks
    assert hri.face_frames(HEADER, poses("face68"), 0, "f0001") == []


def test_a_frame_that_tf_refuses_is_refused() -> None:
    with pytest.raises(ConfigError, match="frame_id"):
        hri.frame(Header(frame_id="/camera"), "body_b0001", np.zeros(3), np.array([0, 0, 0, 1.0]))
