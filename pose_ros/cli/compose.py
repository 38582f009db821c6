# SPDX-License-Identifier: Apache-2.0
"""Read a ROS 2 parameter file as a composition: which nodes to run, each checked before anything starts.

The grammar is that of ``--params-file``: node name, ``ros__parameters``, keys; namespaces may be nested or written into
the name (``/robot/pose``), and wildcards (``/**``) reach every node they match. One key is ours: ``plugin`` says which
node runs under the name.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from pose_ros.core import documents
from pose_ros.core.options import OptionSpec, specs
from pose_ros.errors import ConfigError, UnknownNameError
from pose_ros.ros.process import HealthOptions, ProcessOptions

_PARAMETERS = "ros__parameters"
#: Node (a module of :mod:`pose_ros.nodes`) -> where the dataclass of its options is.
NODES: Mapping[str, tuple[str, str]] = {
    "action_node": ("pose_ros.nodes.action_options", "ActionOptions"),
    "camera_node": ("pose_ros.nodes.camera_node", "CameraOptions"),
    "hri_node": ("pose_ros.nodes.hri_options", "HriOptions"),
    "manipulation_node": ("pose_ros.nodes.manipulation_options", "ManipulationOptions"),
    "multiview_node": ("pose_ros.nodes.multiview_options", "MultiviewOptions"),
    "player_node": ("pose_ros.nodes.player_node", "PlayerOptions"),
    "pose_node": ("pose_ros.nodes.pose_options", "PoseOptions"),
    "recorder_node": ("pose_ros.nodes.recorder_node", "RecorderOptions"),
    "web_node": ("pose_ros.nodes.web_options", "WebOptions"),
}
#: Nodes that read a source, and end with it.
SOURCES = ("camera_node", "player_node")
#: Nodes that work from their start to their end.
_WITHOUT_LIFE_CYCLE = (*SOURCES, "recorder_node")
#: Nodes that hear images.
_SEE = ("pose_node", "recorder_node")
#: The camera that is added to a composition without one, and the player where there are several cameras.
_CAMERA, _PLAYER = "/camera", "/player"
#: The web page that is added when it is asked for.
_WEB = "/web"
#: What nodes hear of a bag: every image, however long that takes, and all cameras of each moment.
_PLAYED: Mapping[str, Mapping[str, Any]] = {
    "pose_node": {"reliability": "reliable", "depth": 100},
    "multiview_node": {"sync.max_wait": 5.0, "sync.max_silence": 60.0},
}
#: Parameters that every ROS 2 node has.
_OF_RCLPY = ("use_sim_time", "start_type_description_service")


@dataclass(frozen=True)
class NodeSpec:
    """One node of a composition."""

    name: str
    #: Absolute, without a trailing slash; empty for the root.
    namespace: str
    #: Key of :data:`NODES`.
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
    found = list(_blocks(_read(path), above))
    nodes = {name: block for name, block in found if "*" not in name}
    if not nodes:
        raise ConfigError(str(path), "expected at least one node: 'name: {ros__parameters: {plugin: pose_node, ...}}'")
    result = []
    for name in nodes:
        merged: dict[str, Any] = {}
        for pattern, block in found:
            if _matches(name, pattern):
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
        result.append(NodeSpec(short, within, str(plugin), merged, given, tuple(remaps)))
    if web and not any(spec.plugin == "web_node" for spec in result):
        if any(spec.path == above + _WEB for spec in result):
            raise ConfigError("--web", f"expected a web_node in the file, or no other node of the name '{_WEB}'")
        result.append(NodeSpec(_WEB.strip("/"), above, "web_node", {"plugin": "web_node"}, {}, tuple(remaps)))
    if exact:
        if source is None:
            raise ConfigError("--exact", "expected --source BAG, which can be played again")
        result = [spec for spec in result if spec.plugin not in SOURCES]
    own = {spec.plugin for spec in result}.intersection(SOURCES)
    if source is not None:
        overrides = [*overrides, *(f"{plugin}.source={source}" for plugin in sorted(own))]
    changes = [_override(text) for text in overrides]
    result = _changed(result, changes)
    if exact:
        from pose_ros.cli.exactly import played_exactly

        result = _changed([replace(spec, remaps=tuple(remaps)) for spec in played_exactly(result, str(source), above)],
                          changes)
    elif source is not None and not own:
        several = any(spec.plugin == "multiview_node" or _depth(spec) for spec in result)
        more = _with_player(result, source, above) if several else _with_camera(result, source, above)
        result = _changed([replace(spec, remaps=tuple(remaps)) for spec in more], changes)
    for node, _, _ in changes:
        if not any(spec.called(node) for spec in result):
            raise UnknownNameError("node", node, [spec.name for spec in result])
    _agree(result)
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


def _depth(spec: NodeSpec) -> bool:
    """Return whether a node hears depth, which no camera_node shows."""
    return any(spec.parameters.get(key) for key in ("depth_topic", "points_topic"))


def _with_player(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition with one more node, which plays a bag of all topics, and nothing of it is left out."""
    if any(spec.path == above + _PLAYER for spec in specs):
        raise ConfigError("--source", f"expected a player_node in the file, or no other node of the name "
                                      f"'{above}{_PLAYER}'")
    # Each pose_node hears images and camera_info, and perhaps depth.
    topics = sum(2 + _depth(spec) for spec in specs if spec.plugin == "pose_node")
    # Nothing is lost by waiting: who does not come up ends the run.
    played = {"source": source, "wait_for_subscribers": topics, "wait_timeout": 300.0, "clock": True}
    result = [NodeSpec(_PLAYER.strip("/"), above, "player_node", {"plugin": "player_node", **played}, played)]
    for spec in specs:
        # How old something is, is said by the time of the bag.
        heard = {"use_sim_time": True, **_PLAYED.get(spec.plugin, {})}
        result.append(replace(spec, parameters={**spec.parameters, **heard}, overrides={**spec.overrides, **heard}))
    return result


