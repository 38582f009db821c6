# SPDX-License-Identifier: Apache-2.0
"""HRI node: skeletons in, people as REP-155 (ROS4HRI) tells of them out. Humans does the work."""

from __future__ import annotations

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

    def _why_silent(self) -> tuple[str, str]:
        assert self._humans is not None
        return "nobody was told of", self._humans.why_not()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> HriNode:
        return HriNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
