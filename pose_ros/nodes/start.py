# SPDX-License-Identifier: Apache-2.0
"""Start one node in a process of its own: first the memory, then everything else."""

from __future__ import annotations

import importlib

from pose_ros.ros.memory import keep_freed_memory


def start(node: str) -> int:
    """Import ``pose_ros.nodes.NODE`` and run it; returns the exit code.

    Memory has to be settled before NumPy is imported: it makes threads, threads make arenas of malloc, and an arena
    that exists may be given to the thread that takes the images.
    """
    keep_freed_memory()
    code: int = importlib.import_module(f"pose_ros.nodes.{node}").main()
    return code
