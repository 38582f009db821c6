# SPDX-License-Identifier: Apache-2.0
"""Run nodes as a process: spin them, end them in order on SIGINT and SIGTERM, return an exit code.

The nodes spin in a thread and the main thread waits, because Python delivers signals to the main thread only, and not
while it waits inside rcl. The context stays valid until the nodes have ended, so their last words still reach /rosout.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from pose_ros.errors import ConfigError, PoseRosError, UnknownNameError
from pose_ros.memory import spare_loaded_modules
from pose_ros.ros.json_logs import structured
from pose_ros.ros.log import ToNode
from pose_ros.ros.process import ProcessOptions, settle
from pose_ros.ros.transport import make_room_for_images

#: Asks the process to end with an exit code; may be called from any thread. The first call counts.
Stop = Callable[[int], None]

OK, FAILED, MISCONFIGURED = 0, 1, 2


def run(
    make_node: Callable[[Context, Stop], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[..., Executor] = SingleThreadedExecutor,
) -> int:
    """Run one node; see :func:`run_together`."""
    return run_together([make_node], args, make_executor)


def run_together(
    make_nodes: Sequence[Callable[[Context, Stop], Node]],
    args: Sequence[str] | None = None,
    make_executor: Callable[..., Executor] = SingleThreadedExecutor,
) -> int:
    """Make nodes, spin them until somebody stops one, and end them.

    Args:
        make_nodes: Each makes a node in the given context. If a node has a method ``close``, it is called once, after
            the last callback and before any node is destroyed.
        args: Command line; that of the process when left out.
        make_executor: What spins the nodes.

    Returns:
        0 when they were stopped or one ended by itself, 1 when it failed, 2 when its configuration does not fit.
    """
    # SimpleQueue.put is the one way to wake a thread that is also safe inside a signal handler. A signal during the
    # end changes nothing: a terminal sends Ctrl-C to a launcher and its nodes, and the launcher sends it once more.
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stops.put(OK))
    with structured():
        make_room_for_images()
        spare_loaded_modules()
        context = Context()
        rclpy.init(args=args, context=context, signal_handler_options=SignalHandlerOptions.NO)
        try:
            return _run(make_nodes, make_executor, context, stops)
        except PoseRosError as error:
            get_logger("pose_ros").fatal(str(error))
            return exit_code(error)
        finally:
            context.try_shutdown()
            sys.stdout.flush()


def attempt(node: Node, work: Callable[[], None]) -> int:
    """Do the work of a node's own thread; say what went wrong in its log, and return the exit code."""
    try:
        work()
    except PoseRosError as error:
        node.get_logger().fatal(str(error))
        return exit_code(error)
    except Exception:
        node.get_logger().fatal(traceback.format_exc())
        return FAILED
    return OK


def exit_code(error: PoseRosError) -> int:
    """Return the exit code that tells a wrong configuration from everything else that fails."""
    return MISCONFIGURED if isinstance(error, (ConfigError, UnknownNameError)) else FAILED


def _run(
    make_nodes: Sequence[Callable[[Context, Stop], Node]],
    make_executor: Callable[..., Executor],
    context: Context,
    stops: SimpleQueue[int],
) -> int:
    nodes: list[Node] = []
    try:
        for make in make_nodes:
            nodes.append(make(context, stops.put))
        settle(_process(nodes[0]))
        with contextlib.closing(ToNode(nodes[0].get_logger())):
            return _spin(nodes, make_executor(context=context), stops)
    finally:
        for node in nodes:
            if hasattr(node, "close"):
                node.close()
        for node in nodes:
            node.destroy_node()


def _process(node: Node) -> ProcessOptions:
    """Return how a node wants to be run; nodes that share a process agree."""
    names = {field.name: f"process.{field.name}" for field in dataclasses.fields(ProcessOptions)}
    return ProcessOptions(**{n: node.get_parameter(key).value for n, key in names.items() if node.has_parameter(key)})


class _Ended(Future):
    """A future that is waited for as long as the node lives."""

    _wakes = False

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Keep the first only: rclpy adds another that wakes the executor with every turn, 7 MB in an hour."""
        if not self._wakes:
            self._wakes = True
            super().add_done_callback(callback)


def _spin(nodes: Sequence[Node], executor: Executor, stops: SimpleQueue[int]) -> int:
    ended: Future = _Ended(executor=executor)

    def spin() -> None:
        try:
            executor.spin_until_future_complete(ended)
        except ExternalShutdownException:
            stops.put(OK)
        except Exception:
            nodes[0].get_logger().fatal(traceback.format_exc())
            stops.put(FAILED)

    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=spin, name="executor")
    thread.start()
    try:
        return stops.get()
    finally:
        ended.set_result(None)
        thread.join()
        executor.shutdown()
