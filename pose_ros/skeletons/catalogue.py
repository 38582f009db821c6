# SPDX-License-Identifier: Apache-2.0
"""Find skeletons by name: shipped ones, and those in folders of the user's own.

``POSE_ROS_SKELETON_PATH`` (folders, separated like PATH) is searched before the shipped ones. A model card may hold a
skeleton of its own; the card's reader brings that here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pose_ros.anatomy.describe import UNITS
from pose_ros.anatomy.describe import names as described_names
from pose_ros.core import documents
from pose_ros.core.colors import by_side
from pose_ros.core.convert import converts
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.skeletons.compose import compose

# Ten times as fast where PyYAML has it.

_KEYS = {
    "name", "extends", "keypoints", "parts", "edges", "flip_pairs", "sigmas", "root", "source", "subject", "joints",
    "made", "colors", "measures", "frames", "blocks", "roles", "rigid", "units",
}

#: Skeletons of model cards.
_added: dict[str, Skeleton] = {}


def folders() -> list[Path]:
    """Return the folders that are searched, first match wins."""
    own = [Path(p) for p in os.environ.get("POSE_ROS_SKELETON_PATH", "").split(os.pathsep) if p]
    return [*own, Path(__file__).parent]


def names() -> list[str]:
    """Return the names of all skeletons, sorted."""
    return sorted({p.stem for folder in folders() for p in folder.glob("*.yaml")})


def get(name: str) -> Skeleton:
    """Return a skeleton by name.

    Raises:
        UnknownNameError: There is none.
        ConfigError: Its file is wrong.
    """
    if name in _added:
        return _added[name]
    path = _find(name)
    return _read(path, path.stat().st_mtime_ns)


def add(name: str, data: Mapping[str, Any], where: str) -> None:
    """Make a skeleton known that stands in no file of its own.

    Args:
        name: By which :func:`get` finds it, before any file.
        data: What a file would say.
        where: What to call it in messages.

    Raises:
        ConfigError: It is wrong.
    """
    _added[name] = _build({"name": name, **_checked(data, where)}, where)


def targets(skeleton: Skeleton) -> list[str]:
    """Return the names of the skeletons that poses of this one convert to, without its own."""
    return [name for name in names() if name != skeleton.name and converts(skeleton, get(name))]


def _find(name: str) -> Path:
    for folder in folders():
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UnknownNameError("skeleton", name, names())


def _load(path: Path) -> dict[str, Any]:
    try:
        data = documents.load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"not readable as YAML: {error}") from error
    return _checked(data, str(path))


def _checked(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not data.keys() <= _KEYS or not data.keys() & {"keypoints", "extends"}:
        keys = sorted(data) if isinstance(data, dict) else data
        raise ConfigError(where, f"expected keypoints and any of {sorted(_KEYS)}, got {keys}")
    return data


@cache
def _read(path: Path, _mtime_ns: int) -> Skeleton:
    return _build({"name": path.stem, **_load(path)}, str(path))


def _build(data: dict[str, Any], where: str) -> Skeleton:
    try:
        data = compose(data, lambda name: {"name": name, **_load(_find(name))})
        keypoints = tuple(data["keypoints"])
        index = {k: i for i, k in enumerate(keypoints)}
        flip = list(range(len(keypoints)))
        for left, right in data["flip_pairs"]:
            flip[index[left]], flip[index[right]] = index[right], index[left]
        # The joint knows the side of what is only numbered.
        colors = list(by_side([f"{k}_{data['joints'][k].rpartition('/')[2]}" for k in keypoints]))
        for color, chosen in data["colors"].items():
            for k in chosen:
                colors[index[k]] = _rgb(color)
        skeleton = Skeleton(
            name=data["name"],
            keypoints=keypoints,
            edges=tuple((index[a], index[b]) for a, b in data["edges"]),
            flip=tuple(flip),
            sigmas=tuple(data["sigmas"]),
            root=index[data["root"]] if "root" in data else 0,
            source=data.get("source", ""),
            joints=tuple(data["joints"][k] for k in keypoints),
            made={k: tuple(map(tuple, ways)) for k, ways in data["made"].items()},
            colors=tuple(colors),
            measures=tuple(data["measures"]),
            units=_units(data),
            frames=tuple(data["frames"]),
            blocks={
                k: (v["skeleton"], tuple(index[n] if n else -1 for n in v["keypoints"]))
                for k, v in data["blocks"].items()
            },
            roles={k: tuple(index[n] for n in v) for k, v in data["roles"].items()},
            rigid={index[k]: (float(x), float(y), float(z)) for k, (x, y, z) in data["rigid"].items()},
        )
        measures, frames = described_names(skeleton)
        return dataclasses.replace(
            skeleton, measures=(*skeleton.measures, *measures), frames=(*skeleton.frames, *frames),
            units={**{name: UNITS[name] for name in measures}, **skeleton.units},
        )
    except RecursionError as error:
        raise ConfigError(where, "extends itself") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(where, f"does not fit together: {error}") from error


def _units(data: Mapping[str, Any]) -> dict[str, str]:
    if unknown := data["units"].keys() - set(data["measures"]):
        raise ValueError(f"units of what is no measure: {', '.join(sorted(unknown))}")
    return {name: str(unit) for name, unit in data["units"].items()}


def _rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``."""
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f"expected a colour such as '#e69f00', got '{color}'")
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
