# SPDX-License-Identifier: Apache-2.0
"""Frame tree: where coordinate frames were at a moment, from transforms that came one by one (what TF tells)."""

from __future__ import annotations

import difflib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.quaternion import slerp, to_matrices
from pose_ros.errors import ConfigError

_NS = 1_000_000_000
#: A transform that is older than the newest one of its frame by more than this is of another run of time; seconds.
#: What is late by less was overtaken on its way.
_OVERTAKEN_S = 0.5
#: How far the length of a quaternion may be from one.
_LENGTH = 1e-2
#: Most frames that a message names.
_NAMED = 12


@dataclass
class _Edge:
    """How one frame stood in its parent over time."""

    parent: str
    static: bool
    #: Ascending.
    stamps_ns: list[int] = field(default_factory=list)
    #: Of each stamp: x, y, z, qx, qy, qz, qw.
    poses: list[tuple[float, ...]] = field(default_factory=list)

    def knows(self, stamp_ns: int, reach_ns: int) -> bool:
        return self.static or self.stamps_ns[0] - reach_ns <= stamp_ns <= self.stamps_ns[-1] + reach_ns

    def around(self, stamp_ns: int) -> tuple[tuple[float, ...], tuple[float, ...], float]:
        """Return the poses before and after a moment, and how far between them it is, 0 .. 1."""
        stamps = self.stamps_ns
        after = min(max(bisect_left(stamps, stamp_ns), 1), len(stamps) - 1)
        if len(stamps) == 1:
            return self.poses[0], self.poses[0], 0.0
        part = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return self.poses[after - 1], self.poses[after], min(max(part, 0.0), 1.0)


