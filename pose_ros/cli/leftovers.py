# SPDX-License-Identifier: Apache-2.0
"""Shared memory that killed processes have left behind: Fast DDS gives back its segments only at a proper end.

The rule is that of Fast DDS's own ``fastdds shm clean``: beside a segment ``fastrtps_<16 digits>`` lies a file of the
same name with ``_el``, which its owner keeps locked while it lives. Ports (``fastrtps_port<number>``) are left alone:
there are few, they are small, and whoever gets the number next uses them again. Cameras of this package lock the memory
of their shared images itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_FOLDER = Path("/dev/shm")
_LOCK = re.compile(r"fastrtps_[0-9a-z]{16}_el")
#: A lock that is younger may not have been taken yet, seconds.
_YOUNG_S = 5.0


def leftovers(folder: Path = _FOLDER) -> list[Path]:
    """Return the segments and locks of this user whose owner is gone."""
    images = [path for path in sorted(folder.glob("pose_ros_images_*")) if _abandoned(path)]
    return images + [
        path for lock in sorted(folder.glob("fastrtps_*_el")) if _LOCK.fullmatch(lock.name) and _abandoned(lock)
        for path in (lock.with_name(lock.name.removesuffix("_el")), lock) if path.exists()
    ]


def size(paths: list[Path]) -> int:
    """Return the bytes that files take, which for shared memory are those that were touched."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += path.stat().st_blocks * 512
    return total


def sweep(folder: Path = _FOLDER) -> int:
    """Remove what is left over; returns how many segments."""
    found = leftovers(folder)
    for path in found:
        with contextlib.suppress(OSError):
            path.unlink()
    return sum(path.with_name(f"{path.name}_el") not in found for path in found)


def _abandoned(lock: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # no such memory on this system either
        return False
    try:
        with lock.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_uid != os.getuid() or time.time() - state.st_mtime < _YOUNG_S:
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # locked, or gone by now
        return False
    return True
