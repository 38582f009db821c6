# SPDX-License-Identifier: Apache-2.0
"""The multi-view node fuses the hands of people, too, and says whose they are."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import numpy as np
from multiview_room import HAND, NAMES, Room
from pose_ros.msg import SkeletonArray, SkeletonInfo
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from pose_ros.nodes import managed
from pose_ros.nodes.together import Together
from pose_ros.ros.qos import LATCHED

A, B, C = NAMES
LEFT, RIGHT = 1, 2


@pytest.fixture
def room(ros, capfd, monkeypatch):
    monkeypatch.setattr(managed, "_REPORT_S", 0.1)
    made = []

    def make(**options):
        made.append(Room(ros, capfd, **{"hands_of": NAMES, "hands": True} | options))
        return made[-1]

    yield make
    for one in made:
        one.node.close()


def wrists_apart(room):
    """Return how far the wrists of the newest hands are from those of the bodies that they say are theirs, metres."""
    bodies = {s.track_id: np.reshape(s.points, (-1, 3)) for s in room.arrays[-1].skeletons}
    return [
        np.linalg.norm(np.reshape(hand.points, (-1, 3))[0] - bodies[hand.parent_id][8 + hand.side])
        for hand in room.hands[-1].skeletons
    ]


def test_hands_are_fused_and_belong_to_fused_bodies(room, ros):
    room, got, tf = room().listen(), [], []
    room.other.create_subscription(SkeletonInfo, "/multiview/hands/skeleton_info", got.append, LATCHED)
    room.other.create_subscription(TFMessage, "/tf", tf.append, 10)
    ros.spin_for(0.2)
    arrays = room.play(15)
    assert len(room.hands) == len(arrays) == 15
    for whole, hands in zip(arrays, room.hands, strict=True):
        assert hands.header == whole.header
        assert {s.parent_id for s in hands.skeletons} <= {s.track_id for s in whole.skeletons}
    hands = room.hands[-1]
    assert (hands.schema, hands.model, got[-1].name) == (HAND.name, "multiview(hands)", HAND.name)
    people = {s.track_id for s in arrays[-1].skeletons}
    owners = {(s.parent_id, s.side) for s in hands.skeletons}
    assert len(owners) == len(hands.skeletons) >= 3
    assert owners <= {(i, side) for i in people for side in (LEFT, RIGHT)}
    assert max(max(s.views) for s in hands.skeletons) == 3
    assert np.nanmedian(room.errors(hands)) < 0.02
    assert max(wrists_apart(room)) < 0.1
    assert not {s.track_id for s in hands.skeletons} & people, "an id names one thing"
    assert {s.track_id for s in hands.skeletons} <= {s.track_id for s in room.hands[-5].skeletons}
    names = {t.child_frame_id for t in tf[-1].transforms}
    assert {f"hand_{s.track_id}/wrist" for s in hands.skeletons} & names
    _, values = room.status()
    assert (values["subjects"], values["hands"]) == ("2", str(len(hands.skeletons)))
    assert arrays[-1].stage_names[-1] == "hands"


def test_hands_of_cameras_that_do_not_look_at_them_are_not_waited_for(room):
    room = room(hands_of=(A, B)).listen()
    assert len(room.play(10)) == len(room.hands) == 10
    assert max(max(s.views) for s in room.arrays[-1].skeletons) == 3
    assert max(max(s.views) for s in room.hands[-1].skeletons) == 2
    assert max(wrists_apart(room)) < 0.1


def test_without_the_option_there_are_no_such_topics(room):
    room = room(hands=False)
    room._hands = {}
    assert room.listen().play()
    assert not room.other.count_publishers("/multiview/hands/skeletons")
    assert not room.other.count_subscribers(f"/{A}/pose/hands/skeletons")


def test_who_listens_to_hands_only_gets_them(room, ros):
    room = room()
    room.other.create_subscription(SkeletonArray, "/multiview/hands/skeletons", room.hands.append, 100)
    assert ros.spin_until(lambda: room.node._fusing and room.node._fusing.listening)


def test_options_of_pieces_reach_those_of_the_hands(room):
    room = room().listen()
    values = {"fuser.speed": 0.7, "association.reach": 0.2, "triangulation.limit": 5.0, "tracker.predict": 0.3}
    assert all(r.successful for r in room.node.set_parameters([Parameter(n, value=v) for n, v in values.items()]))
    hands = room.node._fusing.fusion.parts["hands"]
    assert (hands.fuser.options.speed, hands.fuser.options.leave_out) == (0.7, False)
    assert (hands.fuser.association.reach, hands.fuser.triangulation.limit) == (0.2, 5.0)
    assert hands.tracker.options.predict == 0.3


def test_hands_end_with_a_reset(room):
    room = room().listen()
    room.play(5)
    ids = {s.track_id for s in room.hands[-1].skeletons}
    assert ids
    room.node._fusing.reset()
    room.play(3)
    assert ids <= {i for array in room.hands for i in array.ended_ids}
    assert not ids & {s.track_id for s in room.hands[-1].skeletons}


def test_parts_and_subjects_of_one_image_meet_in_any_order():
    got = []
    together = Together(lambda whole, parts: got.append((whole, parts)))
    together.whole(1, "a", ["hands"])
    together.part("hands", 1, "x")
    together.part("hands", 2, "y")
    together.whole(2, "b", ["hands"])
    assert got == [("a", {"hands": "x"}), ("b", {"hands": "y"})]
    got.clear()
    together.whole(3, "c", ["hands", "faces"])
    together.part("faces", 3, "f")
    together.whole(4, "d", [])
    assert got == []  # in the order of time
    together.part("hands", 4, "z")  # so those of 3 were lost
    assert got == [("c", {"faces": "f"}), ("d", {"hands": "z"})]
    got.clear()
    for stamp in range(10, 17):
        together.whole(stamp, str(stamp), ["hands"])
    assert got == [("10", {}), ("11", {})]
    together.whole(1, "again", [])
    assert got[2:] == [("again", {})]
