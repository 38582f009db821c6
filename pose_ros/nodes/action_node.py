# SPDX-License-Identifier: Apache-2.0
"""Action node: skeletons in, what their subjects do out. The recognising does the work."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rclpy.context import Context

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.nodes.action_options import ActionOptions
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.recognising import Recognising
from pose_ros.nodes.run import Stop, run
from pose_ros.recognition import recognisers
from pose_ros.ros.params import Parameters


class ActionNode(Managed):
    """Lifecycle node around one :class:`Recognising`."""

    def __init__(self, name: str = "action", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit.
            UnknownNameError: There is no such recogniser.
        """
        super().__init__(name, "recognition", context, **arguments)
        self._recognising: Recognising | None = None
        try:
            self._given = Parameters(self, ActionOptions, self._change)
            options = self._given.options
            if options.target_frames and not options.gravity_frame:
                raise ConfigError("target_frames", "expected gravity_frame beside it, such as 'map'")
            for block, kind in options.blocks().items():
                self._given.add(block, kind)
            self._given.refuse_unknown()
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(options.autostart)

    def _options(self) -> ActionOptions:
        return self._given.options

    @property
    def _work(self) -> Recognising | None:
        return self._recognising

    def _prepare(self) -> Sequence[Closable]:
        """Make the recognisers and advertise."""
        options = self._options()
        blocks = {name: dataclasses.asdict(self._given[name]) for name in options.names}
        sees = recognisers(options.names, blocks, options.run, allow_fetch=options.allow_fetch)
        self._recognising = Recognising(self, self._options, sees, self._health)
        return [self._recognising]

    def _forget(self) -> None:
        self._recognising = None

    def _begun(self) -> str:
        options = self._options()
        return f"{', '.join(options.names)} watch {self.resolve_topic_name(options.skeletons_topic)}"

    def _change(self, block: str, old: Any, new: Any) -> None:
        """Let options hold that were set while running."""
        if self._recognising is not None:
            self._recognising.change(block, new)

    def _why_silent(self) -> tuple[str, str]:
        assert self._recognising is not None
        return "nothing was recognised", self._recognising.why_not()

    def _tell(self, state: str, warning: str) -> None:
        statuses = self._recognising.statuses() if self._recognising is not None else []
        self._health.report(state, warning, statuses, recognisers=", ".join(self._options().names))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> ActionNode:
        return ActionNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
