# SPDX-License-Identifier: Apache-2.0
"""Memory: what the next image costs besides its pixels."""

from __future__ import annotations

import ctypes
import gc
import mmap

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
#: Room for the copies of an image that a process makes; it takes no memory before it is written to.
_ROOM = 128 << 20


def keep_freed_memory() -> bool:
    """Let malloc reuse the memory of the last image for the next one; returns whether this libc can.

    By default glibc gives buffers of the size of an image back to the kernel and asks for fresh pages for the next one,
    which have to be cleared and mapped one by one: for a 1080p image this takes several times as long as copying it.
    What is kept lies in large pages where the kernel gives them: through 1,500 small ones a copy takes twice as long.
    """
    libc = ctypes.CDLL(None)
    try:
        mallopt = libc.mallopt
    except AttributeError:  # musl has no such switch
        return False
    # One arena: threads would get others of their own, without large pages.
    settings = {_M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: 1 << 30, _M_ARENA_MAX: 1}
    if [mallopt(name, value) for name, value in settings.items()] != [1, 1, 1]:
        return False
    _ask_for_large_pages(libc)
    return True


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Extend the heap once and mark its new end; a kernel without large pages says no, which changes nothing."""
    libc.malloc.restype = ctypes.c_void_p
    room = libc.malloc(ctypes.c_size_t(_ROOM))
    if room:
        start = room + -room % mmap.PAGESIZE
        size = (room + _ROOM - start) // mmap.PAGESIZE * mmap.PAGESIZE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.MADV_HUGEPAGE)
        libc.free(ctypes.c_void_p(room))


def spare_loaded_modules() -> None:
    """Let the collector pass over what is loaded by now; to look at all of it takes 20 ms, again and again.

    Only for a process of our own: what is garbage at this moment stays.
    """
    gc.freeze()
