# SPDX-License-Identifier: Apache-2.0
"""Options dataclass -> declared, described, validated ROS parameters.

The node has to be created with ``automatically_declare_parameters_from_overrides=True``: only so can a misspelt key be
told from one that was never there::

    node = Node("camera", automatically_declare_parameters_from_overrides=True)
    parameters = declare(node, CameraOptions, on_change=camera.change)
    parameters.options
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from pose_ros.core.options import OptionSpec, from_mapping, specs
from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.ros.process import HealthOptions, ProcessOptions

T = TypeVar("T")
#: Called with (block, old options, new options); a PoseRosError refuses the change.
OnChange = Callable[[str, Any, Any], None]

_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple: ParameterType.PARAMETER_STRING_ARRAY,
}
#: Declared by rclpy itself.
_FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
_INT64_MAX = 2**63 - 1


class Parameters(Generic[T]):
    """The parameters of one node: its own options, and blocks with the options of its parts."""

    def __init__(
        self, node: Node, options: type[T], on_change: OnChange | None = None, reload: Collection[str] = ()
    ) -> None:
        """Declare the node's own options.

        Args:
            node: Created with ``automatically_declare_parameters_from_overrides=True``.
            options: Frozen dataclass, see :mod:`pose_ros.core.options`.
            on_change: Asked about every change from outside.
            reload: Options that are not live, but may be set because ``on_change`` loads anew.

        Raises:
            ConfigError: A given value has the wrong type or is out of range.
        """
        self._node, self._on_change = node, on_change
        self._values: dict[str, Any] = {}
        self._specs: dict[str, tuple[str, OptionSpec]] = {}
        names = node.get_parameters_by_prefix("")
        self._given = {n: node.get_parameter(n).value for n in names if not n.startswith(_FOREIGN)}
        for name in self._given:
            node.undeclare_parameter(name)
        self.add("", options, reload=reload)
        self.add("process", ProcessOptions)
        self.add("health", HealthOptions)
        node.add_on_set_parameters_callback(self._set)

    @property
    def options(self) -> T:
        """The node's own options as they are now."""
        return self._values[""]

    def __getitem__(self, block: str) -> Any:
        """Return the options of a block as they are now; the node's own for ''."""
        return self._values[block]

    def get(self, block: str) -> Any:
        """Return the options of a block as they are now; None where it was not added."""
        return self._values.get(block)

    def given(self, block: str) -> dict[str, Any]:
        """Return what the user gave for a block, before any check."""
        return {n.partition(".")[2]: v for n, v in self._given.items() if n.startswith(f"{block}.")}

    def add(
        self, block: str, options: type, values: Mapping[str, Any] | None = None, *, reload: Collection[str] = ()
    ) -> None:
        """Declare options as ``block.name``, taking the place of an earlier block of that name.

        Args:
            block: Prefix; '' for none.
            options: Frozen dataclass.
            values: Instead of what the user gave.
            reload: Options that are not live, but may be set because ``on_change`` loads anew.

        Raises:
            ConfigError: A value does not fit, or (in a block) a key is unknown.
        """
        self.remove(block)
        known = specs(options)
        if values is None:
            given = self.given(block) if block else self._given
            values = given if block else {s.name: given[s.name] for s in known if s.name in given}
        values = {**values, **{
            s.name: str(values[s.name])  # YAML reads `source: 0` as a number
            for s in known if s.type is str and type(values.get(s.name)) is int
        }}
        made: Any = from_mapping(options, values, block)
        self._values[block] = made
        for spec in known:
            name = f"{block}.{spec.name}" if block else spec.name
            self._specs[name] = (block, spec)
            descriptor = _descriptor(name, spec, spec.name in reload)
            self._node.declare_parameter(name, _value(getattr(made, spec.name)), descriptor, ignore_override=True)

    def remove(self, block: str) -> None:
        """Take a block away, all of whose options may be set; nothing happens when it is not there."""
        for name in [n for n, (b, _) in self._specs.items() if b == block]:
            del self._specs[name]
            self._node.undeclare_parameter(name)
        self._values.pop(block, None)

    def put(self, **values: Any) -> None:
        """Let the node's own options show what became of them, without asking ``on_change``."""
        on_change, self._on_change = self._on_change, None
        try:
            self._node.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        finally:
            self._on_change = on_change

    def refuse_unknown(self, later: Collection[str] = ()) -> None:
        """Refuse keys that the user gave and nobody declared.

        Args:
            later: Blocks that will be declared later.

        Raises:
            ConfigError: With near names.
        """
        for name in sorted(self._given.keys() - self._specs.keys()):
            if name.partition(".")[0] in later:
                continue
            near = difflib.get_close_matches(name, self._specs, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
            raise ConfigError(name, f"unknown parameter; {hint}known: {', '.join(sorted(self._specs))}")

    def _set(self, parameters: list[Parameter]) -> SetParametersResult:
        """Check a change from outside, and pass it on."""
        changed: dict[str, dict[str, Any]] = {}
        try:
            for parameter in parameters:
                if parameter.name not in self._specs:
                    continue
                block, spec = self._specs[parameter.name]
                value = spec.check(parameter.value, block)
                if value != getattr(self._values[block], spec.name):
                    changed.setdefault(block, {})[spec.name] = value
            for block, values in changed.items():
                old = self._values[block]
                new = dataclasses.replace(old, **values)
                if self._on_change is not None:
                    self._on_change(block, old, new)
                self._values[block] = new
        except PoseRosError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def declare(node: Node, options: type[T], on_change: OnChange | None = None) -> Parameters[T]:
    """Declare the options of a node that has no blocks; see :class:`Parameters`.

    Raises:
        ConfigError: A key is unknown (with near names), or a value does not fit.
    """
    parameters = Parameters(node, options, on_change)
    parameters.refuse_unknown()
    return parameters


def _value(value: Any) -> Any:
    """Return what the parameter shows: ROS cannot tell of what an empty array would be, nor read one from YAML."""
    return list(value) or "" if isinstance(value, tuple) else value


def _descriptor(name: str, spec: OptionSpec, reload: bool) -> ParameterDescriptor:
    """Say everything about an option in the words of ROS."""
    change = "" if spec.live else "changing it loads the model again" if reload else "set at start"
    notes = [spec.range_text() if spec.choices else "", f"unit: {spec.unit}" if spec.unit else "", change]
    descriptor = ParameterDescriptor(
        name=name,
        type=_TYPES[spec.type],
        description=spec.help,
        additional_constraints="; ".join(filter(None, notes)),
        read_only=not (spec.live or reload),
        dynamic_typing=spec.type is tuple,  # one text will do where a list of them is expected
    )
    if spec.low is not None or spec.high is not None:
        if spec.type is int:
            low = -_INT64_MAX if spec.low is None else int(spec.low)
            high = _INT64_MAX if spec.high is None else int(spec.high)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            low_f = -sys.float_info.max if spec.low is None else float(spec.low)
            high_f = sys.float_info.max if spec.high is None else float(spec.high)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]
    return descriptor
