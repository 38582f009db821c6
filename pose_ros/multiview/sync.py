# SPDX-License-Identifier: Apache-2.0
"""Sync: what N cameras saw at about one time, from what arrives one after the other. Time comes from stamps alone."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from pose_ros.core.options import option
from pose_ros.errors import UnknownNameError

T = TypeVar("T")

#: A camera is faster than another one if its images follow each other in less than this part of the other's time.
_FASTER = 0.75
#: Views that are further apart than this part of the time from one image to the next are of different images.
_ONE_IMAGE = 0.9
_NEVER = 1 << 62


@dataclass(frozen=True)
class SyncOptions:
    """Options of :class:`Sync`."""

    tolerance: float = option(
        0.04, "Views of one set are not further apart than this; about the time from one image to the next where the "
        "cameras are not triggered together.", unit="s", low=0.0, high=1.0, live=True,
    )
    max_wait: float = option(
        0.1, "A set is complete without the cameras whose views are missing, when others are so much further.",
        unit="s", low=0.0, high=5.0, live=True,
    )
    max_silence: float = option(
        1.0, "A camera that sent nothing for this long is not waited for until it sends again.", unit="s", low=0.05,
        high=60.0, live=True,
    )


class Views(NamedTuple, Generic[T]):
    """One set."""

    #: Midway between the first and the last of the stamps, nanoseconds.
    stamp_ns: int
    #: Camera -> stamp in nanoseconds, and what it saw then.
    views: Mapping[str, tuple[int, T]]


class Sync(Generic[T]):
    """Collect one view of each camera, in the order of time.

    Networks of different cameras take their time, so that views of one moment may arrive before those of an earlier
    one. Of a camera that is faster than the others, the views that are nearest to theirs count.
    """

    def __init__(self, cameras: Iterable[str], options: SyncOptions | None = None, *, exact: bool = False) -> None:
        """Wait for these cameras.

        Args:
            cameras: Their names.
            options: What holds at first.
            exact: Whether sets depend on stamps alone, and not on what has arrived by now: then nothing is taken to be
                missing because it is overdue, and a last set without all cameras never comes.
        """
        self.options, self._exact = options or SyncOptions(), exact
        self.cameras = tuple(cameras)
        #: Camera -> how many of its views are in no set.
        self.dropped: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget what is pending; counts stay."""
        #: Stamp, view, and the time since the view before, if that is known.
        self._pending: dict[str, deque[tuple[int, T, int | None]]] = {name: deque() for name in self.cameras}
        #: Newest stamp of each camera, and how much newer it is than the one before.
        self._last: dict[str, int] = {}
        self._every: dict[str, int] = {}
        self._done_ns: int | None = None

    def __call__(self, camera: str, stamp_ns: int, view: T) -> Views[T] | None:
        """Take a view; returns a set that it completes, if it does; :meth:`more` returns others.

        A stamp before the last one of its camera starts over: time was set back.

        Raises:
            UnknownNameError: There is no such camera.
        """
        if camera not in self._pending:
            raise UnknownNameError("camera", camera, self.cameras)
        last = self._last.get(camera, stamp_ns)
        if stamp_ns < last:
            self.dropped.update({name: len(views) for name, views in self._pending.items()})
            self.reset()
        elif 0 < stamp_ns - last < self.options.max_silence * 1e9:
            self._every[camera] = stamp_ns - last
        self._last[camera] = stamp_ns
        if self._done_ns is not None and stamp_ns <= self._done_ns:
            self.dropped[camera] += 1
        else:
            self._pending[camera].append((stamp_ns, view, self._every.get(camera)))
        return self.more()

    def more(self) -> Views[T] | None:
        """Return the oldest set, if there is one and nothing to wait for any more."""
        if not self._last:
            return None
        newest, tolerance = max(self._last.values()), self.options.tolerance * 1e9
        live = {name for name, last in self._last.items() if newest - last <= self.options.max_silence * 1e9}
        # Nobody is known to be silent before everybody had the time to speak.
        wanted = {*self.cameras} if self._done_ns is None else live
        while heads := {name: views[0][0] for name, views in self._pending.items() if views}:
            first = min(heads, key=lambda name: heads[name])
            begin = heads[first]
            waiting = newest - begin < self.options.max_wait * 1e9
            group = {first: begin}
            for name, views in self._pending.items():
                if name != first and views:
                    stamp = min((view[0] for view in views), key=lambda stamp: abs(stamp - begin))
                    if stamp - begin <= min(tolerance, self._reach(first, name, stamp)):
                        group[name] = stamp
            late = [name for name in wanted - group.keys() if self._may_come(name, begin + tolerance)]
            if self._exact and len(self._pending[first]) == 1 and any(
                stamp != begin and self._by_next(first, name) for name, stamp in group.items()
            ):
                late.append(first)  # its next view decides
            if late and waiting:
                return None
            if len(group) == 1 < len(live):
                self._drop(first)
                continue
            return self._take(group)
        return None

    def _reach(self, first: str, other: str, stamp_ns: int) -> float:
        """Return how far a view of another camera may be from the oldest one of the first camera to belong to it."""
        if self._by_next(first, other):
            return abs(self._next(first) - stamp_ns)
        # Cameras of one rate that are not triggered together may be apart by nearly as much as their images.
        return _ONE_IMAGE * (self._pending[first][0][2] or 0)

    def _by_next(self, first: str, other: str) -> bool:
        """Return whether the next view of a camera may suit the other one better, as it is faster, or may be."""
        every, others = (self._pending[name][0][2] for name in (first, other))
        return every is None or (others is not None and every < _FASTER * others)

    def _next(self, camera: str) -> int:
        """Return the stamp of the view after the oldest one that is pending, or when it is to be expected."""
        views = self._pending[camera]
        every = _NEVER if self._exact else self._every.get(camera, _NEVER)
        return views[1][0] if len(views) > 1 else views[0][0] + every

    def _may_come(self, camera: str, until_ns: float) -> bool:
        """Return whether a view up to some stamp is still to be expected."""
        expected = 0 if self._exact else self._every.get(camera, 0)
        return camera not in self._last or self._last[camera] + expected <= until_ns

    def _drop(self, camera: str) -> None:
        self._pending[camera].popleft()
        self.dropped[camera] += 1

    def _take(self, group: Mapping[str, int]) -> Views[T]:
        """Return the views of these stamps, and forget what is older."""
        found = {}
        for name, stamp in group.items():
            while self._pending[name][0][0] < stamp:
                self._drop(name)
            found[name] = self._pending[name].popleft()[:2]
        self._done_ns = max(group.values())
        for name, views in self._pending.items():
            while views and views[0][0] <= self._done_ns:
                self._drop(name)
        return Views((min(group.values()) + self._done_ns) // 2, found)
