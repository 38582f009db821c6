# SPDX-License-Identifier: Apache-2.0
"""A composition whose bag gives the same messages every time: it is played image by image, each once answered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pose_ros.cli.node_options import options_of
from pose_ros.cli.node_spec import NodeSpec
from pose_ros.errors import ConfigError
from pose_ros.media.bag_file import BagFile
from pose_ros.media.bags import Bag

_PLAYER = "player"
#: A camera that is silent is waited for until the others are so many seconds of the bag ahead, and for how long at all.
_SYNC = {"sync.max_wait": 5.0, "sync.max_silence": 60.0}
#: Nodes that hear skeletons, and where each says something about every array.
_FOLLOWS = {
    "multiview_node": "{path}/skeletons", "action_node": "{path}/actions", "manipulation_node": "{path}/separation",
    "hri_node": "{prefix}/bodies/tracked",
}


def played_exactly(specs: Sequence[NodeSpec], source: str, above: str) -> list[NodeSpec]:
    """Return a composition with a player_node, and all others working on every image that it plays.

    Args:
        specs: Nodes without a source.
        source: ``bag`` or ``bag#topic``, which names the images where the topics of the nodes are not in the bag.
        above: Namespace of the player.

    Raises:
        SourceError: It is no bag, or holds several cameras of which none is named.
        ConfigError: No node works on images, or one has the player's name.
    """
    if any(spec.path == f"{above}/{_PLAYER}" for spec in specs):
        raise ConfigError("--exact", f"expected no other node of the name '{above}/{_PLAYER}'")
    path, _, topic = source.partition("#")
    with closing(BagFile(path, Path(path).expanduser())) as bag:
        recorded = {connection.topic for connection in bag.connections}
    answers, followers, result = [], list[str](), []
    for spec in specs:
        heard: dict[str, Any] = {"use_sim_time": True}
        sees = spec.plugin in ("pose_node", "recorder_node") and bool(_images(spec))
        if sees and (topic or _images(spec) not in recorded):
            heard |= _topics(source, path, topic)
        known = options_of(spec.plugin, spec.parameters)
        heard |= {"exact": True} if "exact" in known else {}
        if spec.plugin == "pose_node" and "image_topic" in heard:
            heard["image_transport"] = "raw"
        elif spec.plugin == "multiview_node":
            heard |= _SYNC
        found = spec.told(heard)
        result.append(found)
        if spec.plugin == "pose_node":
            answers.append(f"{_images(found)}:={found.path}/skeletons")
        elif spec.plugin in _FOLLOWS:
            prefix = found.parameters.get("prefix", known["prefix"].default) if "prefix" in known else ""
            followers.append(_FOLLOWS[spec.plugin].format(path=found.path, prefix=prefix))
    if not answers:
        raise ConfigError("--exact", "expected a pose_node in the file, to work on the images of the bag")
    # Without wait_for_subscribers it starts when all others are ready, and begins when nobody comes any more.
    played: dict[str, Any] = {"source": path, "answers": answers, "clock": True, "wait_timeout": 300.0}
    if followers:  # ROS 2 cannot read an empty list
        played["followers"] = followers
    return [NodeSpec(_PLAYER, above, "player_node", {"plugin": "player_node", **played}, played), *result]


def _images(spec: NodeSpec) -> str:
    """Return the full name of the topic of images that a node hears; empty if it hears none."""
    known = options_of(spec.plugin, spec.parameters)
    topic = str(spec.parameters.get("image_topic", known["image_topic"].default))
    if spec.parameters.get("image_transport") == "compressed":
        topic = f"{topic.removesuffix('/compressed')}/compressed"
    return topic if topic.startswith("/") or not topic else f"{spec.namespace}/{topic}"


def _topics(source: str, path: str, topic: str) -> dict[str, str]:
    """Return the parameters that name the images of a bag, and the calibration beside them."""
    with closing(Bag(source, Path(path).expanduser(), topic)) as bag:
        namespace = bag.topic.removesuffix("/compressed").rpartition("/")[0]
        return {"image_topic": bag.topic, "camera_info_topic": f"{namespace}/camera_info"}
