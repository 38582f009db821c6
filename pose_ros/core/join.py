# SPDX-License-Identifier: Apache-2.0
"""Join bodies, hands and faces to poses of a whole-body skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

#: Block of a whole-body skeleton -> what the poses that belong there are called, the side they have to be on (0: any),
#: and the keypoint of the body that their root sits on.
_BLOCKS = {
    "left_hand": ("hands", LEFT, "left_wrist"),
    "right_hand": ("hands", RIGHT, "right_wrist"),
    "face": ("faces", 0, "nose"),
}
_METRIC = {"points": (3,), "covariances": (3, 3), "local_points": (3,), "views": (), "reprojection_errors": ()}


def join(whole: Poses, parts: Mapping[str, Poses], target: Skeleton) -> Poses:
    """Return bodies in a whole-body skeleton, with their hands and faces in its blocks.

    A part belongs to the body whose id is its parent. Of two that claim one place, the better one has it. What no part
    fills is as the body's own model has it, or NaN with score 0. Root-relative points of a part are moved so that its
    root sits on the body's: a hand's wrist on the wrist, a face's root on the nose. Measures and frames that part and
    whole call by the same name, those of faces, are the part's.

    Args:
        whole: N bodies with ids.
        parts: ``hands`` and ``faces`` with parents.
        target: Skeleton with ``blocks``.

    Raises:
        ConfigError: When there is no map from a skeleton to its place in ``target``.
    """
    joined = whole.to(target)
    columns = {name: getattr(joined, name).copy() for name in ("keypoints", "scores", "sources")}
    for name, shape in _METRIC.items():
        like = getattr(joined, name)
        if like is not None:
            columns[name] = like.copy()
        elif any(getattr(part, name) is not None for part in parts.values()):
            size = (len(joined), len(target), *shape)
            columns[name] = np.zeros(size, np.uint8) if name == "views" else np.full(size, np.nan, np.float32)
    for block, (kind, side, anchor) in _BLOCKS.items():
        if block not in target.blocks or kind not in parts:
            continue
        part = parts[kind]
        index, goals = _route(part.skeleton, target, block)
        rows, members = _owners(whole, part, side)
        for name, column in columns.items():
            values = getattr(part, name)
            if values is None or not len(rows):
                continue
            values = values[members]
            if name == "local_points":
                if anchor not in target.index:
                    continue
                values = values + (column[rows, target.index[anchor]] - values[:, part.skeleton.root])[:, None]
            column[np.ix_(rows, goals)] = values[:, index]
        for name in ("measures", "frames"):
            _name_by_name(columns, name, joined, part, rows, members)
    return joined.replace(**columns)


def _name_by_name(
    columns: dict[str, np.ndarray], name: str, joined: Poses, part: Poses, rows: np.ndarray, members: np.ndarray
) -> None:
    """Take over what the parts say beyond their keypoints, as far as the whole says the same: faces do."""
    ours, theirs = getattr(joined.skeleton, name), getattr(part.skeleton, name)
    common = [value for value in theirs if value in ours]
    values = getattr(part, name)
    if values is None or not common:
        return
    if name not in columns:
        known = getattr(joined, name)
        size = (len(joined), len(ours), *values.shape[2:])
        columns[name] = np.full(size, np.nan, np.float32) if known is None else known.copy()
    goals = [ours.index(value) for value in common]
    columns[name][np.ix_(rows, goals)] = values[members][:, [theirs.index(value) for value in common]]


@lru_cache(maxsize=32)
def _route(skeleton: Skeleton, target: Skeleton, block: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the keypoints of a part's skeleton that have a place in the block, and those places."""
    name, places = target.blocks[block]
    if skeleton.name == name:
        index = np.arange(len(skeleton))
    else:
        # A block says whose joints they are, left_hand/wrist; the part alone does not know.
        known = {joint.rpartition("/")[2]: i for i, joint in enumerate(skeleton.joints)}
        index = np.array([known.get(target.joints[i].rpartition("/")[2], -1) if i >= 0 else -1 for i in places])
        if (index < 0).all():
            raise ConfigError("skeleton", f"'{skeleton.name}' and '{name}' have no keypoint in common")
    goals = np.array(places)
    there = (index >= 0) & (goals >= 0)
    return index[there], goals[there]


def _owners(whole: Poses, part: Poses, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of bodies, each at most once, and for each the row of the best part that belongs to it."""
    mine = (part.parents[:, None] == whole.ids) & (part.parents != 0)[:, None]
    if side:
        mine &= (part.sides == side)[:, None]
    worth = np.where(mine, part.subject_scores[:, None], -1)
    rows = np.flatnonzero(mine.any(axis=0))
    return rows, worth[:, rows].argmax(axis=0) if len(part) else rows
