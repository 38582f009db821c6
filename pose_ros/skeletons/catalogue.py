# SPDX-License-Identifier: Apache-2.0
"""Find skeletons by name: shipped ones, and those in folders of the user's own.

``POSE_ROS_SKELETON_PATH`` (folders, separated like PATH) is searched before the shipped ones.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import yaml

from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, UnknownNameError

_KEYS = {
    "name", "keypoints", "edges", "flip_pairs", "sigmas", "root", "source", "maps", "colors", "measures", "frames",
    "blocks", "roles", "rigid",
}


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
    for folder in folders():
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    raise UnknownNameError("skeleton", name, names())


@cache
def _read(path: Path, _mtime_ns: int) -> Skeleton:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"not readable as YAML: {error}") from error
    if not isinstance(data, dict) or not data.keys() <= _KEYS or "keypoints" not in data:
        keys = sorted(data) if isinstance(data, dict) else data
        raise ConfigError(str(path), f"expected keypoints and any of {sorted(_KEYS)}, got {keys}")
    keypoints = tuple(data["keypoints"])
    index = {k: i for i, k in enumerate(keypoints)}
    flip = list(range(len(keypoints)))
    try:
        for left, right in data.get("flip_pairs", []):
            flip[index[left]], flip[index[right]] = index[right], index[left]
        return Skeleton(
            name=data.get("name", path.stem),
            keypoints=keypoints,
            edges=tuple((index[a], index[b]) for a, b in data.get("edges", [])),
            flip=tuple(flip),
            sigmas=tuple(data.get("sigmas", [])),
            root=index[data["root"]] if "root" in data else 0,
            source=data.get("source", ""),
            maps={k: tuple(index[n] if n else -1 for n in v) for k, v in data.get("maps", {}).items()},
            colors=tuple((int(r), int(g), int(b)) for r, g, b in data.get("colors", [])),
            measures=tuple(data.get("measures", [])),
            frames=tuple(data.get("frames", [])),
            blocks={
                k: (v["skeleton"], tuple(index[n] if n else -1 for n in v["keypoints"]))
                for k, v in data.get("blocks", {}).items()
            },
            roles={k: tuple(index[n] for n in v) for k, v in data.get("roles", {}).items()},
            rigid={index[k]: (float(x), float(y), float(z)) for k, (x, y, z) in data.get("rigid", {}).items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(str(path), f"does not fit together: {error}") from error
