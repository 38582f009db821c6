# SPDX-License-Identifier: Apache-2.0
"""Sync: what N cameras saw at about one time, from what arrives one after the other. Time comes from stamps alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from pose_ros.core.options import option
from pose_ros.errors import UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class SyncOptions:
    """Options of :class:`Sync`."""

    tolerance: float = option(
        0.04, "Views of one set are not further apart than this; about the time from one image to the next where the "
        "cameras are not triggered together.", unit="s", low=0.0, high=1.0, live=True,
    )
    max_wait: float = option(
        0.1, "A set is complete without the cameras that sent nothing for so long since its first view.", unit="s",
        low=0.0, high=5.0, live=True,
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
    """Collect one view of each camera. Of two of one camera the newer one counts."""

    def __init__(self, cameras: Iterable[str], options: SyncOptions | None = None) -> None:
        """Wait for these cameras."""
        self.options = options or SyncOptions()
        self.cameras = tuple(cameras)
        #: Camera -> how many of its views are in no set.
        self.dropped: Counter[str] = Counter()
        self._pending: dict[str, tuple[int, T]] = {}
        self._last: dict[str, int] = {}
        self._done_ns: int | None = None
        #: Stamp of the first view since the last set.
        self._since_ns: int | None = None

    def reset(self) -> None:
        """Forget what is pending; counts stay."""
        self._pending.clear()
        self._last.clear()
        self._done_ns = self._since_ns = None

    def __call__(self, camera: str, stamp_ns: int, view: T) -> Views[T] | None:
        """Take a view; returns the set that it completes, if it does.

        A stamp before the last one of its camera starts over: time was set back.

        Raises:
            UnknownNameError: There is no such camera.
        """
        if camera not in self.cameras:
            raise UnknownNameError("camera", camera, self.cameras)
        if stamp_ns < self._last.get(camera, stamp_ns):
            self.dropped.update(self._pending.keys())
            self.reset()
        self._last[camera] = stamp_ns
        if self._done_ns is not None and stamp_ns < self._done_ns:
            self.dropped[camera] += 1
            return None
        newest = max(self._last.values())
        # A set that has waited enough goes without this view, which may belong to the next moment.
        if self._since_ns is not None and newest - self._since_ns >= self.options.max_wait * 1e9:
            views = self._complete()
            self._pending[camera], self._since_ns = (stamp_ns, view), stamp_ns
            return views
        if camera in self._pending:
            self.dropped[camera] += 1
        self._pending[camera] = (stamp_ns, view)
        self._since_ns = stamp_ns if self._since_ns is None else min(self._since_ns, stamp_ns)

        first = min(stamp for stamp, _ in self._pending.values())
        live = {name for name, last in self._last.items() if newest - last <= self.options.max_silence * 1e9}
        together = newest - first <= self.options.tolerance * 1e9
        # Nobody is known to be silent before everybody had the time to speak.
        known = self._done_ns is not None or live == {*self.cameras}
        return self._complete() if together and known and self._pending.keys() >= live else None

    def _complete(self) -> Views[T]:
        """Return what is pending and near the newest."""
        least = max(stamp for stamp, _ in self._pending.values()) - self.options.tolerance * 1e9
        views = {name: view for name, view in self._pending.items() if view[0] >= least}
        self.dropped.update(self._pending.keys() - views.keys())
        self._pending.clear()
        self._since_ns = None
        stamps = [stamp for stamp, _ in views.values()]
        self._done_ns = max(stamps)
        return Views((min(stamps) + self._done_ns) // 2, views)
