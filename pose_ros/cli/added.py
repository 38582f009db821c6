# SPDX-License-Identifier: Apache-2.0
"""Nodes that a command line adds to a composition: what shows or plays its source, and a web page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pose_ros.cli.node_spec import NodeSpec
from pose_ros.errors import ConfigError

#: Nodes that hear images.
_SEE = ("pose_node", "recorder_node")
#: What nodes hear of a bag: every image, however long that takes, and all cameras of each moment.
_PLAYED: Mapping[str, Mapping[str, Any]] = {
    "pose_node": {"reliability": "reliable", "depth": 100},
    "multiview_node": {"sync.max_wait": 5.0, "sync.max_silence": 60.0},
}


def with_web(specs: Sequence[NodeSpec], above: str) -> list[NodeSpec]:
    """Return a composition that has a web page: its own, or one more node.

    Args:
        specs: All nodes.
        above: Namespace of what is added.

    Raises:
        ConfigError: Another node has its name.
    """
    if any(spec.plugin == "web_node" for spec in specs):
        return [*specs]
    return [*specs, _added(specs, "web", above, "--web", {})]


def with_source(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition with one more node, which shows or plays a source, and all others hearing that.

    Args:
        specs: Nodes without a source.
        source: For several cameras, or one with depth, it is a bag.
        above: Namespace of what is added.

    Raises:
        ConfigError: Another node has its name.
    """
    several = any(spec.plugin == "multiview_node" or _depth(spec) for spec in specs)
    return _with_player(specs, source, above) if several else _with_camera(specs, source, above)


def _added(specs: Sequence[NodeSpec], name: str, above: str, option: str, told: Mapping[str, Any]) -> NodeSpec:
    """Return a node of a name and kind that no other one may have."""
    plugin, path = f"{name}_node", f"{above}/{name}"
    if any(spec.path == path for spec in specs):
        raise ConfigError(option, f"expected a {plugin} in the file, or no other node of the name '{path}'")
    return NodeSpec(name, above, plugin, {"plugin": plugin}).told(told)


def _depth(spec: NodeSpec) -> bool:
    """Return whether a node hears depth, which no camera_node shows."""
    return any(spec.parameters.get(key) for key in ("depth_topic", "points_topic"))


def _with_player(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition in which a bag of all topics is played, and nothing of it is left out."""
    # Each pose_node hears images and camera_info, and perhaps depth.
    topics = sum(2 + _depth(spec) for spec in specs if spec.plugin == "pose_node")
    # Nothing is lost by waiting: who does not come up ends the run.
    played = {"source": source, "wait_for_subscribers": topics, "wait_timeout": 300.0, "clock": True}
    # How old something is, is said by the time of the bag.
    hearing = [spec.told({"use_sim_time": True, **_PLAYED.get(spec.plugin, {})}) for spec in specs]
    return [_added(specs, "player", above, "--source", played), *hearing]


def _with_camera(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition in which a camera shows a source, and all others hear that camera."""
    seeing = [spec for spec in specs if spec.plugin in _SEE]
    # Pose nodes of one process share a subscription where the newest image wins.
    shared = {
        spec.path: spec.parameters.get("process.name") for spec in seeing
        if spec.plugin == "pose_node" and spec.parameters.get("depth", 1) == 1
    }
    heard_by = {shared.get(spec.path) or spec.path for spec in seeing}
    shown = {"source": source, "publish": "raw", "wait_for_subscribers": len(heard_by)}
    camera = _added(specs, "camera", above, "--source", shown)
    image, info = {"image_topic": f"{camera.path}/image"}, {"camera_info_topic": f"{camera.path}/camera_info"}
    heard: Mapping[str, Mapping[str, Any]] = {
        "pose_node": {**image, **info, "image_transport": "raw"}, "recorder_node": {**image, **info},
        # It hears images only where it is to cut people out of them, so that no camera waits for it.
        "hri_node": image,
    }
    return [camera, *(spec.told(heard.get(spec.plugin, {})) for spec in specs)]
