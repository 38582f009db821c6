# SPDX-License-Identifier: Apache-2.0
"""Manipulation node: skeletons and TF in, handovers and separations out. Minding does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.context import Context

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.manipulation_options import ManipulationOptions
from pose_ros.nodes.minding import Minding
from pose_ros.nodes.run import Stop, run
from pose_ros.ros.params import Parameters


class ManipulationNode(Managed):
    """Lifecycle node around one :class:`Minding`."""

    def __init__(self, name: str = "manipulation", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit.
        """
        super().__init__(name, "manipulation", context, **arguments)
        self._minding: Minding | None = None
        try:
            self._given = Parameters(self, ManipulationOptions, self._change)
            self._given.refuse_unknown()
            if not self._options().base_frame:
                raise ConfigError("base_frame", "expected a TF frame of the robot, such as base_link")
            self._options().parts  # noqa: B018  refuses what cannot be read
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(self._options().autostart)

    def _options(self) -> ManipulationOptions:
        return self._given.options

    @property
    def _work(self) -> Minding | None:
        return self._minding

    def _prepare(self) -> Sequence[Closable]:
        """Advertise."""
        self._minding = Minding(self, self._options, self._health)
        return [self._minding]

    def _forget(self) -> None:
        self._minding = None

    def _begun(self) -> str:
        options = self._options()
        parts = len(options.robot_frames)
        return (f"hands and {parts} parts of the robot are minded in {options.base_frame}, by "
                f"{self.resolve_topic_name(options.skeletons_topic)}; this is no safety function")

    def _change(self, block: str, old: Any, new: Any) -> None:
        """Let options hold that were set while running."""
        if self._minding is not None:
            self._minding.change(new)

    def _heard(self) -> int:
        return self._health.received

    def _why_silent(self) -> tuple[str, str]:
        assert self._minding is not None
        return "nobody was minded", self._minding.why_not()

    def _lacks(self) -> str:
        return self._minding.reason if self._minding is not None else ""

    def _tell(self, state: str, warning: str) -> None:
        work = self._minding
        active = work is not None and self._state == "active"
        values = {"zone": work.zone.name.lower(), "reason": work.reason} if work is not None and active else {}
        self._health.report(state, warning, **values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> ManipulationNode:
        return ManipulationNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
