# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pose_ros.core.poses import Poses
from pose_ros.media.moments import Moments
from pose_ros.skeletons import catalogue

POSES = Poses.empty(catalogue.get("hand21"))
BOTH = ("hands", "faces")


def seen(moments):
    return [(m.stamp_ns, m.whole, sorted(m.parts)) for m in moments]


def test_without_parts_nothing_waits():
    assert seen(Moments().add_whole(1, "a", ())) == [(1, "a", [])]


def test_a_whole_waits_for_its_parts():
    moments = Moments()
    assert seen(moments.add_whole(1, "a", BOTH)) == []
    assert seen(moments.add_part(1, "hands", POSES, BOTH)) == []
    assert seen(moments.add_part(1, "faces", POSES, BOTH)) == [(1, "a", ["faces", "hands"])]


def test_parts_may_come_first():
    moments = Moments()
    assert seen(moments.add_part(1, "hands", POSES, ["hands"])) == []
    assert seen(moments.add_whole(1, "a", ["hands"])) == [(1, "a", ["hands"])]


def test_the_next_whole_ends_the_wait():
    moments = Moments()
    assert seen(moments.add_whole(1, "a", BOTH)) == []
    assert seen(moments.add_part(1, "hands", POSES, BOTH)) == []
    assert seen(moments.add_whole(2, "b", BOTH)) == [(1, "a", ["hands"])]
    assert seen(moments.add_part(1, "faces", POSES, BOTH)) == []
    assert seen(moments.flush()) == [(2, "b", [])]
    assert seen(moments.flush()) == []


def test_parts_of_others_do_not_pile_up():
    moments = Moments()
    for stamp in range(1000):
        assert seen(moments.add_part(stamp, "hands", POSES, BOTH)) == []
    assert len(moments._parts) < 100
