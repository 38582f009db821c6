# SPDX-License-Identifier: Apache-2.0
"""Together: what one image showed, whole subjects and their hands and faces, which come by topics of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
P = TypeVar("P")

#: More images than these do not wait for their parts.
_WAITING = 5


@dataclass
class _Image(Generic[T, P]):
    stamp_ns: int
    whole: T
    missing: set[str]
    parts: dict[str, P] = field(default_factory=dict)


class Together(Generic[T, P]):
    """Joins messages of equal stamps. Each topic keeps its order; among topics there is none."""

    def __init__(self, accept: Callable[[T, dict[str, P]], None]) -> None:
        """Start with nothing; ``accept`` is told the whole subjects and their parts, in the order of time."""
        self._accept = accept
        self._images: deque[_Image[T, P]] = deque()
        #: Parts that came before their subjects: kind -> stamp -> parts.
        self._early: dict[str, dict[int, P]] = {}

    def whole(self, stamp_ns: int, whole: T, expected: Collection[str]) -> None:
        """Take the whole subjects of an image, of which these kinds of parts are expected."""
        if self._images and stamp_ns < self._images[-1].stamp_ns:  # time was set back
            self._images.clear()
        image: _Image[T, P] = _Image(stamp_ns, whole, set(expected))
        self._images.append(image)
        for name, waiting in self._early.items():
            if stamp_ns in waiting:
                self._join(image, name, waiting.pop(stamp_ns))
        self._go()

    def part(self, name: str, stamp_ns: int, part: P) -> None:
        """Take the parts of one kind of an image."""
        for image in self._images:
            if image.stamp_ns == stamp_ns:
                self._join(image, name, part)
                break
            # Those of an earlier image, which do not come any more, were lost.
            image.missing.discard(name)
        else:
            early = self._early.setdefault(name, {})
            early[stamp_ns] = part
            while len(early) > _WAITING:
                del early[next(iter(early))]
        self._go()

    @staticmethod
    def _join(image: _Image[T, P], name: str, part: P) -> None:
        image.parts[name] = part
        image.missing.discard(name)

    def _go(self) -> None:
        while self._images and (not self._images[0].missing or len(self._images) > _WAITING):
            image = self._images.popleft()
            self._accept(image.whole, image.parts)
