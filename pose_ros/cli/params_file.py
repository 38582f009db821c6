# SPDX-License-Identifier: Apache-2.0
"""Read a ROS 2 parameter file as rcl does: nested namespaces, wildcards, and blocks that become dotted keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pose_ros.core import documents
from pose_ros.errors import ConfigError

_PARAMETERS = "ros__parameters"


def blocks(path: Path, above: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (full name or pattern, flat parameters) in the order of a file, which decides who wins.

    Args:
        path: A ROS 2 parameter file.
        above: Put before all names: a namespace with its slash, or nothing.

    Raises:
        ConfigError: It is none.
    """
    return list(_blocks(_read(path), above))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = documents.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(str(path), f"expected node names with {_PARAMETERS} below, got {type(data).__name__}")
    return data


def _blocks(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in data.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if not isinstance(value, dict):
            raise ConfigError(name, f"expected {_PARAMETERS} or a namespace, got {type(value).__name__} {value!r}")
        if _PARAMETERS in value:
            if len(value) > 1:
                other = ", ".join(sorted(str(k) for k in value if k != _PARAMETERS))
                raise ConfigError(name, f"expected nothing beside {_PARAMETERS}, got {other}")
            yield name, dict(flat(value[_PARAMETERS] or {}, "", name))
        else:
            near = [k for k in value if str(k).replace("_", "") == "rosparameters"]
            if near or not value:
                raise ConfigError(name, f"expected '{_PARAMETERS}' below" + (f", got '{near[0]}'" if near else ""))
            yield from _blocks(value, name)


def flat(values: Mapping[str, Any], prefix: str, node: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of nested blocks; ``prefix`` stands before each key, and ``node`` is whose they are."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if not value:
                raise ConfigError(f"{node}.{name}", "ROS 2 cannot read an empty block '{}'; leave the key out")
            yield from flat(value, f"{name}.", node)
        elif value is None:
            raise ConfigError(f"{node}.{name}", "expected a value, got nothing; leave the key out for its default")
        elif value == []:
            raise ConfigError(f"{node}.{name}", "ROS 2 cannot read an empty list '[]'; write '' for one")
        else:
            yield name, value


def reaches(pattern: str, name: str) -> bool:
    """Apply a wildcard as rcl does: ``*`` is one level of names, ``**`` any number."""
    expression = re.escape(pattern).replace(r"/\*\*", "(/[^/]+)*").replace(r"/\*", "/[^/]+")
    return re.fullmatch(expression, name) is not None
