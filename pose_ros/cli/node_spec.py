# SPDX-License-Identifier: Apache-2.0
"""One node of a composition: which it is, what it is called and what it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

#: Nodes that read a source, and end with it.
SOURCES = ("camera_node", "player_node")
#: Nodes that work from their start to their end.
_WITHOUT_LIFE_CYCLE = ("player_node", "recorder_node")


@dataclass(frozen=True)
class NodeSpec:
    """One node of a composition."""

    name: str
    #: Absolute, without a trailing slash; empty for the root.
    namespace: str
    #: Key of :data:`pose_ros.cli.node_options.NODES`.
    plugin: str
    #: Dotted key -> value, wildcards and overrides included.
    parameters: Mapping[str, Any]
    #: The part of ``parameters`` that the file does not have.
    overrides: Mapping[str, Any] = field(default_factory=dict)
    #: Rules ``from:=to`` for names of topics and services.
    remaps: Sequence[str] = ()

    @property
    def path(self) -> str:
        """Fully qualified name, such as ``/robot/pose``."""
        return f"{self.namespace}/{self.name}"

    @property
    def lives(self) -> bool:
        """Whether it has a life cycle."""
        return self.plugin not in _WITHOUT_LIFE_CYCLE

    def called(self, node: str) -> bool:
        """Return whether an override that names ``node`` means this one."""
        return node in (self.path, self.name, self.plugin)

    def arguments(self, config: Path) -> list[str]:
        """Return the command line that gives a process this name and these parameters."""
        found = ["--ros-args", "-r", f"__node:={self.name}"]
        found += ["-r", f"__ns:={self.namespace}"] if self.namespace else []
        found += [word for rule in self.remaps for word in ("-r", rule)]
        found += ["--params-file", str(config)]
        found += ["--disable-external-lib-logs"]  # whoever started the process keeps its output
        for key, value in self.overrides.items():
            found += ["-p", f"{key}:={json.dumps(value, ensure_ascii=False)}"]
        return found

    def told(self, parameters: Mapping[str, Any]) -> NodeSpec:
        """Return this node with parameters that the file does not have."""
        return replace(
            self, parameters={**self.parameters, **parameters}, overrides={**self.overrides, **parameters}
        )