def _with_camera(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition with one more node, a camera that shows a source, and all others hearing that camera."""
    path = above + _CAMERA
    if any(spec.path == path for spec in specs):
        raise ConfigError("--source", f"expected a camera_node in the file, or no other node of the name '{path}'")
    seeing = [spec for spec in specs if spec.plugin in _SEE]
    # Pose nodes of one process share a subscription where the newest image wins.
    shared = {
        spec.path: spec.parameters.get("process.name") for spec in seeing
        if spec.plugin == "pose_node" and spec.parameters.get("depth", 1) == 1
    }
    heard_by = {shared.get(spec.path) or spec.path for spec in seeing}
    shown = {"source": source, "publish": "raw", "wait_for_subscribers": len(heard_by)}
    camera = NodeSpec(_CAMERA.strip("/"), above, "camera_node", {"plugin": "camera_node", **shown}, shown)
    topics = {"image_topic": f"{path}/image", "camera_info_topic": f"{path}/camera_info"}
    result = [camera]
    for spec in specs:
        heard = {**topics, "image_transport": "raw"} if spec.plugin == "pose_node" else topics
        if spec.plugin not in _SEE:
            # hri_node hears images only where it is to cut people out of them, so that no camera waits for it.
            heard = {"image_topic": topics["image_topic"]} if spec.plugin == "hri_node" else {}
        result.append(replace(spec, parameters={**spec.parameters, **heard}, overrides={**spec.overrides, **heard}))
    return result


def _changed(specs: Sequence[NodeSpec], changes: Sequence[tuple[str, str, str]]) -> list[NodeSpec]:
    """Return the nodes with the overrides that mean them, or refuse what a node itself would refuse."""
    return [_checked(spec, {k: v for node, k, v in changes if spec.called(node)}) for spec in specs]


def _checked(spec: NodeSpec, changes: Mapping[str, str]) -> NodeSpec:
    known = options_of(spec.plugin, {**spec.parameters, **changes})
    typed = {k: _typed(v, known[k]) if k in known else v for k, v in changes.items()}
    merged = {**spec.parameters, **typed}
    check(spec.path, merged, known)
    return replace(spec, parameters=merged, overrides={**spec.overrides, **typed})


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


def options_of(plugin: str, parameters: Mapping[str, Any]) -> dict[str, OptionSpec]:
    """Return dotted key -> option of everything that a node knows with these parameters.

    Raises:
        UnknownNameError: There is no such node, or no such model.
    """
    if plugin not in NODES:
        raise UnknownNameError("node", plugin, NODES)
    module, options = NODES[plugin]
    known = {s.name: s for s in specs(getattr(importlib.import_module(module), options))}
    known.update({f"process.{s.name}": s for s in specs(ProcessOptions)})
    known.update({f"health.{s.name}": s for s in specs(HealthOptions)})
    if plugin == "action_node":
        from pose_ros.nodes.action_options import ActionOptions

        names = known["recognisers"].check(parameters.get("recognisers", ()))
        for block, piece in ActionOptions(recognisers=names).blocks().items():
            known.update({f"{block}.{s.name}": s for s in specs(piece)})
    if plugin == "multiview_node":
        from pose_ros.nodes.multiview_options import BLOCKS

        known.update({f"{block}.{s.name}": s for block, piece in BLOCKS.items() for s in specs(piece)})
    if plugin == "pose_node":
        from pose_ros.wiring import PipelineOptions

        model = str(parameters.get("model", PipelineOptions().model))
        blocks = {**_blocks_of_model(model), **_blocks_of_parts(parameters), **_blocks_of_space(parameters)}
        for block, piece in blocks.items():
            known.update({f"{block}.{s.name}": s for s in specs(piece)})
    return known


def pipeline_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`pose_ros.wiring.build` takes, out of the dotted parameters of a pose_node."""
    from pose_ros.wiring import BLOCKS, PipelineOptions

    config: dict[str, Any] = {s.name: parameters[s.name] for s in specs(PipelineOptions) if s.name in parameters}
    for block in BLOCKS:
        config[block] = {k.partition(".")[2]: v for k, v in parameters.items() if k.startswith(f"{block}.")}
    return config


def _blocks_of_space(parameters: Mapping[str, Any]) -> dict[str, type]:
    """Return block -> options of what knows of metres, and of the lifter where there is one."""
    from pose_ros import registry
    from pose_ros.lifters.lifting import LiftingOptions
    from pose_ros.models.store import Store
    from pose_ros.rgbd.options import DepthOptions
    from pose_ros.tracking.point_filter import FilterOptions

    blocks: dict[str, type] = {"rgbd": DepthOptions, "filter": FilterOptions, "lifting": LiftingOptions}
    if model := str(parameters.get("lifting.model", "")):
        blocks["lifter"] = registry.load("lifters", Store().card(model).plugin).Options
    return blocks


def _blocks_of_parts(parameters: Mapping[str, Any]) -> dict[str, type]:
    """Return block -> options of what looks at hands and faces, and of those that have a model, of its estimator."""
    from pose_ros import registry
    from pose_ros.models.store import Store
    from pose_ros.parts import PartOptions
    from pose_ros.wiring import PARTS, parse_model

    blocks: dict[str, type] = dict.fromkeys(PARTS, PartOptions)
    for part, block in PARTS.items():
        if model := str(parameters.get(f"{part}.model", "")):
            _, estimator = parse_model(model, Store())
            blocks[block] = registry.load("estimators", estimator.plugin).Options
    return blocks


def _blocks_of_model(model: str) -> dict[str, type]:
    """Return block -> options of the pieces of which a pipeline with this model is made."""
    from pose_ros import registry
    from pose_ros.estimators.base import ImageEstimator
    from pose_ros.models.store import Store
    from pose_ros.sources import OneStageOptions, TopDownOptions
    from pose_ros.tracking.track import TrackerOptions
    from pose_ros.wiring import parse_model

    detector, estimator = parse_model(model, Store())
    blocks = {"estimator": registry.load("estimators", estimator.plugin).Options, "tracker": TrackerOptions}
    if detector is not None:
        blocks["detector"] = registry.load("detectors", detector.plugin).Options
        blocks["top_down"] = TopDownOptions
    elif issubclass(registry.load("estimators", estimator.plugin), ImageEstimator):
        blocks["one_stage"] = OneStageOptions
    return blocks


def check(name: str, parameters: Mapping[str, Any], known: Mapping[str, OptionSpec]) -> None:
    """Refuse what a node would refuse, before it is started.

    Raises:
        ConfigError: Wrong type, or out of range.
        UnknownNameError: A key that the node does not know.
    """
    for key, value in parameters.items():
        if key in _OF_RCLPY or key.startswith("qos_overrides."):
            continue
        if key not in known:
            raise UnknownNameError(f"parameter of {name}", key, known)
        spec = known[key]
        # YAML reads `source: 0` as a number; the nodes take it as text too.
        value = str(value) if spec.type is str and type(value) is int else value
        spec.check(value, f"{name}.{key}".removesuffix(f".{spec.name}"))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = documents.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(str(path), f"expected node names with {_PARAMETERS} below, got {type(data).__name__}")
    return data


def _blocks(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (full name or pattern, flat parameters) in the order of the file, which decides who wins."""
    for key, value in data.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if not isinstance(value, dict):
            raise ConfigError(name, f"expected {_PARAMETERS} or a namespace, got {type(value).__name__} {value!r}")
        if _PARAMETERS in value:
            if len(value) > 1:
                other = ", ".join(sorted(str(k) for k in value if k != _PARAMETERS))
                raise ConfigError(name, f"expected nothing beside {_PARAMETERS}, got {other}")
            yield name, dict(_flat(value[_PARAMETERS] or {}, "", name))
        else:
            near = [k for k in value if str(k).replace("_", "") == "rosparameters"]
            if near or not value:
                raise ConfigError(name, f"expected '{_PARAMETERS}' below" + (f", got '{near[0]}'" if near else ""))
            yield from _blocks(value, name)


def _flat(values: Mapping[str, Any], prefix: str, node: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if not value:
                raise ConfigError(f"{node}.{name}", "ROS 2 cannot read an empty block '{}'; leave the key out")
            yield from _flat(value, f"{name}.", node)
        elif value is None:
            raise ConfigError(f"{node}.{name}", "expected a value, got nothing; leave the key out for its default")
        elif value == []:
            raise ConfigError(f"{node}.{name}", "ROS 2 cannot read an empty list '[]'; write '' for one")
        else:
            yield name, value


def _matches(name: str, pattern: str) -> bool:
    """Apply a wildcard as rcl does: ``*`` is one level of names, ``**`` any number."""
    expression = re.escape(pattern).replace(r"/\*\*", "(/[^/]+)*").replace(r"/\*", "/[^/]+")
    return re.fullmatch(expression, name) is not None
