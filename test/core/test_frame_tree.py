# SPDX-License-Identifier: Apache-2.0
"""Transforms over time, against matrices that are multiplied one by one."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.frame_tree import FrameTree
from pose_ros.core.quaternion import slerp, to_matrices
from pose_ros.errors import ConfigError

S = 1_000_000_000
#: Where the seconds of a robot's clock begin: stamps do not fit a float.
NOW = 1_700_000_000 * S


def about(axis, angle):
    return np.append(np.sin(angle / 2) * np.asarray(axis, float), np.cos(angle / 2))


def matrix(translation, quaternion):
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = to_matrices(np.array(quaternion)), translation
    return made


def random_pose(rng):
    q = rng.normal(size=4)
    return rng.normal(size=3), q / np.linalg.norm(q)


@pytest.fixture
def tree():
    return FrameTree()


def test_a_way_through_the_tree_is_the_product_of_its_matrices(tree, rng):
    """world -> odom -> base -> camera, and world -> mast -> eye."""
    parents = {"odom": "world", "base": "odom", "camera": "base", "mast": "world", "eye": "mast"}
    placed = {"world": np.eye(4)}
    for child, parent in parents.items():
        pose = random_pose(rng)
        tree.put(parent, child, NOW, *pose, static=child == "mast")
        placed[child] = placed[parent] @ matrix(*pose)
    for target in placed:
        for source in placed:
            rotation, translation = tree.lookup(target, source, NOW)
            expected = np.linalg.inv(placed[target]) @ placed[source]
            np.testing.assert_allclose(rotation, expected[:3, :3], atol=1e-12)
            np.testing.assert_allclose(translation, expected[:3, 3], atol=1e-12)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 1.0])
def test_between_two_stamps_a_frame_moves_and_turns_evenly(tree, part):
    axis = np.array([0.6, 0.0, 0.8])
    tree.put("world", "base", NOW, (0, 0, 0), about(axis, 0.1))
    tree.put("world", "base", NOW + S // 10, (1, 2, 3), -about(axis, 1.7))  # the same rotation has two quaternions
    rotation, translation = tree.lookup("world", "base", NOW + round(part * S / 10))
    np.testing.assert_allclose(translation, part * np.array([1, 2, 3]), atol=1e-9)
    np.testing.assert_allclose(rotation, to_matrices(about(axis, 0.1 + part * 1.6)), atol=1e-9)


def test_slerp_of_the_same_rotation_is_that_rotation(rng):
    _, q = random_pose(rng)
    np.testing.assert_allclose(slerp(q, q, np.array(0.3)), q, atol=1e-12)


def test_a_transform_that_was_overtaken_takes_its_place(tree):
    for tenth in (0, 2, 1):
        tree.put("world", "base", NOW + tenth * S // 10, (tenth, 0, 0), (0, 0, 0, 1))
    assert tree.time_jumps == 0
    assert tree.lookup("world", "base", NOW + S // 20)[1][0] == pytest.approx(0.5)
    assert tree.lookup("world", "base", NOW + 3 * S // 20)[1][0] == pytest.approx(1.5)


def test_the_newest_word_about_a_stamp_counts(tree):
    tree.put("world", "base", NOW, (1, 0, 0), (0, 0, 0, 1))
    tree.put("world", "base", NOW, (2, 0, 0), (0, 0, 0, 1))
    assert tree.lookup("world", "base", NOW)[1][0] == 2


@pytest.mark.parametrize(("late_s", "known"), [(-0.06, False), (-0.04, True), (0.04, True), (0.06, False)])
def test_nothing_is_made_up_beyond_what_was_said(tree, late_s, known):
    tree.put("world", "base", NOW, (1, 0, 0), (0, 0, 0, 1))
    found = tree.lookup("world", "base", NOW + round(late_s * S))
    assert (found is not None) == known
    assert not known or found[1][0] == 1


def test_static_transforms_hold_for_ever(tree):
    tree.put("world", "base", 0, (1, 0, 0), (0, 0, 0, 1), static=True)
    assert tree.lookup("base", "world", NOW)[1][0] == -1
    tree.put("world", "base", 0, (3, 0, 0), (0, 0, 0, 1), static=True)
    assert tree.lookup("base", "world", NOW)[1][0] == -3


def test_ten_seconds_are_kept(tree):
    for second in range(31):
        tree.put("world", "base", NOW + second * S, (second, 0, 0), (0, 0, 0, 1))
    assert tree.lookup("world", "base", NOW + 20 * S) is None
    assert tree.lookup("world", "base", NOW + 21 * S)[1][0] == 21
    assert len(tree._edges["base"].poses) == 10


def test_frames_of_people_who_left_are_forgotten(tree):
    for person in range(1000):
        tree.put("world", f"body_{person}", NOW + person * S, (0, 0, 0), (0, 0, 0, 1))
    assert len(tree._edges) <= 11


def test_when_time_runs_backwards_only_what_never_moves_is_kept(tree):
    tree.put("world", "base", NOW, (1, 0, 0), (0, 0, 0, 1))
    tree.put("world", "arm", NOW, (1, 0, 0), (0, 0, 0, 1))
    tree.put("base", "camera", NOW, (1, 0, 0), (0, 0, 0, 1), static=True)
    tree.put("world", "base", NOW - S, (7, 0, 0), (0, 0, 0, 1))
    assert tree.time_jumps == 1
    assert tree.lookup("world", "camera", NOW) is None
    assert tree.lookup("world", "arm", NOW) is None
    assert tree.lookup("world", "camera", NOW - S)[1][0] == 8


def test_slashes_in_front_of_names_mean_nothing(tree):
    tree.put("/world", "/base", NOW, (1, 0, 0), (0, 0, 0, 1))
    assert tree.lookup("world", "/base", NOW)[1][0] == 1


@pytest.mark.parametrize(
    ("parent", "child", "translation", "rotation"),
    [
        ("", "base", (0, 0, 0), (0, 0, 0, 1)),
        ("base", "base", (0, 0, 0), (0, 0, 0, 1)),
        ("world", "base", (0, 0, 0), (0, 0, 0, 0)),
        ("world", "base", (0, 0, 0), (0, 0, 0, float("nan"))),
        ("world", "base", (0, float("inf"), 0), (0, 0, 0, 1)),
    ],
    ids=["nameless", "in itself", "zeros", "nan", "endless"],
)
def test_what_is_no_transform_is_left_out(tree, parent, child, translation, rotation):
    with pytest.raises(ConfigError, match="it is left out"):
        tree.put(parent, child, NOW, translation, rotation)
    assert tree.lookup("world", "base", NOW) is None


def test_a_frame_of_two_publishers_is_told(tree):
    tree.put("world", "camera", NOW, (1, 0, 0), (0, 0, 0, 1))
    with pytest.raises(ConfigError, match="expected one parent of 'camera', got 'world' and 'base'"):
        tree.put("base", "camera", NOW, (1, 0, 0), (0, 0, 0, 1))


def test_frames_in_a_circle_end_nothing(tree):
    tree.put("a", "b", NOW, (1, 0, 0), (0, 0, 0, 1))
    tree.put("b", "a", NOW, (1, 0, 0), (0, 0, 0, 1))
    assert tree.lookup("c", "a", NOW) is None
    assert "nobody publishes 'c'" in tree.why_not("c", "a", NOW)


def test_the_reason_is_told(tree):
    def why(target, source, stamp_ns=12_300_000_000):
        assert tree.lookup(target, source, stamp_ns) is None
        return tree.why_not(target, source, stamp_ns)

    assert why("world", "camera") == (
        "no transform from 'camera' to 'world' at 12.300 s: nothing was heard on /tf and /tf_static"
    )
    tree.put("world", "base", 10 * S, (1, 0, 0), (0, 0, 0, 1))
    tree.put("world", "base", 12 * S, (1, 0, 0), (0, 0, 0, 1))
    tree.put("mast", "eye", 0, (1, 0, 0), (0, 0, 0, 1), static=True)
    assert why("world", "bass").endswith("nobody publishes 'bass'; TF has base, mast, eye, world")
    assert why("base", "eye").endswith("their trees are not joined: 'eye' in 'mast' and 'base' in 'world'")
    assert why("world", "base").endswith("'base' in 'world' is known from 10.000 to 12.000 s")


def test_what_was_static_may_begin_to_move(tree):
    tree.put("world", "base", NOW, (1, 0, 0), (0, 0, 0, 1), static=True)
    tree.put("world", "base", NOW - S, (2, 0, 0), (0, 0, 0, 1))
    assert tree.time_jumps == 0
    assert tree.lookup("world", "base", NOW - S)[1][0] == 2
    assert tree.lookup("world", "base", NOW) is None


def test_what_may_be_under_way_is_told_from_what_never_comes(tree):
    tree.put("world", "base", 10 * S, (1, 0, 0), (0, 0, 0, 1))
    tree.put("base", "camera", 0, (1, 0, 0), (0, 0, 0, 1), static=True)
    assert tree.behind("world", "camera", 11 * S)
    assert not tree.behind("world", "camera", 10 * S)
    assert not tree.behind("world", "camera", 9 * S)
    assert not tree.behind("world", "eye", 11 * S)


def test_how_far_a_way_is_known(tree):
    assert tree.newest("odom", "camera") is None
    tree.put("base", "camera", 0, (0, 0, 1), (0, 0, 0, 1), static=True)
    assert tree.newest("base", "camera") is None
    tree.put("odom", "base", NOW, (1, 0, 0), (0, 0, 0, 1))
    newest = tree.newest("odom", "camera")
    assert newest == NOW + 50_000_000
    assert tree.lookup("odom", "camera", newest) is not None
    assert tree.lookup("odom", "camera", newest + 1) is None
