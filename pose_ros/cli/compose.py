# SPDX-License-Identifier: Apache-2.0
"""Read a ROS 2 parameter file as a composition: which nodes to run, each checked before anything starts.

The grammar is that of ``--params-file``: node name, ``ros__parameters``, keys; namespaces may be nested or written into
the name (``/robot/pose``), and wildcards (``/**``) reach every node they match. One key is ours: ``plugin`` says which
node runs under the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pose_ros.cli import params_file
from pose_ros.cli.added import with_source, with_web
from pose_ros.cli.node_options import NODES, check, options_of
from pose_ros.cli.node_spec import SOURCES, NodeSpec
from pose_ros.core.options import OptionSpec
from pose_ros.errors import ConfigError, UnknownNameError


def load(
    path: Path, overrides: Sequence[str] = (), source: str | None = None, namespace: str = "",
    remaps: Sequence[str] = (), *, web: bool = False, exact: bool = False,
) -> list[NodeSpec]:
    """Read and check a composition.

    Args:
        path: A ROS 2 parameter file.
        overrides: ``node.key=value``, the value as in YAML; ``node`` is a name, a full path, or a plugin, which means
            all nodes of that kind. They win over everything else, and reach the node that a source adds, too.
        source: What the camera_node shows; where the file has none, one is added, and the others hear it. For several
            cameras, or one with depth, it is a bag, which a player_node plays.
        namespace: Put before the names of all nodes, and of the TF frames of nodes whose ``tf_prefix`` is not given.
        remaps: Rules ``from:=to`` for all nodes.
        web: Whether there is to be a web_node; where the file has none, one is added.
        exact: Whether ``source``, a bag, is to give the same messages every time; a player_node then takes the place
            of what the file has for a source.

    Raises:
        ConfigError: What does not fit.
        UnknownNameError: A key, a node, a plugin or a model does not exist; the message lists near names.
    """
    above = namespace.strip("/") and f"/{namespace.strip('/')}"
    for rule in remaps:
        if not all(rule.partition(":=")):
            raise ConfigError("--remap", f"expected from:=to, such as /tf:=tf, got '{rule}'")
    result = _written(path, above)
    if web:
        result = with_web(result, above)
    if exact:
        if source is None:
            raise ConfigError("--exact", "expected --source BAG, which can be played again")
        result = [spec for spec in result if spec.plugin not in SOURCES]
    own = {spec.plugin for spec in result}.intersection(SOURCES)
    if source is not None:
        overrides = [*overrides, *(f"{plugin}.source={source}" for plugin in sorted(own))]
    changes = [_override(text) for text in overrides]
    result = _changed(result, changes)
    if source is not None and not own:
        if exact:
            from pose_ros.cli.exactly import played_exactly

            result = played_exactly(result, source, above)
        else:
            result = with_source(result, source, above)
        result = _changed(result, changes)
    for node, _, _ in changes:
        if not any(spec.called(node) for spec in result):
            raise UnknownNameError("node", node, [spec.name for spec in result])
    _agree(result)
    return [replace(spec, remaps=tuple(remaps)) for spec in result]


def _written(path: Path, above: str) -> list[NodeSpec]:
    """Return the nodes of a file, each with what all blocks that reach it say."""
    found = params_file.blocks(path, above)
    names = dict.fromkeys(name for name, _ in found if "*" not in name)
    if not names:
        raise ConfigError(str(path), "expected at least one node: 'name: {ros__parameters: {plugin: pose_node, ...}}'")
    result = []
    for name in names:
        merged: dict[str, Any] = {}
        for pattern, block in found:
            if params_file.reaches(pattern, name):
                merged.update(block)
        plugin = merged.get("plugin")
        if plugin is None:
            raise ConfigError(f"{name}.plugin", f"missing; expected one of {', '.join(NODES)}")
        if above and "tf_prefix" not in merged and "tf_prefix" in options_of(str(plugin), merged):
            merged["tf_prefix"] = f"{above.strip('/')}/"
        within, _, short = name.rpartition("/")
        # The file knows a node by its name without the namespace, so that its parameters have to be handed over.
        given = {**merged} if above else {}
        if merged.get("process.managed") and "autostart" in options_of(str(plugin), merged):
            merged["autostart"] = given["autostart"] = False
        result.append(NodeSpec(short, within, str(plugin), merged, given))
    return result


def _agree(specs: Sequence[NodeSpec]) -> None:
    """Refuse processes whose nodes want different things of them."""
    first: dict[str, NodeSpec] = {}
    for spec in specs:
        name = str(spec.parameters.get("process.name", ""))
        if not name:
            continue
        if spec.plugin in SOURCES:
            raise ConfigError(f"{spec.path}.process.name", f"expected none, got '{name}': a {spec.plugin} ends with "
                                                           "its source, and its process with it")
        other = first.setdefault(name, spec)
        for key in ("cpus", "nice", "restart", "restart_delay"):
            own, theirs = (one.parameters.get(f"process.{key}") for one in (spec, other))
            if own != theirs:
                raise ConfigError(f"{spec.path}.process.{key}", f"expected what {other.path} of the same process says, "
                                                                f"{theirs!r}, got {own!r}")


def _changed(specs: Sequence[NodeSpec], changes: Sequence[tuple[str, str, str]]) -> list[NodeSpec]:
    """Return the nodes with the overrides that mean them, or refuse what a node itself would refuse."""
    return [_checked(spec, {k: v for node, k, v in changes if spec.called(node)}) for spec in specs]


def _checked(spec: NodeSpec, changes: Mapping[str, str]) -> NodeSpec:
    known = options_of(spec.plugin, {**spec.parameters, **changes})
    spec = spec.told({k: _typed(v, known[k]) if k in known else v for k, v in changes.items()})
    check(spec.path, spec.parameters, known)
    return spec


def _typed(text: str, option: OptionSpec) -> Any:
    """Return a value as YAML reads it; a text stays one: ``--set camera.source=0`` is webcam "0"."""
    try:
        value = text if option.type is str else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {option.name}", f"is not YAML: {error}") from error
    return "" if option.type is tuple and not value else value  # ROS 2 cannot read an empty list


def _override(text: str) -> tuple[str, str, str]:
    """Return (node, key, value) of ``node.key=value``."""
    target, equals, value = text.partition("=")
    node, dot, key = target.partition(".")
    if not (equals and dot and node and key):
        raise ConfigError("--set", f"expected node.key=value, got '{text}'")
    return node, key, value
