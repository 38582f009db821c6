# SPDX-License-Identifier: Apache-2.0
"""The action node: skeletons of people whose deeds are known in, what they do out."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from multiview_room import header, standing
from pose_ros.msg import Action, ActionArray, SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from scenes.choreography import FRONT, Do, perform, seen
from scenes.observing import EPOCH_NS
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose_ros.core.poses import Poses
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.nodes import managed
from pose_ros.nodes.action_node import ActionNode
from pose_ros.pipeline import Result
from pose_ros.recognisers.posture import Posture
from pose_ros.ros.messages import poses_to_array, skeleton_to_info
from pose_ros.ros.qos import LATCHED, RESULT, TF_STATIC
from pose_ros.skeletons import catalogue

SIZE = (1280, 720)
PLAY = perform(Do("stand", 1.5), Do("sit", 1.5), Do("stand", 1.0), Do("fall", 1.5))


class Room:
    """A pose node that is none, an action node, and a listener."""

    def __init__(self, ros, capture, **parameters):
        self.ros, self.capture = ros, capture
        self.other = ros.node("other")
        self.arrays, self.markers, self.ended = [], [], []
        self.skeletons = self.other.create_publisher(SkeletonArray, "/pose/skeletons", RESULT)
        self.infos = self.other.create_publisher(SkeletonInfo, "/pose/skeleton_info", LATCHED)
        self.static = self.other.create_publisher(TFMessage, "/tf_static", TF_STATIC)
        overrides = [Parameter(n.replace("__", "."), value=v) for n, v in parameters.items()]
        self.node = ros.add(ActionNode(context=ros.context, parameter_overrides=overrides))

    def listen(self):
        self.other.create_subscription(ActionArray, "/action/actions", self.arrays.append, 100)
        assert self.ros.spin_until(self.skeletons.get_subscription_count), "the node did not subscribe"
        return self

    def say(self, poses, stamp, *, ended=(), frame="camera"):
        if not self.arrays:
            self.infos.publish(skeleton_to_info(poses.skeleton, "model"))
        result = Result(poses, tuple(ended), Stages())
        self.skeletons.publish(poses_to_array(result, header(stamp, frame), SIZE, "model"))

    def act(self, *plays, **how):
        """Play to the end, and return all arrays that came."""
        for stamp, poses in seen(plays, **how):
            count = len(self.arrays)
            self.say(poses, stamp)
            assert self.ros.spin_until(lambda count=count: len(self.arrays) > count), "no array came"
        return self.arrays

    def told(self, phase):
        return [(a.name, (a.onset.sec * 10**9 + a.onset.nanosec - EPOCH_NS) * 1e-9, array, a)
                for array in self.arrays for a in array.actions if a.phase == phase]

    def diagnostics(self):
        got = []
        subscription = self.other.create_subscription(DiagnosticArray, "/diagnostics", got.append, 10)
        assert self.ros.spin_until(lambda: got)
        self.other.destroy_subscription(subscription)
        return {status.name: status for status in got[-1].status}

    def said(self, words):
        text = ""

        def logged():
            nonlocal text
            text += self.capture.readouterr().err
            return words in text

        assert self.ros.spin_until(logged), text


@pytest.fixture
def room(ros, capfd, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(**parameters):
        made.append(Room(ros, capfd, **{"recognisers": ["posture"], **parameters}))
        return made[-1]

    yield make
    for one in made:
        one.node.close()


def test_actions_begin_and_end_at_the_stamps_of_the_images(room):
    room = room().listen()
    arrays = room.act(PLAY, skeleton="halpe26")
    assert {(a.schema, a.header.frame_id) for a in arrays} == {("halpe26", "camera")}
    assert arrays[0].stage_names == ["transport", "posture"]
    truth = [(d.name, d.onset_s) for d in PLAY.truth if not d.event]
    began = room.told(Action.PHASE_BEGAN)
    assert [name for name, *_ in began] == [name for name, _ in truth]
    np.testing.assert_allclose([onset for _, onset, *_ in began], [onset for _, onset in truth], atol=0.35)
    for name, onset, array, action in began:
        late = array.header.stamp.sec * 1e9 + array.header.stamp.nanosec - EPOCH_NS - onset * 1e9
        assert 0.2e9 < late < 0.5e9, name
        assert (action.recogniser, action.track_id, action.count, action.end.sec) == ("posture", 1, 0, 0)
    ends = [a.end.sec * 10**9 + a.end.nanosec - EPOCH_NS for *_, a in room.told(Action.PHASE_ENDED)]
    np.testing.assert_allclose(np.array(ends) * 1e-9, [d.end_s for d in PLAY.truth if not d.event][:3], atol=0.35)
    ((_, onset, _, fall),) = room.told(Action.PHASE_EVENT)
    assert (fall.name, fall.count, fall.value_names, fall.value_units) == ("fall", 1, ["speed", "duration"],
                                                                          ["m/s", "s"])
    deed = next(d for d in PLAY.truth if d.event)
    assert deed.onset_s < onset < deed.end_s
    assert all(a.header.stamp.nanosec or a.header.stamp.sec for a in arrays)


def test_fingers_of_hands_that_come_beside_bodies_show_where_people_point(room, ros):
    room = room(recognisers=["pointing"], hands_wait=1.0).listen()
    whole, hand21 = catalogue.get("wholebody133"), catalogue.get("hand21")
    hands = room.other.create_publisher(SkeletonArray, "/pose/hands/skeletons", RESULT)
    infos = room.other.create_publisher(SkeletonInfo, "/pose/hands/skeleton_info", LATCHED)
    infos.publish(skeleton_to_info(hand21, "model"))
    assert ros.spin_until(hands.get_subscription_count)
    block = list(whole.blocks["right_hand"][1])
    for stamp, poses in seen([perform(Do("stand", 0.5), Do("point", 1.2, side="right"))], skeleton=whole, rate_hz=10):
        count = len(room.arrays)
        room.say(poses.to(catalogue.get("coco17")), stamp)
        own = Poses(hand21, poses.keypoints[:, block], poses.scores[:, block], points=poses.points[:, block],
                    ids=np.array([7]), parents=np.array([1]), sides=np.array([2]))
        hands.publish(poses_to_array(Result(own, (), Stages()), header(stamp, "camera"), SIZE, "model"))
        assert ros.spin_until(lambda count=count: len(room.arrays) > count)
    (action,) = room.arrays[-1].actions
    assert dict(zip(action.value_names, action.values, strict=True))["finger"] == 1.0
    assert {array.schema for array in room.arrays} == {"coco17"}
    # Nothing is told of hands, as nothing that looks at hands was asked for.
    assert "/action/hands/actions" not in dict(room.other.get_topic_names_and_types())


def test_nobody_gives_an_empty_array_and_who_ends_is_told(room):
    room = room().listen()
    room.act(perform(Do("stand", 1.0)))
    stamp = EPOCH_NS + 1_100_000_000
    room.say(Poses.empty(next(seen([PLAY]))[1].skeleton), stamp, ended=(1,))
    assert room.ros.spin_until(lambda: room.arrays[-1].ended_ids)
    assert [(a.name, a.phase) for a in room.arrays[-1].actions] == [("standing", Action.PHASE_ENDED)]
    count = len(room.arrays)
    room.say(Poses.empty(next(seen([PLAY]))[1].skeleton), stamp + 10**8)
    assert room.ros.spin_until(lambda: len(room.arrays) > count)
    assert (len(room.arrays[-1].actions), len(room.arrays[-1].ended_ids)) == (0, 0)


def test_a_camera_that_hangs_head_down_needs_a_gravity_frame(room):
    """Without it who stands lies; with it and TF all is well, and words stand above heads."""
    play = perform(Do("stand", 1.2))
    turned = type(FRONT)("turned", FRONT.camera, np.diag([-1.0, -1.0, 1.0]) @ FRONT.rotation,
                         np.diag([-1.0, -1.0, 1.0]) @ FRONT.translation)
    room_ = room(gravity_frame="map").listen()
    room_.other.create_subscription(MarkerArray, "/action/markers", room_.markers.append, 10)
    room_.static.publish(TFMessage(transforms=[standing(turned, EPOCH_NS, "camera", "map")]))
    room_.act(play, camera=turned, space="points")
    assert {name for name, *_ in room_.told(Action.PHASE_BEGAN)} == {"standing"}
    (text,) = room_.markers[-1].markers
    assert text.text.startswith("standing ")
    # Down in the image is up in the room.
    assert text.pose.position.y > 0.7


def test_without_the_transform_it_says_so(room):
    room = room(gravity_frame="map", tf_wait=0.0).listen()
    for stamp, poses in seen([perform(Do("stand", 0.3))]):
        room.say(poses, stamp)
    room.said("skeletons are left out")
    assert room.arrays == []


def test_no_work_while_nobody_listens_and_a_word_when_nothing_comes(room, ros):
    room = room(watchdog=0.3)
    ros.spin_for(0.3)
    assert not room.node._recognising.listening
    assert room.diagnostics()["action: recognition"].message == "idle: nobody listens"
    room.listen()
    room.said("nothing was recognised for")
    room.other.destroy_subscription(next(s for s in room.other.subscriptions if "actions" in s.topic_name))
    assert ros.spin_until(lambda: not room.node._recognising.listening)


def test_one_that_fails_is_named_in_diagnostics_and_the_node_lives(room, monkeypatch):
    room = room().listen()
    monkeypatch.setattr(Posture, "see", lambda self, clip: 1 / 0)
    room.act(perform(Do("stand", 0.5)))
    status = room.diagnostics()["action: posture"]
    assert "ZeroDivisionError" in status.message
    assert status.level == b"\x01"
    room.said("fault in the software: ZeroDivisionError")


def test_options_change_while_it_runs(room, ros):
    room = room().listen()
    room.act(perform(Do("stand", 1.0)))
    (result,) = room.node.set_parameters([Parameter("on_score", value=1.0)])
    assert result.successful
    assert room.node._recognising.looking[""].options.on_score == 1.0
    (result,) = room.node.set_parameters([Parameter("posture.fall_speed", value=2.0)])
    assert not result.successful or room.node._recognising._sees["posture"].options.fall_speed == 2.0


def test_reset_ends_all(room, ros):
    room = room().listen()
    room.act(perform(Do("stand", 1.0)))
    client = room.other.create_client(Trigger, "/action/reset")
    assert ros.spin_until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    assert ros.spin_until(future.done)
    count = len(room.arrays)
    room.act(perform(Do("stand", 1.0)), since_s=0.9)
    assert [a.phase for a in room.arrays[count].actions] == []


@pytest.mark.parametrize(("parameters", "error", "words"), [
    ({"recognisers": ["postures"]}, UnknownNameError, "did you mean 'posture'"),
    ({"posture__fall_speeds": 1.0}, ConfigError, "posture.fall_speeds: unknown key"),
    ({"target_frames": ["cup"]}, ConfigError, "expected gravity_frame beside it"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(room, parameters, error, words):
    with pytest.raises(error, match=words):
        room(**parameters)
