# SPDX-License-Identifier: Apache-2.0
"""What downloading, unpacking and checking share."""

from __future__ import annotations

import fcntl
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

#: Called with bytes done and bytes in all (0 when unknown).
Progress = Callable[[int, int], None]

_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def part_of(place: Path) -> Path:
    """Return where a file stands while it is half downloaded."""
    return place.with_name(place.name + ".part")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time past this point, for each path; the others wait."""
    # The lock file stays: to remove it would let two processes lock two files of one name.
    with path.with_name(f".{path.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that fetches %s", path.name)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
