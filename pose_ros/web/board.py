# SPDX-License-Identifier: Apache-2.0
"""Board: the newest of everything that is shown; older ones are never sent, however slow a browser is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

#: What may be shown of a robot: a kind and a topic; its overview has no topic.
Key = tuple[str, str]
OVERVIEW: Key = ("overview", "")


class Item:
    """One thing to show; what is sent is made when the first browser takes it."""

    def __init__(self, key: Key, number: int, make: Callable[[], tuple[dict[str, Any], bytes]]) -> None:
        """Keep how it is made: a JSON object, and bytes behind it."""
        self.key, self.number, self._make = key, number, make

    @cached_property
    def packet(self) -> bytes:
        """Length of the JSON text (4 bytes, big-endian), the text, the bytes."""
        head, body = self._make()
        text = json.dumps({"kind": self.key[0], "topic": self.key[1], **head}, allow_nan=False).encode()
        return len(text).to_bytes(4, "big") + text + body


class Board:
    """Written by the robot's thread, read by the server's."""

    def __init__(self) -> None:
        """Begin empty."""
        self._items: dict[Key, Item] = {}
        self._lock = threading.Lock()
        self._number = 0
        #: Called after every change, by the thread that made it.
        self.changed: Callable[[], None] = lambda: None

    def put(self, key: Key, make: Callable[[], tuple[dict[str, Any], bytes]]) -> None:
        """Show something in place of what stood there."""
        with self._lock:
            self._number += 1
            self._items[key] = Item(key, self._number, make)
        self.changed()

    def drop(self, keys: Collection[Key]) -> None:
        """Take off what nobody looks at."""
        with self._lock:
            for key in keys:
                self._items.pop(key, None)

    def newer(self, wanted: Collection[Key], than: int) -> list[Item]:
        """Return what is wanted and was put after number ``than``, in the order of putting."""
        with self._lock:
            items = [self._items[key] for key in wanted if key in self._items]
        return sorted((item for item in items if item.number > than), key=lambda item: item.number)
