# SPDX-License-Identifier: Apache-2.0
"""Find model cards by name, and read them strictly: shipped ones, and those in folders of the user's own.

``POSE_ROS_MODEL_PATH`` (folders, separated like PATH) is searched first, then ``models`` in the user's configuration
folder, then the shipped cards. A file is one card, and its name the name of the model; or it is a family: what all
its models have in common under ``shared``, and under ``models`` each one's name and what is its own::

    shared: {kind: estimator, plugin: heatmap, licence: {weights: Apache-2.0}, ...}
    models:
      hrnet-w32: {input_wh: [192, 256], network: {width: 32}, ...}
      hrnet-w48: {input_wh: [192, 256], network: {width: 48}, ...}

Mappings are joined key by key, anything else is replaced. Where ``skeleton`` is a mapping, it is what a skeleton's own
file would say, and is called after the model.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import typing
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pose_ros import folders as user_folders
from pose_ros.core import documents
from pose_ros.errors import CardError, ConfigError, UnknownNameError
from pose_ros.models.card import ModelCard
from pose_ros.skeletons import catalogue

T = TypeVar("T")


def folders() -> list[Path]:
    """Return the folders that are searched, first match wins."""
    own = [Path(p) for p in os.environ.get("POSE_ROS_MODEL_PATH", "").split(os.pathsep) if p]
    return [*own, user_folders.config() / "models", Path(__file__).parent / "cards"]


def names(where: Sequence[Path] | None = None) -> list[str]:
    """Return the names of all cards, or of those in some folders, sorted."""
    return sorted(places(where))


def places(where: Sequence[Path] | None = None) -> dict[str, Path]:
    """Return name -> file of all cards, or of those in some folders."""
    found: dict[str, Path] = {}
    for folder in folders() if where is None else where:
        paths = sorted(folder.glob("*.yaml"))
        # A file of that name comes before a family with that member.
        inside = {name: path for path in reversed(paths) for name in _names(path)}
        found = {**inside, **{path.stem: path for path in paths if path.stem in inside}, **found}
    return found


def get(name: str) -> ModelCard:
    """Return a card by name.

    Raises:
        UnknownNameError: There is none; the message lists near names.
        CardError: Its file is wrong; the message names the file and the key.
    """
    known = places()
    if name not in known:
        raise UnknownNameError("model", name, known, "`pose-ros models list` shows all; own cards go into a folder "
                                                   "named by POSE_ROS_MODEL_PATH")
    return read(known[name], name)


def read(path: Path, name: str) -> ModelCard:
    """Return one card of a file.

    Raises:
        CardError: The file is wrong; the message names it and the key.
    """
    return _read(path, path.stat().st_mtime_ns, name)


def _names(path: Path) -> Collection[str]:
    """Return the names of the models in a file; that of the file itself where it cannot be read."""
    try:
        data = _parse(path, path.stat().st_mtime_ns)
    except CardError:
        return (path.stem,)
    return data["models"].keys() if _is_family(data) else (path.stem,)


def _is_family(data: Any) -> bool:
    return isinstance(data, Mapping) and isinstance(data.get("models"), Mapping)


@cache
def _parse(path: Path, _mtime_ns: int) -> Any:
    """Return what is in a file, which is not to be changed."""
    try:
        return documents.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CardError(path.stem, f"{path}: not readable as YAML: {error}") from error


@cache
def _read(path: Path, mtime_ns: int, name: str) -> ModelCard:
    where = path if name == path.stem else f"{path}, models.{name}"
    data = _parse(path, mtime_ns)
    try:
        if _is_family(data):
            if data.keys() - {"shared", "models"}:
                raise ValueError(f"a family has the keys shared and models, got {', '.join(data)}")
            data = _joined(data.get("shared") or {}, data["models"][name] or {})
        if isinstance(data, Mapping) and isinstance(data.get("skeleton"), Mapping):
            catalogue.add(name, data["skeleton"], "skeleton")
            data = {**data, "skeleton": name}
        return _build(ModelCard, data, "", name=name, folder=path.parent)
    except CardError as error:
        raise CardError(name, f"{where}: {error.problem}") from error
    except ConfigError as error:
        raise CardError(name, f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise CardError(name, f"{where}: {error}") from error


def _joined(shared: Any, own: Any) -> Any:
    if not (isinstance(shared, Mapping) and isinstance(own, Mapping)):
        return own
    return {**shared, **{key: _joined(shared.get(key), value) for key, value in own.items()}}


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(cls: type[T], data: Any, where: str, **implied: Any) -> T:
    """Build a dataclass from a mapping; ValueError names the key that does not fit."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where or 'card'}: expected a mapping, got {type(data).__name__} {data!r}")
    hints = _hints(typing.cast(Any, cls))
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
