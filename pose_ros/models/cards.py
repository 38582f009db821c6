# SPDX-License-Identifier: Apache-2.0
"""Find model cards by name, and read them strictly: shipped ones, and those in folders of the user's own.

``POSE_ROS_MODEL_PATH`` (folders, separated like PATH) is searched first, then ``models`` in the user's configuration
folder, then the shipped cards. The name of the file is the name of the model.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pose_ros import folders as user_folders
from pose_ros.errors import CardError, UnknownNameError
from pose_ros.models.card import ModelCard

T = TypeVar("T")


def folders() -> list[Path]:
    """Return the folders that are searched, first match wins."""
    own = [Path(p) for p in os.environ.get("POSE_ROS_MODEL_PATH", "").split(os.pathsep) if p]
    return [*own, user_folders.config() / "models", Path(__file__).parent / "cards"]


def names() -> list[str]:
    """Return the names of all cards, sorted."""
    return sorted({p.stem for folder in folders() for p in folder.glob("*.yaml")})


def get(name: str) -> ModelCard:
    """Return a card by name.

    Raises:
        UnknownNameError: There is none; the message lists near names.
        CardError: Its file is wrong; the message names the file and the key.
    """
    for folder in folders():
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    raise UnknownNameError("model", name, names(), "own cards go into a folder named by POSE_ROS_MODEL_PATH")


@cache
def _read(path: Path, _mtime_ns: int) -> ModelCard:
    def wrong(problem: str) -> CardError:
        return CardError(path.stem, f"{path}: {problem}")

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise wrong(f"not readable as YAML: {error}") from error
    try:
        return _build(ModelCard, data, "", name=path.stem, folder=path.parent)
    except CardError as error:
        raise wrong(error.problem) from error
    except (TypeError, ValueError) as error:
        raise wrong(str(error)) from error


def _build(cls: type[T], data: Any, where: str, **implied: Any) -> T:
    """Build a dataclass from a mapping; ValueError names the key that does not fit."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where or 'card'}: expected a mapping, got {type(data).__name__} {data!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in implied}  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    for key in data:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise ValueError(f"{prefix}{key}: unknown key; {hint}known: {', '.join(fields)}")
    for name, f in fields.items():
        if name not in data and f.default is f.default_factory is dataclasses.MISSING:
            raise ValueError(f"{prefix}{name}: missing")
    return cls(**implied, **{key: _convert(hints[key], value, prefix + key) for key, value in data.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return a YAML value as the type of its field."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    if origin is tuple:
        size = "" if Ellipsis in args else f"{len(args)} "
        if not isinstance(value, list) or (size and len(value) != len(args)):
            raise ValueError(f"{where}: expected a list of {size}{args[0].__name__}, got {value!r}")
        return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None:  # Mapping[str, ...]
        if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
            raise ValueError(f"{where}: expected a mapping with words as keys, got {value!r}")
        return value if args[1] is Any else {k: _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{where}: expected {hint.__name__}, got {type(value).__name__} {value!r}")
    return value
