# SPDX-License-Identifier: Apache-2.0
"""What each node knows: its options, and those of the pieces that its parameters name; checked before it starts."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pose_ros.core.options import OptionSpec, specs
from pose_ros.errors import UnknownNameError
from pose_ros.ros.process import HealthOptions, ProcessOptions

#: Node (a module of :mod:`pose_ros.nodes`) -> where the dataclass of its options is.
NODES: Mapping[str, tuple[str, str]] = {
    "action_node": ("pose_ros.nodes.action_options", "ActionOptions"),
    "camera_node": ("pose_ros.nodes.camera_options", "CameraOptions"),
    "hri_node": ("pose_ros.nodes.hri_options", "HriOptions"),
    "manipulation_node": ("pose_ros.nodes.manipulation_options", "ManipulationOptions"),
    "multiview_node": ("pose_ros.nodes.multiview_options", "MultiviewOptions"),
    "player_node": ("pose_ros.nodes.player_node", "PlayerOptions"),
    "pose_node": ("pose_ros.nodes.pose_options", "PoseOptions"),
    "recorder_node": ("pose_ros.nodes.recorder_node", "RecorderOptions"),
    "web_node": ("pose_ros.nodes.web_options", "WebOptions"),
}
#: Parameters that every ROS 2 node has.
_OF_RCLPY = ("use_sim_time", "start_type_description_service")


def options_of(plugin: str, parameters: Mapping[str, Any]) -> dict[str, OptionSpec]:
    """Return dotted key -> option of everything that a node knows with these parameters.

    Raises:
        UnknownNameError: There is no such node, or no such model.
    """
    if plugin not in NODES:
        raise UnknownNameError("node", plugin, NODES)
    module, options = NODES[plugin]
    own = {s.name: s for s in specs(getattr(importlib.import_module(module), options))}
    blocks = {"process": ProcessOptions, "health": HealthOptions, **_blocks(plugin, own, parameters)}
    return own | {f"{block}.{s.name}": s for block, piece in blocks.items() for s in specs(piece)}


def _blocks(plugin: str, own: Mapping[str, OptionSpec], parameters: Mapping[str, Any]) -> Mapping[str, type]:
    """Return block -> options of the pieces of which a node is made."""
    if plugin == "action_node":
        from pose_ros.nodes.action_options import ActionOptions

        return ActionOptions(recognisers=own["recognisers"].check(parameters.get("recognisers", ()))).blocks()
    if plugin == "multiview_node":
        from pose_ros.nodes.multiview_options import BLOCKS

        return BLOCKS
    if plugin == "pose_node":
        from pose_ros.wiring import PipelineOptions

        model = str(parameters.get("model", PipelineOptions().model))
        return {**_blocks_of_model(model), **_blocks_of_parts(parameters), **_blocks_of_space(parameters)}
    return {}


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
