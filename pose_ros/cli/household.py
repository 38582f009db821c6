# SPDX-License-Identifier: Apache-2.0
"""Household: the processes of a composition, which of them have died, and which are started again when."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pose_ros.cli.live import Display
from pose_ros.cli.node_spec import NodeSpec
from pose_ros.cli.supervise import Child, describe, environment

#: After so long a life the next death is the first one again; the longest wait before a start; seconds.
_WELL_S, _LONGEST_DELAY_S = 60.0, 30.0
#: Exit code of a node whose configuration does not fit, which no further start would mend.
_MISCONFIGURED = 2
_ONE = "import sys; from pose_ros.nodes.start import start; sys.exit(start({!r}))"
_SEVERAL = "import sys; from pose_ros.nodes.start import together; sys.exit(together())"


class Member:
    """One process with its nodes."""

    def __init__(self, specs: Sequence[NodeSpec], config: Path, log_dir: Path, display: Display) -> None:
        """Start nothing yet."""
        self.specs = list(specs)
        own = specs[0].parameters.get("process.name")
        self.name = str(own) if own else specs[0].path
        self._config, self._display = config, display
        self._log = log_dir / f"{self.name.strip('/').replace('/', '.')}.log"
        self.child: Child | None = None
        #: Deaths since it last lived for long, and in all.
        self.deaths = self.restarts = 0
        self._born = self._due = 0.0

    @property
    def paths(self) -> list[str]:
        """Full names of its nodes."""
        return [spec.path for spec in self.specs]

    def command(self) -> list[str]:
        """Return the command line of the process."""
        if len(self.specs) == 1:
            return [sys.executable, "-c", _ONE.format(self.specs[0].plugin), *self.specs[0].arguments(self._config)]
        arguments = [word for spec in self.specs for word in (spec.plugin, *spec.arguments(self._config), "--")]
        return [sys.executable, "-c", _SEVERAL, *arguments, "--ros-args", "--disable-external-lib-logs"]

    def start(self) -> None:
        """Start the process; what an earlier one said stays in the log."""
        self._born = time.monotonic()
        if not self.restarts:
            self._log.unlink(missing_ok=True)
        self.child = Child(self.name, self.command(), self._log, self._display.line, environment())

    @property
    def code(self) -> int | None:
        """Exit code; None before the start and while it runs."""
        return None if self.child is None else self.child.code

    def dies(self) -> str:
        """Note that it has died; returns when it will live again, empty for never."""
        code, now = self.code, time.monotonic()
        assert code is not None
        most, delay = (max(float(s.parameters.get(key, default)) for s in self.specs)
                       for key, default in (("process.restart", 0), ("process.restart_delay", 1.0)))
        self.deaths = 0 if now - self._born > _WELL_S else self.deaths
        if self.deaths >= most or code == _MISCONFIGURED:
            return ""
        wait = min(delay * 2**self.deaths, _LONGEST_DELAY_S)
        self.deaths += 1
        self.restarts += 1
        self._due = now + wait
        self.child, text = None, describe(code)
        return f"died ({text}), starts again in {wait:g} s ({self.deaths} of {most:g})"

    @property
    def due(self) -> bool:
        """Whether the wait after its death is over."""
        return self.child is None and bool(self._due) and time.monotonic() >= self._due


def household(specs: Sequence[NodeSpec], config: Path, log_dir: Path, display: Display) -> Mapping[str, Member]:
    """Return node -> its process; nodes that share one are given the same."""
    groups: dict[str, list[NodeSpec]] = {}
    for spec in specs:
        groups.setdefault(str(spec.parameters.get("process.name") or spec.path), []).append(spec)
    members = (Member(group, config, log_dir, display) for group in groups.values())
    return {path: member for member in members for path in member.paths}
