# SPDX-License-Identifier: Apache-2.0
"""HRI node: skeletons in, people as REP-155 (ROS4HRI) tells of them out. Humans does the work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.context import Context

from pose_ros.errors import PoseRosError
from pose_ros.nodes.hri_options import HriOptions
from pose_ros.nodes.humans import Humans
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.run import Stop, run
from pose_ros.ros.params import Parameters


class HriNode(Managed):
    """Lifecycle node around one :class:`Humans`."""

    def __init__(self, name: str = "hri", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit.
        """
        super().__init__(name, "humans", context, **arguments)
        self._humans: Humans | None = None
        self._processed = 0
        try:
            self._given = Parameters(self, HriOptions, lambda *_: None)
            self._given.refuse_unknown()
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(self._options().autostart)

    def _options(self) -> HriOptions:
        return self._given.options

    @property
    def _work(self) -> Humans | None:
        return self._humans

    def _prepare(self) -> Sequence[Closable]:
        """Advertise."""
        self._humans = Humans(self, self._options, self._health)
        return [self._humans]

    def _forget(self) -> None:
        self._humans = None

    def _begun(self) -> str:
        options = self._options()
        return f"people of {self.resolve_topic_name(options.skeletons_topic)} are told below {options.prefix}"

    def _report(self) -> None:
        """Publish diagnostics, and say why nobody can be told of."""
        work, state = self._humans, self._state
        if work is not None and state == "active":
            state = "active" if work.listening else "paused" if not work.enabled else "idle: nobody listens"
            warning = self._silence(work) if work.listening else ""
        else:
            warning = self._waits(self._options().watchdog)
        if warning:
            self._health.say(warning)
        self._health.report(state, warning)

    def _silence(self, work: Humans) -> str:
        """Return why no skeletons came for too long; empty while they do."""
        processed, now, limit = self._health.processed, time.monotonic(), self._options().watchdog
        if processed != self._processed:
            self._processed, self._quiet_since = processed, now
        if not limit or now - self._quiet_since < limit:
            return ""
        return f"nobody was told of for {now - self._quiet_since:.0f} s: {work.why_not()}"


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> HriNode:
        return HriNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
