# SPDX-License-Identifier: Apache-2.0
"""The HRI node: skeletons in; what a consumer that knows nothing but REP-155 hears."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("hri_msgs", reason="hri_msgs is not installed")

import numpy as np
from geometry_msgs.msg import PointStamped
from hri_msgs.msg import FacialLandmarks, IdsList, IdsMatch, NormalizedRegionOfInterest2D, Skeleton2D
from multiview_room import header
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from scenes import people
from scenes.cameras import camera, project
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from pose_ros.anatomy.humanoid import TREE
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.quaternion import to_matrices
from pose_ros.core.stages import Stages
from pose_ros.multiview.rig import PosedCamera
from pose_ros.nodes import managed
from pose_ros.nodes.hri_node import HriNode
from pose_ros.pipeline import Result
from pose_ros.ros.images import image_to_rgb, rgb_to_image
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT
from pose_ros.skeletons import catalogue

SIZE, STEP = (1280, 720), 33_333_333
#: A camera two and a half metres before somebody who stands at the origin and looks at it.
FRONT = PosedCamera("front", camera(SIZE), np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]), np.array([0.0, 0.9, 2.5]))
TRUTH = people.at([people.Person(people.stand(), speed_mps=0.0)], np.arange(0, 1, 1 / 30))
EACH = {"bodies": {"roi": NormalizedRegionOfInterest2D, "skeleton2d": Skeleton2D, "joint_states": JointState,
                   "position": PointStamped, "urdf": String, "cropped": Image},
        "faces": {"roi": NormalizedRegionOfInterest2D, "landmarks": FacialLandmarks, "cropped": Image}}  # fmt: skip


class Room:
    """A pose node that is none, an HRI node, and a consumer in the manner of libhri."""

    def __init__(self, ros, prefix="/humans", **parameters):
        self.ros, self.prefix, self.stamp = ros, prefix, 1_000_000_000
        self.other = ros.node("other")
        self.heard, self.lists, self.tf = {}, {"bodies": [], "faces": []}, []
        self.out = {}
        for name, topic in (("bodies", "/pose/"), ("faces", "/pose/faces/")):
            self.out[name] = (self.other.create_publisher(SkeletonArray, f"{topic}skeletons", RESULT),
                              self.other.create_publisher(SkeletonInfo, f"{topic}skeleton_info", LATCHED))
        overrides = [Parameter(n, value=v) for n, v in {"prefix": prefix, **parameters}.items()]
        self.node = ros.add(HriNode(context=ros.context, parameter_overrides=overrides))

    def listen(self):
        for kind in self.lists:
            self.other.create_subscription(IdsList, f"{self.prefix}/{kind}/tracked",
                                           lambda m, k=kind: self._tracked(k, m), 100)
        self._hear(f"{self.prefix}/candidate_matches", IdsMatch, 100)
        self.other.create_subscription(TFMessage, "/tf", lambda m: self.tf.extend(m.transforms), 100)
        assert self.ros.spin_until(lambda: all(p.get_subscription_count() for p, _ in self.out.values()))
        return self

    def _tracked(self, kind, msg):
        self.lists[kind].append(msg)
        for id in msg.ids:
            for name, type_ in EACH[kind].items():
                self._hear(f"{self.prefix}/{kind}/{id}/{name}", type_, LATCHED if name == "urdf" else 100)

    def _hear(self, topic, type_, qos):
        if topic not in self.heard:
            self.heard[topic] = []
            self.other.create_subscription(type_, topic, self.heard[topic].append, qos)

    def say(self, poses, kind="bodies", *, ended=(), size=SIZE):
        """Send an array of the next moment and wait for the list that answers it."""
        if kind == "bodies":
            self.stamp += STEP
        self.out[kind][1].publish(skeleton_to_info(poses.skeleton, "model"))
        count = len(self.lists[kind])
        result = Result(poses, tuple(ended), Stages())
        self.out[kind][0].publish(poses_to_array(result, header(self.stamp, "camera"), size, "model"))
        assert self.ros.spin_until(lambda: len(self.lists[kind]) > count), "no list came"
        return list(self.lists[kind][-1].ids)

    def last(self, topic):
        """Return what came on a topic: of this moment, where messages tell that."""
        def came():
            heard = self.heard.get(f"{self.prefix}/{topic}")
            now = header(self.stamp, "").stamp
            return heard and getattr(heard[-1], "header", header(self.stamp, "")).stamp == now

        assert self.ros.spin_until(came), f"{topic} was not heard"
        return self.heard[f"{self.prefix}/{topic}"][-1]

    def topics(self, part):
        return {n for n, _ in self.node.get_publisher_names_and_types_by_node(self.node.get_name(), "/") if part in n}


@pytest.fixture
def room(ros, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(**parameters):
        made.append(Room(ros, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.node.close()


def bodies(*ids, i=0, skeleton="coco17", metric=True, state=TrackState.TRACKED):
    """Return as many copies of the person at a moment as there are ids."""
    kind = catalogue.get(skeleton)
    world = TRUTH.points(kind)[i, 0]
    points = world @ FRONT.rotation.T + FRONT.translation
    n = len(ids)
    return Poses(
        kind, np.repeat(project(FRONT, world)[None], n, axis=0), np.ones((n, len(kind))), ids=np.array(ids, np.int64),
        states=np.full(n, state), points=np.repeat(points[None], n, axis=0) if metric else None,
    )


def faces(*ids, parents=()):
    kind = catalogue.get("face68")
    n = len(ids)
    keypoints = np.tile(np.array([600.0, 200]) + np.arange(68)[:, None], (n, 1, 1))
    frames = np.full((n, len(kind.frames), 7), np.nan)
    frames[:, kind.frames.index("face")] = 0, 0, 2, 0.5, 0.5, -0.5, 0.5
    return Poses(kind, keypoints, np.ones((n, 68)), ids=np.array(ids, np.int64), parents=np.array(parents, np.int64),
                 states=np.full(n, TrackState.TRACKED), subject_scores=np.full(n, 0.75), frames=frames)


def test_a_body_is_told_of_in_pixels_metres_and_angles(room, ros):
    room = room().listen()
    for i in range(12):
        assert room.say(bodies(7, i=i)) == ["b0007"]
    stamp = header(room.stamp, "camera").stamp
    skeleton = room.last("bodies/b0007/skeleton2d")
    wrist = skeleton.skeleton[Skeleton2D.LEFT_WRIST]
    seen = bodies(7, i=11)
    np.testing.assert_allclose((wrist.x * SIZE[0] - 0.5, wrist.y * SIZE[1] - 0.5), seen.keypoint("left_wrist")[0],
                               atol=0.01)
    assert wrist.x > skeleton.skeleton[Skeleton2D.RIGHT_WRIST].x  # who faces us has the left hand on our right
    region = room.last("bodies/b0007/roi")
    assert region.xmin < wrist.x <= region.xmax <= 1
    assert room.last("bodies/b0007/position").point.z == pytest.approx(2.5, abs=0.05)
    joints = room.last("bodies/b0007/joint_states")
    assert len(joints.name) == 22
    assert all(name.endswith("_b0007") for name in joints.name)
    assert room.last("bodies/b0007/urdf").data.startswith('<robot name="human_b0007">')
    assert ros.spin_until(lambda: sum(t.header.stamp == stamp for t in room.tf) == 1 + len(TREE))
    frames = {t.child_frame_id: t for t in room.tf if t.header.stamp == stamp}
    assert frames["body_b0007"].header.frame_id == "camera"
    # Down the tree of TF, as a consumer goes: the wrist is where it was seen.
    place, child = np.zeros(3), "l_wrist_b0007"
    while child != "camera":
        move = frames[child].transform
        t, q = move.translation, move.rotation
        place = to_matrices(np.array([q.x, q.y, q.z, q.w])) @ place + (t.x, t.y, t.z)
        child = frames[child].header.frame_id
    np.testing.assert_allclose(place, seen.points[0, seen.skeleton.index["left_wrist"]], atol=5e-3)


def test_lists_come_with_every_array_and_topics_go_with_their_ids(room, ros):
    room = room(silence=0.0).listen()
    assert room.say(bodies(1, 2)) == ["b0001", "b0002"]
    assert ros.spin_until(lambda: len(room.topics("/bodies/b0001")) == 5)
    # Who is predicted is still tracked; who is lost or not tracked at all is not.
    assert room.say(bodies(1, 2, state=TrackState.PREDICTED)) == ["b0001", "b0002"]
    assert room.say(bodies(1, state=TrackState.LOST)) == []
    assert room.say(bodies(3, state=TrackState.UNTRACKED)) == []
    assert room.topics("/bodies/b0001")
    assert room.say(bodies(2), ended=(1,)) == ["b0002"]
    assert ros.spin_until(lambda: not room.topics("/bodies/b0001"))
    assert room.say(bodies()) == []
    room.stamp += 40 * 10**9  # nobody told that 2 ended
    assert room.say(bodies()) == []
    assert ros.spin_until(lambda: not room.topics("/bodies/b0"))


def test_faces_belong_to_bodies_and_look_ahead(room, ros):
    room = room().listen()
    room.say(bodies(7))
    room.say(faces(2, 3, parents=(7, 0)), "faces")
    room.say(bodies(7))
    room.say(faces(2, 3, parents=(7, 0)), "faces")
    match = room.last("candidate_matches")
    assert (match.id1, match.id1_type, match.id2, match.id2_type) == ("f0002", IdsMatch.FACE, "b0007", IdsMatch.BODY)
    assert match.confidence == 0.75
    assert {m.id1 for m in room.heard["/humans/candidate_matches"]} == {"f0002"}
    stages = set(room.node._health._stages)
    assert stages == {"transport", "tracked", "skeleton2d", "joint_states", "faces"}, "of bodies, and faces beside them"
    landmarks = room.last("faces/f0003/landmarks")
    assert (landmarks.width, landmarks.height) == SIZE
    assert landmarks.landmarks[FacialLandmarks.MENTON].c == 1
    assert landmarks.landmarks[FacialLandmarks.LEFT_PUPIL].c == 0  # 68 points have none
    assert ros.spin_until(lambda: {"face_f0002", "gaze_f0003"} <= {t.child_frame_id for t in room.tf})


def test_without_metres_there_is_no_tf_and_of_many_cameras_there_are_no_pixels(room, ros):
    room = room().listen()
    for _ in range(2):
        room.say(bodies(1, metric=False))
    room.last("bodies/b0001/skeleton2d")
    for _ in range(2):
        room.say(bodies(2), ended=(1,), size=(0, 0))
    room.last("bodies/b0002/position")
    ros.spin_for(0.2)
    assert {t.child_frame_id.split("_")[-1] for t in room.tf} == {"b0002"}
    assert not room.heard["/humans/bodies/b0002/skeleton2d"]
    assert not room.heard["/humans/bodies/b0001/joint_states"]


def test_pictures_of_people_come_only_when_asked_for(room, ros):
    silent = room(prefix="/robot1/humans").listen()
    assert silent.say(bodies(1)) == ["b0001"]
    assert not silent.topics("cropped")
    assert not silent.node.get_subscriptions_info_by_topic("/image")


def test_pictures_are_cut_out_of_the_image_of_the_same_stamp(room, ros):
    room = room(cropped=True, silence=0.0).listen()
    publisher = room.other.create_publisher(Image, "/image", 10)
    assert ros.spin_until(publisher.get_subscription_count)
    rgb = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    rgb[:, :, 0] = 200
    for _ in range(5):
        for ahead in (1, 2):
            publisher.publish(rgb_to_image(rgb // ahead, header(room.stamp + ahead * STEP, "camera")))
        ros.spin_for(0.1)
        room.say(bodies(1))
        room.say(faces(1, parents=(1,)), "faces")
    body, face = room.last("bodies/b0001/cropped"), room.last("faces/f0001/cropped")
    region = room.last("bodies/b0001/roi")
    assert abs(body.width - (region.xmax - region.xmin) * SIZE[0]) <= 2
    assert image_to_rgb(body)[0, 0, 0] == 200
    assert (face.width, face.height) == (128, 128)
    assert image_to_rgb(face)[64, 64, 0] == 200


def test_silence_and_the_end_of_work_leave_nobody(room, ros):
    room = room(silence=0.3).listen()
    room.say(bodies(1))
    assert ros.spin_until(lambda: not room.lists["bodies"][-1].ids), "who was silent stayed"
    assert ros.spin_until(lambda: not room.topics("/bodies/b0"))
    room.say(bodies(1))
    client = room.other.create_client(Trigger, "/hri/reset")
    assert client.wait_for_service(10.0)
    future = client.call_async(Trigger.Request())
    assert ros.spin_until(future.done)
    assert room.say(bodies(1)) == ["b0001"]
    room.node.trigger_deactivate()
    assert ros.spin_until(lambda: not room.lists["bodies"][-1].ids)
    room.node.trigger_cleanup()
    assert ros.spin_until(lambda: not room.topics("/humans"))


def test_nothing_is_heard_while_nobody_listens(room, ros):
    room = room()
    ros.spin_for(0.3)
    assert not room.node._humans.listening
    subscription = room.other.create_subscription(TFMessage, "/tf", lambda m: None, 10)
    assert ros.spin_until(lambda: room.node._humans.listening)
    room.other.destroy_subscription(subscription)
    assert ros.spin_until(lambda: not room.node._humans.listening)


def test_animals_are_no_humans(room, ros, capfd):
    room = room().listen()
    kind = catalogue.get("ap10k17")
    room.out["bodies"][1].publish(skeleton_to_info(kind, "model"))
    result = Result(Poses.empty(kind), (), Stages())
    room.out["bodies"][0].publish(poses_to_array(result, header(5, "camera"), SIZE, "model"))
    text = ""

    def said():
        nonlocal text
        text += capfd.readouterr().err
        return "'ap10k17' is no body of a person" in text

    assert ros.spin_until(said), text
