# SPDX-License-Identifier: Apache-2.0
"""Start nodes in a process of their own: first the memory, then everything else."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pose_ros.errors import ConfigError
from pose_ros.memory import keep_freed_memory

if TYPE_CHECKING:
    from rclpy.context import Context
    from rclpy.node import Node

    from pose_ros.nodes.run import Stop
    from pose_ros.ros.intake import Intakes


def start(node: str) -> int:
    """Import ``pose_ros.nodes.NODE`` and run it; returns the exit code."""
    _settle()
    code: int = importlib.import_module(f"pose_ros.nodes.{node}").main()
    return code


def together(args: Sequence[str] | None = None) -> int:
    """Run several nodes in one process, which share the images that they hear; returns the exit code.

    Args:
        args: ``NODE --ros-args ... -- NODE --ros-args ... --``, and perhaps ``--ros-args ...`` for all; the command
            line when left out.

    Raises:
        ConfigError: No node is named.
    """
    _settle()
    from pose_ros.nodes.run import run_together
    from pose_ros.ros.intake import Intakes

    nodes, shared, intakes = [], list[str](), Intakes()
    for words in _split(sys.argv[1:] if args is None else args):
        if words[0] == "--ros-args":
            shared += words
        else:
            nodes.append(_maker(words[0], words[1:], intakes))
    if not nodes:
        raise ConfigError("arguments", "expected 'pose_node --ros-args ... -- pose_node --ros-args ... --'")
    return run_together(nodes, shared)


def _settle() -> None:
    """Settle what libraries read when they are loaded.

    Memory comes before NumPy: it makes threads, threads make arenas of malloc, and an arena that exists may be given to
    the thread that takes the images.
    """
    keep_freed_memory()
    # Crops are small: a second thread of OpenCV saves little, and takes a processor while it waits for the next one.
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")


def _split(args: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in args:
        if word == "--":
            groups.append([])
        else:
            groups[-1].append(word)
    return [group for group in groups if group]


def _maker(node: str, arguments: Sequence[str], intakes: Intakes) -> Callable[[Context, Stop], Node]:
    """Return what makes a node that goes by its own arguments alone."""
    from pose_ros.nodes.managed import Managed

    kind: Any = getattr(importlib.import_module(f"pose_ros.nodes.{node}"), node.title().replace("_", ""))
    own: dict[str, Any] = {"cli_args": [*arguments, "--"], "use_global_arguments": False}

    def make(context: Context, stop: Stop) -> Node:
        if not issubclass(kind, Managed):
            return kind(context, stop, **own)
        more = {**({"intakes": intakes} if kind.SHARES_IMAGES else {}), **({"stop": stop} if kind.ENDS else {})}
        return kind(context=context, **own, **more)

    return make
