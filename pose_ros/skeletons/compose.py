# SPDX-License-Identifier: Apache-2.0
"""Put skeletons together from the files of others.

A file may extend another one: its own keypoints come after those. Then come its ``parts``, the hands and the face of a
whole person: each is a skeleton, whose keypoints get a ``prefix`` (``numbered``: and their index instead of a name) or
one of the ``names``. A name that the whole has already, such as that of its wrist, adds no keypoint. ``sigmas`` are
those of all keypoints; left out they are taken over, if all keypoints have some. The ``subject`` says whose the joints
are; without one they are like those of no other skeleton.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_LISTS = ("keypoints", "edges", "flip_pairs", "measures", "frames")
_MAPPINGS = ("joints", "made", "colors", "blocks", "roles", "rigid", "units")


def compose(data: Mapping[str, Any], load: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a file says of all its keypoints; each has its joint, and joints say whose they are.

    Args:
        data: Content of a skeleton's file.
        load: Returns the content of the file of another one.
    """
    whole = compose(load(data["extends"]), load) if "extends" in data else _empty()
    sigmas = dict(zip(whole["keypoints"], whole["sigmas"], strict=False))
    for key in _LISTS:
        whole[key] = [*whole[key], *data.get(key, [])]
    for key in ("blocks", "roles", "rigid", "units"):
        whole[key] |= data.get(key, {})
    _merge_colors(whole, data.get("colors", {}))
    if unknown := data.get("joints", {}).keys() - set(data.get("keypoints", [])):
        raise KeyError(*sorted(unknown))

    whole["subject"] = data.get("subject", whole["subject"] or data["name"])

    def joint(name: str) -> str:
        return name if "/" in name or whole["subject"] == "person" else f"{whole['subject']}/{name}"

    whole["joints"] |= {k: joint(data.get("joints", {}).get(k, k)) for k in data.get("keypoints", [])}
    whole["made"] |= {joint(k): [[joint(n) for n in way] for way in ways] for k, ways in data.get("made", {}).items()}
    for part in data.get("parts", []):
        sigmas |= _add(whole, compose(load(part["skeleton"]), load), **part)
    sides = [whole["blocks"].get(f"{side}_hand", {"keypoints": []})["keypoints"] for side in ("left", "right")]
    paired = {name for pair in whole["flip_pairs"] for name in pair}
    whole["flip_pairs"] += [[a, b] for a, b in zip(*sides, strict=True) if a not in paired]
    taken_over = [sigmas[k] for k in whole["keypoints"]] if sigmas.keys() >= set(whole["keypoints"]) else []
    whole["sigmas"] = data.get("sigmas", taken_over)
    return {**whole, **{k: data[k] for k in ("name", "root", "source") if k in data}}


def _empty() -> dict[str, Any]:
    return {"subject": "", **{key: [] for key in (*_LISTS, "sigmas")}, **{key: {} for key in _MAPPINGS}}


def _merge_colors(whole: dict[str, Any], colors: Mapping[str, list[str]]) -> None:
    for color, keypoints in colors.items():
        whole["colors"][color] = [*whole["colors"].get(color, []), *keypoints]


def _add(
    whole: dict[str, Any], part: Mapping[str, Any], skeleton: str, block: str, prefix: str = "", numbered: bool = False,
    names: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Append a part to a whole person; return the sigmas of its keypoints."""
    named = {k: f"{prefix}{i if numbered else k}" for i, k in enumerate(part["keypoints"])} | dict(names or {})
    fresh = [k for k in part["keypoints"] if named[k] not in whole["joints"]]
    joints = {k: f"{block}/{part['joints'][k].rpartition('/')[2]}" for k in fresh}
    whole["keypoints"] += [named[k] for k in fresh]
    whole["joints"] |= {named[k]: joint for k, joint in joints.items()}
    for key in ("edges", "flip_pairs"):
        whole[key] += [[named[a], named[b]] for a, b in part[key]]
    _merge_colors(whole, {c: [named[k] for k in ks] for c, ks in part["colors"].items()})
    whole["blocks"][block] = {"skeleton": skeleton, "keypoints": list(named.values())}
    return {named[k]: s for k, s in zip(part["keypoints"], part["sigmas"], strict=False) if k in fresh}
