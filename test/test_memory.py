# SPDX-License-Identifier: Apache-2.0
"""Memory: the heap from which images come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
#: In a process of its own, because it changes the process: flags of the memory in the middle of an image.
FLAGS = """
import ctypes
from pathlib import Path
from pose_ros.memory import keep_freed_memory

assert keep_freed_memory()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
middle, flags = malloc(6_220_800) + 3_000_000, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    first, *rest = line.split()
    if "-" in first and len(rest) > 3:
        low, high = (int(part, 16) for part in first.split("-"))
        flags = low <= middle < high
    elif flags and first == "VmFlags:":
        print(*rest)
"""


@pytest.mark.skipif(not SWITCH.exists(), reason="the kernel has no large pages")
def test_images_may_lie_in_large_pages():
    done = subprocess.run([sys.executable, "-c", FLAGS], capture_output=True, text=True, check=True)
    assert "hg" in done.stdout.split()


def test_a_node_settles_memory_before_anything_makes_threads():
    """Threads that NumPy or rclpy make would bring arenas of their own."""
    code = "import sys, pose_ros.nodes.start; sys.exit(bool({'numpy', 'rclpy', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
