# SPDX-License-Identifier: Apache-2.0
"""Options dataclass -> ROS parameters: typed, described, validated, live where it says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from pose_ros.core.options import option
from pose_ros.errors import ConfigError
from pose_ros.ros.params import Parameters, declare


@dataclass(frozen=True)
class Options:
    """One option of every kind."""

    source: str = option("", "Where images come from.")
    mode: str = option("fast", "How.", choices=("fast", "exact"), live=True)
    count: int = option(3, "How many.", low=1, high=10, live=True)
    rate: float = option(2.5, "How often.", unit="Hz", low=0.0, live=True)
    loop: bool = option(True, "Again and again.", live=True)
    names: tuple[str, ...] = option(("auto",), "Of what.", live=True)


@dataclass(frozen=True)
class Part:
    """Options of a part."""

    size: int = option(8, "How large.", low=1, high=99)


@pytest.fixture
def make(ros):
    def node(**overrides):
        return ros.node(
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter(n.replace("__", "."), value=v) for n, v in overrides.items()],
        )

    return node


def set_one(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_overrides_are_taken_and_the_rest_is_default(make):
    assert declare(make(count=5, mode="exact"), Options).options == Options(count=5, mode="exact")


def test_numbers_of_yaml_become_what_the_option_is(make):
    node = make(source=0, rate=4)
    assert declare(node, Options).options == Options(source="0", rate=4.0)
    assert node.get_parameter("rate").type_ == Parameter.Type.DOUBLE


def test_a_parameter_file(ros, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text("camera:\n  ros__parameters:\n    source: 0\n    part: {size: 9}\n")
    node = ros.node("camera", automatically_declare_parameters_from_overrides=True,
                    cli_args=["--ros-args", "--params-file", str(path)])
    parameters = Parameters(node, Options)
    parameters.add("part", Part)
    parameters.refuse_unknown()
    assert (parameters.options.source, parameters["part"]) == ("0", Part(9))


def test_lists_of_texts_are_arrays_and_one_text_will_do(make, ros, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text("camera:\n  ros__parameters:\n    names: [a, b]\n    part: {size: 9}\n")
    listed = ros.node("camera", automatically_declare_parameters_from_overrides=True,
                      cli_args=["--ros-args", "--params-file", str(path)])
    assert Parameters(listed, Options).options.names == ("a", "b")
    for given, names in (("a", ("a",)), (["a", "b"], ("a", "b")), ("a, b", ("a", "b"))):
        node = make(names=given)
        assert declare(node, Options).options.names == names
        assert node.get_parameter("names").value == list(names)
    parameters = declare(node := make(), Options)
    assert node.get_parameter("names").type_ == Parameter.Type.STRING_ARRAY
    assert node.describe_parameter("names").dynamic_typing
    for given, names in ((["c"], ("c",)), ("d", ("d",)), ([], ()), ("", ())):
        assert set_one(node, "names", given).successful
        assert parameters.options.names == names
    refused = set_one(node, "names", [3])
    assert not refused.successful
    assert "names: expected a list of texts, such as [a, b], got" in refused.reason


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"cuont": 3}, "cuont: unknown parameter; did you mean 'count'"),
        ({"part__size": 3}, r"part\.size: unknown parameter"),
        ({"count": 0}, "count: expected 1 .. 10, got 0"),
        ({"count": 2.5}, "count: expected int, got float 2.5"),
        ({"loop": "yes"}, "loop: expected bool, got str 'yes'"),
        ({"source": True}, "source: expected str, got bool True"),
        ({"rate": float("nan")}, "rate: expected a finite number"),
        ({"mode": "slow"}, "mode: expected one of fast, exact; got 'slow'"),
        ({"mode": ["fast"]}, "mode: expected str, got list"),
    ],
)
def test_what_does_not_fit_is_refused(make, overrides, expected):
    with pytest.raises(ConfigError, match=expected):
        declare(make(**overrides), Options)


def test_parameters_of_ros_itself_are_not_unknown(make):
    declare(make(use_sim_time=False), Options)


def test_descriptions(make):
    node = make()
    declare(node, Options)
    source, mode, count, rate, loop = node.describe_parameters(["source", "mode", "count", "rate", "loop"])
    assert (source.type, source.read_only, source.description) == (
        ParameterType.PARAMETER_STRING, True, "Where images come from."
    )
    assert (mode.additional_constraints, mode.read_only) == ("fast | exact", False)
    assert (count.integer_range[0].from_value, count.integer_range[0].to_value) == (1, 10)
    assert rate.floating_point_range[0].from_value == 0.0
    assert rate.floating_point_range[0].to_value > 1e300
    assert rate.additional_constraints == "unit: Hz"
    assert loop.type == ParameterType.PARAMETER_BOOL


def test_changes_while_running(make):
    node, changes = make(), []
    parameters = declare(node, Options, lambda *change: changes.append(change))
    assert set_one(node, "count", 4).successful
    assert parameters.options == Options(count=4)
    assert changes == [("", Options(), Options(count=4))]
    assert set_one(node, "count", 4).successful
    assert len(changes) == 1  # the same value is no change
    for name, value in {"count": 11, "mode": "slow", "rate": -1.0, "source": "x", "loop": 1}.items():
        result = set_one(node, name, value)
        assert not result.successful
        assert name in result.reason or "Wrong parameter type" in result.reason
    assert parameters.options == Options(count=4)
    assert set_one(node, "use_sim_time", False).successful


def test_several_changes_at_once_are_all_or_nothing(make):
    node, changes = make(), []
    parameters = declare(node, Options, lambda *change: changes.append(change))
    both = [Parameter("count", value=7), Parameter("mode", value="slow")]
    assert not node.set_parameters_atomically(both).successful
    assert parameters.options == Options()
    both[1] = Parameter("mode", value="exact")
    assert node.set_parameters_atomically(both).successful
    assert changes == [("", Options(), Options(count=7, mode="exact"))]


def test_a_refusal_says_why(make):
    node = make()

    def refuse(block, old, new):
        raise ConfigError("count", "not today")

    parameters = declare(node, Options, refuse)
    result = set_one(node, "count", 4)
    assert (result.successful, result.reason) == (False, "count: not today")
    assert parameters.options == Options()
    parameters.put(count=5)  # from inside nobody is asked
    assert (parameters.options.count, node.get_parameter("count").value) == (5, 5)


def test_blocks_come_and_go(make):
    node, changes = make(part__size=9), []
    parameters = Parameters(node, Options, lambda *change: changes.append(change))
    parameters.refuse_unknown(later=["part"])
    assert parameters.given("part") == {"size": 9}
    parameters.add("part", Part, reload=["size"])
    assert set_one(node, "part.size", 10).successful
    assert changes == [("part", Part(9), Part(10))]
    assert "loads the model again" in node.describe_parameter("part.size").additional_constraints
    parameters.add("part", Part, {}, reload=["size"])
    assert node.get_parameter("part.size").value == 8
    parameters.remove("part")
    assert not node.has_parameter("part.size")
