# SPDX-License-Identifier: Apache-2.0
"""The pose node looks at the hands of people too, says whose they are, and starts and ends that while it runs."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from pose_ros.msg import Skeleton, SkeletonArray, SkeletonInfo
from pose_ros.srv import SetModel
from rcl_interfaces.srv import GetParameters, ListParameters
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

import pose_ros
from pose_ros.ros.images import image_to_rgb
from pose_ros.ros.qos import LATCHED

HANDS, INFO = "/pose/hands/skeletons", "/pose/hands/skeleton_info"


def listen(scene, topic=HANDS, kind=SkeletonArray, qos=100):
    """Return what comes on a topic from now on."""
    got = []
    scene.other.create_subscription(kind, topic, got.append, qos)
    return got


@pytest.fixture
def pair(scene, ros):
    """A scene with hands, whose listener the node knows; parameters go to the node."""

    def make(**parameters):
        made = scene(hands__model="stub-hand", **parameters)
        made.hands = listen(made)
        assert ros.spin_until(lambda: made.other.count_publishers(HANDS))
        made.send(made.image())
        assert ros.spin_until(lambda: made.hands)
        return made

    return make


def both(scene, ros, subjects):
    """Send an image; return the arrays of the people and of their hands."""
    message = scene.image(subjects=subjects)
    whole = scene.send(message)
    assert ros.spin_until(lambda: scene.hands[-1].header == message.header)
    return whole, scene.hands[-1]


def test_hands_have_topics_of_their_own_and_say_whose_they_are(pair, ros):
    scene = pair()
    infos = listen(scene, INFO, SkeletonInfo, LATCHED)
    whole, hands = both(scene, ros, 2)
    assert (hands.header, hands.schema, hands.model) == (whole.header, "hand21", "stub-hand")
    assert (hands.image_width, hands.image_height) == (whole.image_width, whole.image_height)
    people = [s.track_id for s in whole.skeletons]
    owners = [(s.parent_id, s.side) for s in hands.skeletons]
    assert sorted(owners) == [(i, side) for i in people for side in (Skeleton.SIDE_LEFT, Skeleton.SIDE_RIGHT)]
    ids = [s.track_id for s in hands.skeletons]
    assert len({*ids, *people}) == 6, "an id names one thing"
    assert ros.spin_until(lambda: infos)
    view = pose_ros.view(hands, infos[-1])
    left, right = sorted(view.of(people[0]), key=lambda hand: hand.side)
    assert (left.side, right.side) == ("left", "right")
    assert left["middle_finger4"][0] < left["wrist"][0] < right["middle_finger4"][0]
    assert [len(both(scene, ros, n)[1].skeletons) for n in (0, 1)] == [0, 2]


def test_ids_of_hands_stay_and_end_once(pair, ros):
    scene = pair()
    first = [s.track_id for s in both(scene, ros, 1)[1].skeletons]
    assert [s.track_id for s in both(scene, ros, 1)[1].skeletons] == first
    assert scene.call(Trigger, "reset").success
    whole, hands = both(scene, ros, 1)
    assert hands.ended_ids.tolist() == first
    assert not set(first) & set(whole.ended_ids)
    assert not {s.track_id for s in hands.skeletons} & {*first, *whole.ended_ids}
    assert hands.skeletons[0].parent_id == whole.skeletons[0].track_id
    assert both(scene, ros, 1)[1].ended_ids.tolist() == []


def test_who_listens_to_hands_only_gets_them(pose_node, ros):
    pose_node(hands__model="stub-hand")
    other, got = ros.node("other"), []
    assert ros.spin_until(lambda: other.count_publishers(HANDS))
    camera = other.create_publisher(Image, "image", 1)
    other.create_subscription(SkeletonArray, HANDS, got.append, 10)
    assert ros.spin_until(camera.get_subscription_count)


def test_without_a_model_there_are_no_such_topics(scene, ros):
    scene = scene()
    scene.send(scene.image())
    assert not scene.other.count_publishers(HANDS)
    assert scene.node.describe_parameter("hands.model").description


def test_hands_come_and_go_while_the_node_runs(scene, ros):
    scene = scene()
    scene.hands = listen(scene)
    before = {s.track_id for s in scene.send(scene.image(subjects=1)).skeletons}
    assert scene.set(hands__model="stub-hand")[0].successful
    assert ros.spin_until(lambda: not scene.node._switch.loading and scene.node._switch.worker.pipeline.parts)
    assert ros.spin_until(lambda: scene.send(scene.image(subjects=1)) and scene.hands)
    whole, hands = both(scene, ros, 1)
    ids = [s.track_id for s in hands.skeletons]
    assert len({*before, *ids, *(s.track_id for s in whole.skeletons)}) == 4

    running = scene.node._switch.worker.pipeline
    assert scene.set(hands__retry=1.5, hand_estimator__score=0.7)[0].successful
    assert both(scene, ros, 1)[1].skeletons[0].scores[0] == pytest.approx(0.7)
    assert scene.node._switch.worker.pipeline is running
    assert running.parts["hands"].source.options.retry == 1.5

    assert scene.set(hands__model="")[0].successful
    assert ros.spin_until(lambda: not scene.node._switch.worker.pipeline.parts)
    scene.send(scene.image(subjects=1))
    assert ros.spin_until(lambda: not scene.hands[-1].skeletons)
    assert scene.hands[-1].ended_ids.tolist() == ids
    count = len(scene.hands)
    scene.send(scene.image(subjects=1))
    assert ros.spin_until(lambda: not scene.other.count_publishers(HANDS))
    assert not scene.other.count_publishers(INFO)
    scene.send(scene.image(subjects=1))
    assert len(scene.hands) == count
    # What was set for them is still there when they come back.
    assert scene.call(GetParameters, "get_parameters", names=["hands.retry"]).values[0].double_value == 1.5
    assert scene.set(hands__model="stub-hand")[0].successful
    assert ros.spin_until(lambda: scene.node._switch.worker.pipeline.parts)
    part = scene.node._switch.worker.pipeline.parts["hands"].source
    assert (part.options.retry, part.estimator.options.score) == (1.5, 0.7)
    names = scene.call(ListParameters, "list_parameters", prefixes=["hand_estimator"], depth=0).result.names
    assert "hand_estimator.score" in names


def test_set_model_keeps_the_hands(pair, ros):
    scene = pair()
    whole, hands = both(scene, ros, 1)
    old = {s.track_id for a in (whole, hands) for s in a.skeletons}
    assert scene.call(SetModel, "set_model", model="stub33").success
    assert scene.other.count_publishers(HANDS) == 1
    whole, hands = both(scene, ros, 1)
    assert (whole.model, hands.model) == ("stub33", "stub-hand")
    assert {*whole.ended_ids, *hands.ended_ids} == old
    assert not {s.track_id for a in (whole, hands) for s in a.skeletons} & old
    assert both(scene, ros, 1)[1].ended_ids.tolist() == []


def test_a_model_for_hands_that_cannot_be_used_leaves_all_as_it_was(pair, ros):
    scene = pair()
    result = scene.set(hands__model="stub-hnad")[0]
    assert not result.successful
    assert "did you mean 'stub-hand'" in result.reason
    assert scene.set(hands__model="stub33")[0].successful  # only loading shows that it looks at whole images
    assert ros.spin_until(lambda: "hands.model: expected an estimator that is told" in scene.node._health.last_error)
    assert ros.spin_until(lambda: not scene.node._switch.loading)
    get = scene.call(GetParameters, "get_parameters", names=["hands.model"])
    assert get.values[0].string_value == "stub-hand"
    assert len(both(scene, ros, 1)[1].skeletons) == 2


def test_hands_of_a_whole_body_model_are_its_own(scene, ros):
    scene = scene(model="stub133", hands__own=True)
    scene.hands = listen(scene)
    assert ros.spin_until(lambda: scene.other.count_publishers(HANDS))
    scene.send(scene.image())
    assert ros.spin_until(lambda: scene.hands)
    whole, hands = both(scene, ros, 2)
    owners = [(s.parent_id, s.side) for s in hands.skeletons]
    assert owners == [(s.track_id, side) for s in whole.skeletons for side in (1, 2)]
    assert (hands.schema, hands.model) == ("hand21", "own")
    assert scene.set(hands__min_body_score=0.99)[0].successful
    assert not both(scene, ros, 2)[1].skeletons
    # A model without hands cannot give any: the old one stays, and says why.
    response = scene.call(SetModel, "set_model", model="stub")
    assert not response.success
    assert "hands.own: the model's skeleton has no such parts" in response.message
    assert both(scene, ros, 1)[0].model == "stub133"
    assert scene.set(hands__own=False)[0].successful
    assert ros.spin_until(lambda: not scene.node._switch.worker.pipeline.parts)


def test_options_of_trackers_reach_all_of_them(pair, ros):
    scene = pair()
    assert scene.set(tracker__max_lost=0.25)[0].successful
    pipeline = scene.node._switch.worker.pipeline
    assert [p.tracker.options.max_lost for p in (pipeline, *pipeline.parts.values())] == [0.25, 0.25]


def test_hands_are_in_tf_markers_pictures_and_diagnostics(pair, ros):
    scene = pair(annotated_rate=0.0, tf_prefix="robot1/")
    info = scene.other.create_publisher(CameraInfo, "camera_info", 1)
    assert ros.spin_until(info.get_subscription_count)
    calibration = CameraInfo(width=64, height=48, k=[60.0, 0, 32, 0, 60, 24, 0, 0, 1])
    topics = {"/tf": TFMessage, "/pose/markers": MarkerArray, "/pose/image_annotated": Image}
    got = {topic: listen(scene, topic, kind, 10) for topic, kind in topics.items()}
    outputs = scene.node._switch.worker._outputs
    assert ros.spin_until(lambda: all(p.get_subscription_count() for p in (outputs._tf, outputs._annotated)))
    message = scene.image(subjects=1)
    calibration.header = message.header
    info.publish(calibration)
    assert ros.spin_until(lambda: scene.node._switch.worker._surroundings.calibration.known)
    whole = scene.send(message)
    assert ros.spin_until(lambda: all(got.values()) and scene.hands[-1].header == message.header)
    hand = scene.hands[-1].skeletons[0]
    names = {t.child_frame_id for t in got["/tf"][-1].transforms}
    assert {f"robot1/body_{whole.skeletons[0].track_id}/nose", f"robot1/hand_{hand.track_id}/wrist"} <= names
    spaces = {m.ns for m in got["/pose/markers"][-1].markers}
    assert {"metric/joints", "hands/metric/joints"} <= spaces
    assert image_to_rgb(got["/pose/image_annotated"][-1]).any()
    status = scene.diagnostics()[1]
    assert (status["subjects"], status["hands"]) == ("1", "2")
    assert float(status["hands_p50_ms"]) > 0
    assert "faces" not in status
