# SPDX-License-Identifier: Apache-2.0
"""Moments: whole subjects and their parts, which arrive one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Generic, NamedTuple, TypeVar

from pose_ros.core.poses import Poses

T = TypeVar("T")
#: Stamps whose parts are kept until their whole comes.
_KEPT = 64


class Moment(NamedTuple, Generic[T]):
    """What belongs to one stamp."""

    stamp_ns: int
    whole: T
    #: ``hands``, ``faces``.
    parts: dict[str, Poses]


class Moments(Generic[T]):
    """Hold a whole until its parts are there, or the next whole is: parts may end, or never have begun."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held: tuple[int, T] | None = None
        self._parts: dict[int, dict[str, Poses]] = {}

    def add_whole(self, stamp_ns: int, whole: T, expected: Collection[str]) -> Iterator[Moment[T]]:
        """Add a whole, with the names of the parts that it may have; yields what is complete now."""
        yield from self.flush()
        self._held = stamp_ns, whole
        yield from self._complete(expected)

    def add_part(self, stamp_ns: int, name: str, poses: Poses, expected: Collection[str]) -> Iterator[Moment[T]]:
        """Add one kind of parts; yields what is complete now."""
        self._parts.setdefault(stamp_ns, {})[name] = poses
        while len(self._parts) > _KEPT:
            self._parts.pop(next(iter(self._parts)))
        yield from self._complete(expected)

    def _complete(self, expected: Collection[str]) -> Iterator[Moment[T]]:
        if self._held is not None and set(expected) <= self._parts.get(self._held[0], {}).keys():
            yield from self.flush()

    def flush(self) -> Iterator[Moment[T]]:
        """Yield what is held, with those of its parts that have come."""
        if self._held is not None:
            (stamp_ns, whole), self._held = self._held, None
            yield Moment(stamp_ns, whole, self._parts.pop(stamp_ns, {}))
