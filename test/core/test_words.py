# SPDX-License-Identifier: Apache-2.0
"""Skeleton, Frame, options, Stages: the small words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.options import from_mapping, option, specs
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.errors import ConfigError, ShapeError, UnknownNameError
from pose_ros.skeletons import catalogue

_SIDE = re.compile("left|right|(?<=_)[0-9]+")

@pytest.mark.parametrize(("parts", "message"), [
    ({"keypoints": ()}, "s: expected at least one keypoint"),
    ({"keypoints": ("a", "a")}, "no name twice"),
    ({"flip": (1, 0, 1)}, r"s\.flip: expected 2 indices"),
    ({"keypoints": ("a", "b", "c"), "flip": (1, 2, 0)}, "mirror one another"),
    ({"edges": ((0, 2),)}, r"s\.edges: expected indices 0 \.\. 1"),
    ({"sigmas": (0.1,)}, r"s\.sigmas: expected 2 positive numbers"),
    ({"sigmas": (0.1, 0)}, r"s\.sigmas"),
    ({"root": 2}, r"s\.root: expected an index 0 \.\. 1, got 2"),
    ({"joints": ("a",)}, r"s\.joints: expected 2 names"),
    ({"joints": ("a", "a")}, r"s\.joints: expected 2 names and none twice"),
])
def test_a_skeleton_that_contradicts_itself_is_refused(parts, message):
    with pytest.raises(ConfigError, match=message):
        Skeleton(**{"name": "s", "keypoints": ("a", "b"), **parts})


def test_a_skeleton_knows_its_names():
    skeleton = Skeleton("s", ("nose", "left", "right"), flip=(0, 2, 1))
    assert len(skeleton) == 3
    assert skeleton.index["right"] == 2
    assert skeleton.flip_index.tolist() == [0, 2, 1]
    assert Skeleton("s", ("a", "b")).flip == (0, 1)


@pytest.mark.parametrize("name", catalogue.names())
def test_a_shipped_skeleton_is_whole(name):
    skeleton = catalogue.get(name)
    assert skeleton.name == name
    assert skeleton.source
    for i, j in enumerate(skeleton.flip):
        left, right = skeleton.keypoints[i], skeleton.keypoints[j]
        sided = "left" in left or "right" in left
        assert i != j or not sided, left
        # Landmarks of faces have numbers in their names.
        assert _SIDE.sub("", left) == _SIDE.sub("", right)


def test_a_skeleton_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path))
    (tmp_path / "snake.yaml").write_text("keypoints: [head, tail]\nedges: [[head, tail]]\n")
    assert catalogue.get("snake").edges == ((0, 1),)
    assert "snake" in catalogue.names()
    (tmp_path / "snake.yaml").write_text("keypoints: [head, tail]\nmeasures: [gape]\nunits: {gape: m}\n")
    assert catalogue.get("snake").units == {"gape": "m"}
    (tmp_path / "snake.yaml").write_text("keypoints: [head]\nmeasures: [gape]\nunits: {gap: m}\n")
    with pytest.raises(ConfigError, match=r"snake\.yaml: does not fit together: units of what is no measure: gap"):
        catalogue.get("snake")
    (tmp_path / "snake.yaml").write_text("keypoints: [head]\nedges: [[head, tail]]\n")
    with pytest.raises(ConfigError, match=r"snake\.yaml: does not fit together: 'tail'"):
        catalogue.get("snake")
    (tmp_path / "snake.yaml").write_text("keypoints: [head\n")
    with pytest.raises(ConfigError, match=r"snake\.yaml: not readable as YAML"):
        catalogue.get("snake")
    (tmp_path / "snake.yaml").write_text("keypoint: [head]\n")
    with pytest.raises(ConfigError, match=r"expected keypoints and any of .*, got \['keypoint'\]"):
        catalogue.get("snake")


def test_an_unknown_skeleton_lists_near_names():
    with pytest.raises(UnknownNameError, match="unknown skeleton 'mediapipe3'; did you mean 'mediapipe33'"):
        catalogue.get("mediapipe3")


@pytest.mark.parametrize("image", [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), None,
], ids=lambda image: str(getattr(image, "shape", None)))
def test_a_frame_refuses_what_is_no_image(image):
    with pytest.raises(ShapeError, match="image: expected"):
        Frame(image)


def test_a_frame_knows_its_size():
    assert Frame(np.zeros((3, 5, 3), np.uint8)).size_wh == (5, 3)


@dataclass(frozen=True)
class Choices:
    rate: float = option(1.0, "Rate.", unit="Hz", low=0.5, high=10.0)
    count: int = option(3, "Count.", low=1)
    level: int = option(0, "Level.", high=5)
    mode: str = option("a", "Mode.", choices=("a", "b"), live=True)
    on: bool = option(False, "On.")
    names: tuple[str, ...] = option(("auto",), "Names.")


def test_options_are_read_from_a_mapping():
    read = from_mapping(Choices, {"rate": 2, "mode": "b", "on": True})
    assert read == Choices(rate=2.0, mode="b", on=True)
    assert isinstance(read.rate, float)
    assert from_mapping(Choices, {}) == Choices()


@pytest.mark.parametrize(("given", "names"), [
    (["a", "b"], ("a", "b")), (("a",), ("a",)), ([], ()), ("", ()), ("a", ("a",)), (" a, b,", ("a", "b")),
])
def test_a_list_of_texts_may_be_one_text(given, names):
    assert from_mapping(Choices, {"names": given}).names == names


@pytest.mark.parametrize(("values", "message"), [
    ({"raet": 1}, r"part\.raet: unknown key; did you mean 'rate'\? known: count, level, mode, names, on, rate"),
    ({"zzz": 1}, r"part\.zzz: unknown key; known:"),
    ({"rate": 11}, r"part\.rate: expected 0.5 \.\. 10, got 11"),
    ({"rate": 0.4}, r"part\.rate: expected 0.5 \.\. 10, got 0.4"),
    ({"rate": math.nan}, r"part\.rate: expected a finite number, got nan"),
    ({"rate": "fast"}, r"part\.rate: expected float, got str 'fast'"),
    ({"rate": True}, r"part\.rate: expected float, got bool True"),
    ({"count": 0}, r"part\.count: expected >= 1, got 0"),
    ({"level": 6}, r"part\.level: expected <= 5, got 6"),
    ({"count": 1.0}, r"part\.count: expected int, got float 1.0"),
    ({"count": True}, r"part\.count: expected int, got bool True"),
    ({"mode": "c"}, r"part\.mode: expected one of a, b; got 'c'"),
    ({"names": 3}, r"part\.names: expected a list of texts, such as \[a, b\], got 3"),
    ({"names": ["a", 3]}, r"part\.names: expected a list of texts, such as \[a, b\], got \['a', 3\]"),
    ({"on": 1}, r"part\.on: expected bool, got int 1"),
    ({"on": None}, r"part\.on: expected bool, got NoneType None"),
])
def test_options_that_do_not_fit_are_refused_by_name(values, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Choices, values, "part")


def test_options_describe_themselves():
    described = {s.name: s for s in specs(Choices)}
    assert list(described) == ["rate", "count", "level", "mode", "on", "names"]
    assert [s.range_text() for s in described.values()] == ["0.5 .. 10", ">= 1", "<= 5", "a | b", "", ""]
    assert [s.type_name for s in described.values()] == ["float", "int", "int", "str", "bool", "str[]"]
    assert described["rate"].unit == "Hz"
    assert described["mode"].live
    assert not described["rate"].live


def test_options_of_other_types_are_a_mistake_of_the_author():
    @dataclass(frozen=True)
    class Wrong:
        names: list = option(None, "Names.")  # noqa: RUF009

    with pytest.raises(TypeError, match=r"Wrong\.names: options are bool, int, float, str or tuple\[str, \.\.\.\]"):
        specs(Wrong)


def test_stages_add_up_in_the_order_of_the_work():
    stages = Stages()
    with stages("detect"), stages("inner"):
        pass
    with pytest.raises(RuntimeError), stages("fails"):
        raise RuntimeError
    stages.add("detect", 5.0)
    stages.add("transport", 1.5)
    assert list(stages.ms) == ["inner", "detect", "fails", "transport"]
    assert stages.ms["detect"] >= 5.0
    assert stages.ms["transport"] == 1.5
