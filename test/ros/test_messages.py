# SPDX-License-Identifier: Apache-2.0
"""SkeletonArray and SkeletonInfo: nothing is lost on the way, over the wire and out of a bag."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

import pose_ros
from pose_ros.core.poses import LEFT, RIGHT, Poses, Source, TrackState
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError, ShapeError, UnknownNameError
from pose_ros.pipeline import Result
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.reading import array_to_poses, info_to_skeleton
from pose_ros.skeletons import catalogue

MP33, COCO = catalogue.get("mediapipe33"), catalogue.get("coco17")
OPTIONAL = ("points", "covariances", "views", "reprojection_errors", "local_points", "measures", "frames")
#: Everything that a skeleton can say.
RICH = dataclasses.replace(MP33, name="rich", measures=("left_eye_opening", "mouth_opening"),
                           frames=("face", "gaze"), colors=tuple((i, 255 - i, 7) for i in range(33)))


def some_poses(n: int, columns: tuple[str, ...] = OPTIONAL, skeleton: Skeleton = RICH) -> Poses:
    """Return random poses with every column set and some keypoints missing."""
    rng, k = np.random.default_rng(n), len(skeleton)
    keypoints = rng.normal(300, 100, (n, k, 2)).astype(np.float32)
    keypoints[:, 3] = np.nan
    shapes = {"points": (3,), "covariances": (3, 3), "local_points": (3,), "reprojection_errors": ()}
    optional = {c: np.where(np.isnan(keypoints[..., 0]).reshape(n, k, *[1] * len(shapes[c])), np.nan,
                            rng.normal(0, 1, (n, k, *shapes[c]))) for c in columns if c in shapes}
    if "views" in columns:
        optional["views"] = rng.integers(0, 6, (n, k))
    more = {"measures": rng.random((n, len(skeleton.measures))), "frames": rng.random((n, len(skeleton.frames), 7))}
    optional.update({c: more[c] for c in columns if c in more})
    for column in more.keys() & optional.keys():
        optional[column][0, 0] = np.nan
    return Poses(
        skeleton, keypoints, np.nan_to_num(rng.random((n, k)) * np.isfinite(keypoints[..., 0])),
        boxes=rng.random((n, 4)) * 500, subject_scores=rng.random(n), sources=rng.integers(0, 4, (n, k)),
        ids=np.arange(n) * 7 + 2**31, states=rng.integers(0, 5, n), ages_ns=rng.integers(0, 10**13, n),
        sides=rng.integers(0, 3, n), side_scores=rng.random(n), parents=rng.integers(0, 2**32, n),
        labels=[("", "dog", "a kite")[i % 3] for i in range(n)], **optional,
    )


def header() -> Header:
    made = Header(frame_id="camera_optical")
    made.stamp.sec, made.stamp.nanosec = 1_700_000_000, 123_456_789
    return made


def array_of(poses: Poses, ended: tuple[int, ...] = ()) -> SkeletonArray:
    stages = Stages()
    stages.add("detect", 1.25)
    stages.add("estimate", 8.5)
    return poses_to_array(Result(poses, ended, stages), header(), (640, 480), "a+b")


def assert_same(a: Poses, b: Poses) -> None:
    assert a.skeleton == b.skeleton
    for field in dataclasses.fields(Poses):
        if field.name in ("skeleton", "regions"):
            continue
        left, right = getattr(a, field.name), getattr(b, field.name)
        assert (left is None) == (right is None), field.name
        if left is not None:
            assert left.dtype == right.dtype, field.name
            np.testing.assert_array_equal(left, right, err_msg=field.name)


@pytest.mark.parametrize("columns", [(), ("points",), ("local_points",), ("measures",), ("frames",), OPTIONAL])
@pytest.mark.parametrize("n", [1, 3])
def test_poses_survive_the_wire(n: int, columns: tuple[str, ...]) -> None:
    poses = some_poses(n, columns)
    wire = deserialize_message(serialize_message(array_of(poses)), SkeletonArray)
    assert_same(array_to_poses(wire, RICH), poses)


def test_an_empty_image_gives_an_empty_array() -> None:
    msg = array_of(Poses.empty(COCO))
    assert len(msg.skeletons) == 0
    assert len(array_to_poses(msg, COCO)) == 0


def test_what_stands_around_the_poses() -> None:
    msg = array_of(some_poses(2), ended=(4, 9))
    assert msg.header == header()
    assert (msg.schema, msg.model, msg.image_width, msg.image_height) == ("rich", "a+b", 640, 480)
    assert list(msg.ended_ids) == [4, 9]
    assert dict(zip(msg.stage_names, msg.stage_ms, strict=True)) == {"detect": 1.25, "estimate": 8.5}
    assert [len(s.covariances) for s in msg.skeletons] == [9 * 33, 9 * 33]
    assert [(len(s.measures), len(s.frames)) for s in msg.skeletons] == [(2, 14), (2, 14)]
    bare = array_of(some_poses(1, ())).skeletons[0]
    assert not bare.points
    assert not bare.measures
    assert not bare.frames


def test_a_subject_without_points_becomes_nan() -> None:
    msg = array_of(some_poses(2))
    del msg.skeletons[1].points[:], msg.skeletons[1].scores[:], msg.skeletons[1].frames[:]
    poses = array_to_poses(msg, RICH)
    assert poses.points is not None
    assert poses.frames is not None
    assert np.isfinite(poses.frames[0, 1]).all()
    assert np.isnan(poses.frames[1]).all()
    assert np.isfinite(poses.points[0, 0]).all()
    assert np.isnan(poses.points[1]).all()
    assert (poses.scores[1] == 0).all()


def test_enumerations_are_those_of_the_message() -> None:
    from pose_ros.msg import Skeleton as Message

    assert {s.name: int(s) for s in Source} == {s.name: getattr(Message, f"SOURCE_{s.name}") for s in Source}
    assert (LEFT, RIGHT) == (Message.SIDE_LEFT, Message.SIDE_RIGHT)
    assert {s.name: int(s) for s in TrackState} == {s.name: getattr(Message, f"STATE_{s.name}") for s in TrackState}


def test_another_schema_or_length_is_refused() -> None:
    msg = array_of(some_poses(1))
    with pytest.raises(ConfigError, match="expected 'coco17', got 'rich'"):
        array_to_poses(msg, COCO)
    msg.skeletons[0].keypoints.pop()
    with pytest.raises(ShapeError, match="keypoints: expected 66 numbers, got 65"):
        array_to_poses(msg, RICH)
    msg = array_of(some_poses(1))
    msg.skeletons[0].measures.append(1)
    with pytest.raises(ShapeError, match="measures: expected 2 numbers, got 3"):
        array_to_poses(msg, RICH)


@pytest.mark.parametrize("skeleton", [*map(catalogue.get, catalogue.names()), RICH], ids=lambda s: s.name)
def test_skeletons_survive_the_wire(skeleton: Skeleton) -> None:
    info = deserialize_message(serialize_message(skeleton_to_info(skeleton, "m")), SkeletonInfo)
    assert info.model == "m"
    assert info_to_skeleton(info) == skeleton
    assert info_to_skeleton(info).colors == skeleton.colors
    assert info_to_skeleton(info).units == {name: skeleton.units[name] for name in skeleton.measures
                                            if name in skeleton.units}


def test_measures_travel_with_their_units() -> None:
    info = skeleton_to_info(catalogue.get("wholebody133"), "m")
    units = dict(zip(info.measure_names, info.measure_units, strict=True))
    assert (units["left_knee_flexion"], units["left_grasp_opening"], units["mouth_opening"]) == ("rad", "m", "")


def test_an_info_that_contradicts_itself_is_refused() -> None:
    info = skeleton_to_info(COCO, "m")
    info.edges.pop()
    with pytest.raises(ConfigError, match=r"coco17\.edges: expected groups of 2 numbers"):
        info_to_skeleton(info)
    info.colors.append(3)
    info.edges.append(99)
    with pytest.raises(ConfigError, match=r"coco17\.colors: expected groups of 3 numbers"):
        info_to_skeleton(info)
    info.colors.pop()
    with pytest.raises(ConfigError, match=r"expected indices 0 .. 16"):
        info_to_skeleton(info)
    info.measure_units.append("rad")
    with pytest.raises(ConfigError, match=r"coco17\.measure_units: expected one for each of \d+ measures, got \d+"):
        info_to_skeleton(info)


def check_view(view: pose_ros.ros.view.SkeletonView, poses: Poses) -> None:
    """Compare a view with the poses that were sent."""
    wrist = MP33.index["left_wrist"]
    assert len(view) == len(list(view)) == len(poses)
    assert (view.frame_id, view.stamp_ns) == ("camera_optical", 1_700_000_000_123_456_789)
    np.testing.assert_array_equal(view["left_wrist"], poses.keypoints[:, wrist])
    np.testing.assert_array_equal(view.ids, poses.ids)
    np.testing.assert_array_equal(view.parent_ids, poses.parents)
    np.testing.assert_array_equal(view.measure("mouth_opening"), poses.measures[:, 1])
    np.testing.assert_array_equal(view.frame("gaze"), poses.frames[:, 1])
    assert view.labels == poses.labels.tolist()
    for name in ("keypoints", "scores", "points", "local_points", "measures", "frames"):
        np.testing.assert_array_equal(getattr(view, name), getattr(poses, name))
    for row, subject in enumerate(view):
        np.testing.assert_array_equal(subject["left_wrist"], poses.keypoints[row, wrist])
        np.testing.assert_array_equal(subject.point("left_wrist"), poses.points[row, wrist])
        np.testing.assert_array_equal(subject.covariances, poses.covariances[row])
        np.testing.assert_array_equal(subject.box, poses.boxes[row])
        assert subject.score("left_wrist") == poses.scores[row, wrist]
        np.testing.assert_array_equal(subject.measure("mouth_opening"), poses.measures[row, 1])
        np.testing.assert_array_equal(subject.frame("gaze"), poses.frames[row, 1])
        assert (subject.parent_id, subject.label) == (poses.parents[row], poses.labels[row])
        assert subject.side == ("", "left", "right")[poses.sides[row]]
        assert view.of(subject.parent_id) == [subject]
        assert subject.state == poses.states[row]
        assert subject.age_s == pytest.approx(poses.ages_ns[row] * 1e-9)
        assert view.by_id(subject.id) is subject is view[row]


def test_view_names_every_column() -> None:
    poses = some_poses(3)
    view = pose_ros.view(array_of(poses), skeleton_to_info(RICH, "m"))
    check_view(view, poses)
    assert view.by_id(1) is None
    assert view.of(0) == view.of(1) == []
    assert np.shares_memory(view[0].keypoints, np.frombuffer(view.message.skeletons[0].keypoints, np.float32))


def test_view_of_what_is_not_there() -> None:
    info = skeleton_to_info(RICH, "m")
    assert pose_ros.view(array_of(Poses.empty(RICH)), info)["nose"].shape == (0, 2)
    assert pose_ros.view(array_of(Poses.empty(RICH)), info).frame("gaze").shape == (0, 7)
    assert np.isnan(pose_ros.view(array_of(some_poses(2, ())), info).measure("mouth_opening")).all()
    assert np.isnan(pose_ros.view(array_of(some_poses(2, ())), info).points).all()
    view = pose_ros.view(array_of(some_poses(1)), info)
    with pytest.raises(UnknownNameError, match="did you mean 'left_wrist'"):
        view["left_wirst"]
    with pytest.raises(UnknownNameError, match="did you mean 'left_wrist'"):
        view[0].score("left_wirst")
    with pytest.raises(UnknownNameError, match="did you mean 'mouth_opening'"):
        view.measure("mouth_openning")
    with pytest.raises(UnknownNameError, match="unknown frame 'gazze'"):
        view[0].frame("gazze")
    with pytest.raises(ConfigError, match="array has 'rich', the info explains 'coco17'"):
        pose_ros.view(view.message, skeleton_to_info(COCO, "m"))
    view.message.skeletons[0].keypoints.pop()
    with pytest.raises(ShapeError, match="expected 66 numbers, got 65"):
        _ = view[0].keypoints


def test_view_of_messages_from_a_bag() -> None:
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is not installed")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    for path in (Path(__file__).parents[2] / "msg").glob("*.msg"):
        store.register(typesys.get_types_from_msg(path.read_text(), f"pose_ros/msg/{path.stem}"))
    poses = some_poses(3)
    array = store.deserialize_cdr(serialize_message(array_of(poses)), "pose_ros/msg/SkeletonArray")
    info = store.deserialize_cdr(serialize_message(skeleton_to_info(RICH, "m")), "pose_ros/msg/SkeletonInfo")
    check_view(pose_ros.view(array, info), poses)
    assert_same(array_to_poses(array, info_to_skeleton(info)), poses)


def test_view_is_light_to_import() -> None:
    code = "import sys, pose_ros; pose_ros.view; print(sorted({'rclpy', 'cv2', 'pose_ros.msg'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         cwd=Path(__file__).parents[2])
    assert run.stdout.strip() == "[]"


def test_arrays_reach_a_late_subscriber_over_dds(ros) -> None:
    talker, listener = ros.node("talker"), ros.node("listener")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
    infos, arrays, poses = [], [], some_poses(3)
    talker.create_publisher(SkeletonInfo, "info", latched).publish(skeleton_to_info(RICH, "m"))
    publisher = talker.create_publisher(SkeletonArray, "skeletons", 5)
    listener.create_subscription(SkeletonInfo, "info", infos.append, latched)
    listener.create_subscription(SkeletonArray, "skeletons", arrays.append, 5)
    assert ros.spin_until(lambda: infos and publisher.get_subscription_count())
    publisher.publish(array_of(poses))
    assert ros.spin_until(lambda: arrays)
    check_view(pose_ros.view(arrays[0], infos[0]), poses)
    assert_same(array_to_poses(arrays[0], info_to_skeleton(infos[0])), poses)


def test_a_skeleton_of_ours_comes_back_as_ours() -> None:
    described = dataclasses.replace(COCO, measures=("left_knee",), frames=("body",))
    back = info_to_skeleton(skeleton_to_info(described, "model"))
    assert (back, back.joints, back.roles) == (described, COCO.joints, COCO.roles)
    other = dataclasses.replace(COCO, flip=())
    assert info_to_skeleton(skeleton_to_info(other, "model")).joints[0] == "coco17/nose"
