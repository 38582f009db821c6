# SPDX-License-Identifier: Apache-2.0
"""What downloading, unpacking and checking share: hashes, locks, and how a new file takes its place.

Where the authors publish no SHA-256, that of the file which came first is written into a small file beside it, as
``sha256sum`` writes it, and every later one has to be the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pose_ros import formats
from pose_ros.errors import ModelCorruptError
from pose_ros.models.card import ModelCard

log = logging.getLogger(__name__)

#: Called with bytes done and bytes in all (0 when unknown).
Progress = Callable[[int, int], None]

_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return digest_of(file)


def digest_of(file: IO[bytes]) -> str:
    """Return the SHA-256 of what is left to read of a file, as 64 hex digits."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def part_of(place: Path) -> Path:
    """Return where a file stands while it is half downloaded."""
    return place.with_name(place.name + ".part")


def expected(card: ModelCard, place: Path) -> str:
    """Return the SHA-256 that a model's file has to have, or its beginning; empty where nothing is known yet."""
    return card.file.published or first_seen(place)


def first_seen(place: Path) -> str:
    """Return the SHA-256 of the file that came first; empty where none is remembered."""
    try:
        return _memory(place).read_text(encoding="ascii").split()[0]
    except (OSError, ValueError, IndexError):
        return ""


def forget(place: Path) -> None:
    """Remove a file, and what is remembered of it."""
    place.unlink(missing_ok=True)
    _memory(place).unlink(missing_ok=True)


def keep(card: ModelCard, new: Path, place: Path, origin: object) -> None:
    """Let a new file take its place, if it is the one that was expected and what its ending says.

    Args:
        card: The model.
        new: The file, on the same disk as ``place``.
        place: Where it goes.
        origin: Where it came from, for messages.

    Raises:
        ModelCorruptError: It is another file; nothing has changed then.
    """
    digest, wanted = sha256(new), expected(card, place)
    if not digest.startswith(wanted):
        raise other(card, wanted, digest, new, origin, "" if card.file.published else
                    f"it was replaced since; if its authors say so, delete {_memory(place)} and fetch it again")
    formats.check(new, card.file.suffix, card.name)
    if not wanted:
        log.warning("model '%s': its authors publish no SHA-256, so that the first file is believed; remembered: %s",
                    card.name, digest)
        _memory(place).write_text(f"{digest}  {place.name}\n", encoding="ascii")
    os.replace(new, place)


def other(card: ModelCard, wanted: str, digest: str, new: Path, origin: object, how: str = "") -> ModelCorruptError:
    """Return the error for a file with another SHA-256 than the wanted one."""
    if not how:
        try:
            formats.check(new, ".zip" if card.file.member else card.file.suffix)
            how = "it was changed there or on the way"
        except ModelCorruptError as error:
            how = error.problem
    return ModelCorruptError(card.name, f"expected a file with SHA-256 {wanted} from {origin}, got {digest} "
                                        f"({new.stat().st_size} bytes): {how}")


def _memory(place: Path) -> Path:
    return place.with_name(place.name + ".sha256")


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
