# SPDX-License-Identifier: Apache-2.0
"""Options written once: type, default, range, unit and help live on the field of a frozen dataclass.

ROS parameters, validation, ``--help`` and the tables in the documentation all read them here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pose_ros.errors import ConfigError

T = TypeVar("T")
_TYPES = (bool, int, float, str, tuple[str, ...])


@dataclasses.dataclass(frozen=True)
class OptionSpec:
    """What is known about one option."""

    name: str
    #: One of bool, int, float, str, and tuple, which stands for a list of texts.
    type: type[Any]
    default: Any
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    #: Whether it may be changed while running; otherwise it needs a reload.
    live: bool = False

    def check(self, value: Any, where: str = "") -> Any:
        """Return ``value`` as this option's type, or raise ConfigError."""
        where = f"{where}.{self.name}" if where else self.name
        if self.type is tuple:
            return _texts(value, where)
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            raise ConfigError(where, f"expected {self.type_name}, got {type(value).__name__} {value!r}")
        if self.type is float and not math.isfinite(value):
            raise ConfigError(where, f"expected a finite number, got {value!r}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ConfigError(where, f"expected {self.range_text()}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ConfigError(where, f"expected one of {', '.join(self.choices)}; got {value!r}")
        return value

    @property
    def type_name(self) -> str:
        """What the type is called in tables and messages."""
        return "str[]" if self.type is tuple else self.type.__name__

    def range_text(self) -> str:
        """Return the allowed values as text, such as ``0 .. 1``."""
        if self.choices:
            return " | ".join(self.choices)
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f">= {self.low:g}"
        if self.low is None:
            return f"<= {self.high:g}"
        return f"{self.low:g} .. {self.high:g}"


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """Return the texts of a list, or those of one text with commas between them."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or any(not isinstance(text, str) for text in texts):
        raise ConfigError(where, f"expected a list of texts, such as [a, b], got {value!r}")
    return tuple(filter(None, map(str.strip, texts)))


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = False,
) -> Any:
    """Declare one option of a Config dataclass."""
    return dataclasses.field(
        default=default,
        metadata={"help": help, "unit": unit, "low": low, "high": high, "choices": tuple(choices), "live": live},
    )


def specs(config: type) -> tuple[OptionSpec, ...]:
    """Return the options of a Config dataclass, in the order they were written."""
    hints = typing.get_type_hints(config)
    found = []
    for f in dataclasses.fields(config):
        if hints[f.name] not in _TYPES:
            raise TypeError(f"{config.__name__}.{f.name}: options are bool, int, float, str or tuple[str, ...], not "
                            f"{hints[f.name]}")
        kind = typing.get_origin(hints[f.name]) or hints[f.name]
        found.append(OptionSpec(name=f.name, type=kind, default=f.default, **f.metadata))
    return tuple(found)


def from_mapping(config: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build a Config from a mapping, refusing unknown keys, wrong types and values out of range.

    Args:
        config: A frozen dataclass whose fields were made by :func:`option`.
        values: Key to value; missing keys take their default.
        where: Path that error messages start with.

    Raises:
        ConfigError: The first thing that does not fit, with near names for an unknown key.
    """
    known = {s.name: s for s in specs(config)}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
            path = f"{where}.{key}" if where else str(key)
            raise ConfigError(path, f"unknown key; {hint}known: {', '.join(sorted(known)) or '(none)'}")
    return config(**{key: known[key].check(value, where) for key, value in values.items()})