class FrameTree:
    """Transforms of the last seconds. Frames move evenly between two stamps, and turn by the shortest way."""

    def __init__(self, keep_s: float = 10.0, reach_s: float = 0.05) -> None:
        """Start with no frame.

        Args:
            keep_s: How long transforms are kept.
            reach_s: How far beyond the first and the last stamp of a frame it is taken to stand still.
        """
        self._keep_ns, self._reach_ns = round(keep_s * _NS), round(reach_s * _NS)
        self._edges: dict[str, _Edge] = {}
        #: How often time ran backwards, which made all but static transforms be forgotten.
        self.time_jumps = 0

    def put(
        self, parent: str, child: str, stamp_ns: int, translation: Sequence[float], rotation: Sequence[float],
        *, static: bool = False,
    ) -> None:
        """Take one transform: ``x_parent = R x_child + translation``.

        Args:
            parent: Frame in which the child stands.
            child: What stands in it.
            stamp_ns: When; of no meaning where it is static.
            translation: (3,) metres.
            rotation: (4,) unit quaternion x, y, z, w.
            static: Whether it holds for ever.

        Raises:
            ConfigError: It is no transform, or the frame stood in another parent before, which is taken all the same.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        length = float(np.linalg.norm(rotation))
        if not parent or not child or parent == child:
            raise ConfigError("tf", f"expected two different frames, got '{child}' in '{parent}'; it is left out")
        if not (abs(length - 1) < _LENGTH and np.isfinite(translation).all()):
            raise ConfigError("tf", f"expected metres and a unit quaternion, got {list(translation)} and "
                                    f"{list(rotation)} for '{child}' in '{parent}'; it is left out")
        edge = self._edges.get(child)
        before = edge.parent if edge is not None else parent
        if before != parent:
            edge = None
        elif edge is not None and not (static or edge.static) and stamp_ns < edge.stamps_ns[-1] - _OVERTAKEN_S * _NS:
            self._edges = {name: kept for name, kept in self._edges.items() if kept.static}
            self.time_jumps, edge = self.time_jumps + 1, None
        if edge is None or edge.static or static:
            if not static:
                self._forget(stamp_ns - self._keep_ns)
            edge = self._edges[child] = _Edge(parent, static)
        at = bisect_left(edge.stamps_ns, stamp_ns)
        same = at < len(edge.stamps_ns) and edge.stamps_ns[at] == stamp_ns
        pose = (*map(float, translation), *(float(q) / length for q in rotation))
        edge.stamps_ns[at : at + same], edge.poses[at : at + same] = [stamp_ns], [pose]
        old = bisect_right(edge.stamps_ns, edge.stamps_ns[-1] - self._keep_ns)
        del edge.stamps_ns[:old], edge.poses[:old]
        if before != parent:
            raise ConfigError("tf", f"expected one parent of '{child}', got '{before}' and '{parent}': two nodes "
                                    "publish it; stop one of them")

    def _forget(self, stamp_ns: int) -> None:
        """Drop what has not moved since, such as frames of people who left: their names never come back."""
        self._edges = {
            name: edge for name, edge in self._edges.items() if edge.static or edge.stamps_ns[-1] >= stamp_ns
        }

    def clear(self) -> None:
        """Forget everything."""
        self._edges = {}

    def lookup(self, target: str, source: str, stamp_ns: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return how to go from one frame to another: ``x_target = rotation @ x_source + translation``.

        Args:
            target: Frame in which points are wanted.
            source: Frame in which they are known.
            stamp_ns: At which moment.

        Returns:
            Rotation (3, 3) and translation (3,) in metres; None when it is not known, see :meth:`why_not`.
        """
        path = self._path(target.lstrip("/"), source.lstrip("/"))
        if path is None:
            return None
        ups, edges = len(path[0]), [self._edges[name] for name in (*path[0], *path[1])]
        if not all(edge.knows(stamp_ns, self._reach_ns) for edge in edges):
            return None
        rotation, translation = np.eye(3), np.zeros(3)
        if not edges:
            return rotation, translation
        before, after, parts = map(np.array, zip(*(edge.around(stamp_ns) for edge in edges), strict=True))
        places = before[:, :3] + parts[:, None] * (after[:, :3] - before[:, :3])
        turns = to_matrices(slerp(before[:, 3:], after[:, 3:], parts))
        for turn, place in zip(turns[:ups], places[:ups], strict=True):
            rotation, translation = turn @ rotation, turn @ translation + place
        for turn, place in zip(turns[ups:], places[ups:], strict=True):
            rotation, translation = turn.T @ rotation, turn.T @ (translation - place)
        return rotation, translation

    def newest(self, target: str, source: str) -> int | None:
        """Return the last stamp for which :meth:`lookup` knows the way; None without a way, or where it never ends."""
        path = self._path(target.lstrip("/"), source.lstrip("/"))
        edges = [self._edges[name] for name in (*path[0], *path[1])] if path is not None else []
        return min((edge.stamps_ns[-1] + self._reach_ns for edge in edges if not edge.static), default=None)

    def behind(self, target: str, source: str, stamp_ns: int, *, exact: bool = False) -> bool:
        """Return whether a way is known and only the newest transforms are lacking, which may be under way.

        Args:
            target: See :meth:`lookup`.
            source: See :meth:`lookup`.
            stamp_ns: At which moment.
            exact: Whether all counts that may still change what :meth:`lookup` returns: a way that may come, and the
                transforms after the moment, between which and those before it frames move.
        """
        path = self._path(target.lstrip("/"), source.lstrip("/"))
        edges = [self._edges[name] for name in (*path[0], *path[1])] if path is not None else []
        if exact:
            return path is None or any(not edge.static and edge.stamps_ns[-1] < stamp_ns for edge in edges)
        unknown = [edge for edge in edges if not edge.knows(stamp_ns, self._reach_ns)]
        return bool(unknown) and all(edge.stamps_ns[-1] < stamp_ns for edge in unknown)

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame and what it stands in, up to the root or to where a circle closes."""
        found = [frame]
        while (edge := self._edges.get(found[-1])) is not None and edge.parent not in found:
            found.append(edge.parent)
        return found

    def _path(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """Return the frames to leave upwards from the source, and those to enter downwards to the target."""
        up, down = self._ancestors(source), self._ancestors(target)
        common = next((name for name in up if name in down), None)
        return None if common is None else (up[: up.index(common)], down[: down.index(common)][::-1])

    def why_not(self, target: str, source: str, stamp_ns: int) -> str:
        """Say why :meth:`lookup` returns None for these."""
        target, source = target.lstrip("/"), source.lstrip("/")
        head = f"no transform from '{source}' to '{target}' at {stamp_ns / _NS:.3f} s: "
        frames = {*self._edges, *(edge.parent for edge in self._edges.values())}
        if not frames:
            return head + "nothing was heard on /tf and /tf_static"
        missing = [name for name in (source, target) if name not in frames]
        if missing:
            near = sorted(sorted(frames), key=lambda name: -difflib.SequenceMatcher(None, name, missing[0]).ratio())
            shown = ", ".join(near[:_NAMED]) + (f" and {len(near) - _NAMED} more" if len(near) > _NAMED else "")
            return f"{head}nobody publishes {' and '.join(map(repr, missing))}; TF has {shown}"
        path = self._path(target, source)
        if path is None:
            ends = (f"'{name}' in '{self._ancestors(name)[-1]}'" for name in (source, target))
            return f"{head}their trees are not joined: {' and '.join(ends)}"
        spans = [
            f"'{name}' in '{edge.parent}' is known from {edge.stamps_ns[0] / _NS:.3f} to "
            f"{edge.stamps_ns[-1] / _NS:.3f} s"
            for name in (*path[0], *path[1]) if not (edge := self._edges[name]).knows(stamp_ns, self._reach_ns)
        ]
        return head + "; ".join(spans)
