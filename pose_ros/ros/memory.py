# SPDX-License-Identifier: Apache-2.0
"""Memory: what the next image costs besides its pixels."""

from __future__ import annotations

import ctypes
import gc

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Let malloc reuse the memory of the last image for the next one; returns whether this libc can.

    By default glibc gives buffers of the size of an image back to the kernel and asks for fresh pages for the next one,
    which have to be cleared and mapped one by one: for a 1080p image this takes several times as long as copying it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no such switch
        return False
    settings = {_M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: 1 << 30, _M_ARENA_MAX: 2}
    return [mallopt(name, value) for name, value in settings.items()] == [1, 1, 1]


def spare_loaded_modules() -> None:
    """Let the collector pass over what is loaded by now; to look at all of it takes 20 ms, again and again.

    Only for a process of our own: what is garbage at this moment stays.
    """
    gc.freeze()
