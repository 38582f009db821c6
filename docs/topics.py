# SPDX-License-Identifier: Apache-2.0
"""Which topics and services each node has: all nodes are run, somebody listens to everything, and the graph is read.

``docs/tables.py`` makes tables of it. Models are those of ``test/nodes/stub_pose.py``, which need no weights. The nodes
stand in a namespace, so that names that do not move with it are told from those that do.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from pose_ros import registry
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.stages import Stages
from pose_ros.pipeline import Result
from pose_ros.skeletons import catalogue

_ROOT = Path(__file__).resolve().parent.parent
_SPACE = "robot"
#: Longest wait for nodes to say no more than before, and how long that has to be so, seconds.
_WAIT_S, _QUIET_S = 60.0, 2.5
#: What every node has, or every lifecycle node.
_COMMON = ("rosout", "parameter_events", "transition_event")
_COMMON_SERVICES = (
    "parameters", "parameter_types", "set_parameters_atomically", "type_description", "state", "states", "transitions",
    "transition_graph",
)
#: Of many, these are named in place of all.
_STAND_FOR = {"cam01/": "{camera}/", "cam02/": "{camera}/", "/b0001/": "/<id>/", "/f0001/": "/<id>/"}
_CARD = """\
kind: estimator
plugin: {plugin}
summary: Known answers.
file: {{path: tiny.onnx}}
licence: {{weights: Apache-2.0}}
input_wh: [8, 8]
skeleton: {skeleton}
"""
#: Card -> plugin and skeleton.
_CARDS = {"body": ("stub", "coco17"), "hand": ("stub_hand", "hand21"), "face": ("stub_hand", "face68")}
#: Node -> parameters with which it has all its topics.
_PARAMETERS: dict[str, dict[str, Any]] = {
    "camera_node": {"loop": True},
    "pose_node": {
        "model": "body", "hands.model": "hand", "faces.model": "face", "image_topic": "image",
        "depth_topic": "depth/image", "depth_info_topic": "depth/camera_info", "filter.filtering_frame": "odom",
    },
    "multiview_node": {"cameras": ["cam01", "cam02"], "hands": True, "faces": True},
    "action_node": {"faces": True, "gravity_frame": "odom"},
    "hri_node": {"cropped": True},
    "manipulation_node": {"robot_frames": ["base_link:0.1"]},
    "recorder_node": {},
}
#: The same once more, for what excludes something of the above.
_OTHERWISE: dict[str, dict[str, Any]] = {"pose_node": {"model": "body", "points_topic": "depth/points"}}


@dataclass
class Ends:
    """What a node has, by names as its users write them: ``~/`` is the node's own, ``/`` is the same everywhere."""

    #: Topic -> message type and quality of service.
    subscribes: dict[str, tuple[str, str]] = field(default_factory=dict)
    publishes: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Service -> its type.
    serves: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Of all topics and services."""
        return {*self.subscribes, *self.publishes, *self.serves}

    def add(self, other: Ends) -> None:
        """Take what another one has, too."""
        self.subscribes |= other.subscribes
        self.publishes |= other.publishes
        self.serves |= other.serves


@cache
def of_all(known: frozenset[tuple[str, str]] = frozenset()) -> dict[str, Ends]:
    """Return node -> what it has; all are run for it, which takes a few seconds.

    Args:
        known: (node, topic or service) pairs that are waited for, longer than others, as a busy machine takes longer.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    context = rclpy.Context()
    context.init(args=["--ros-args", "--disable-rosout-logs", "--log-level", "fatal"])
    executor = SingleThreadedExecutor(context=context)
    with tempfile.TemporaryDirectory() as name, _stub(Path(name)), ExitStack() as closing:
        closing.callback(context.try_shutdown)
        nodes = []
        for space, sets in ((_SPACE, _PARAMETERS), (f"{_SPACE}/otherwise", _OTHERWISE)):
            for plugin, values in sets.items():
                nodes.append((plugin, _node(plugin, values, context, Path(name), space)))
                executor.add_node(nodes[-1][1])
                closing.callback(nodes[-1][1].close)
        crowd = _Crowd(context)
        executor.add_node(crowd.node)
        found: dict[str, Ends] = {}
        began = changed = time.monotonic()
        while time.monotonic() - changed < _QUIET_S and time.monotonic() - began < _WAIT_S:
            crowd.speak()
            for _ in range(20):
                executor.spin_once(timeout_sec=0.005)
            now: dict[str, Ends] = {}
            for plugin, node in nodes:
                now.setdefault(plugin, Ends()).add(_ends(node))
                crowd.hear(node)
            names = {(node, name) for node, ends in now.items() for name in ends.names}
            if now != found or known - names:
                found, changed = now, time.monotonic()
        executor.shutdown()
    return found


@contextmanager
def _stub(folder: Path) -> Iterator[None]:
    """Let the plugins of the tests be found, and cards of theirs."""
    writer = _load(_ROOT / "test" / "runtime" / "onnx_file.py")
    writer.write(folder / "tiny.onnx", size=(3, 8, 8))
    for name, (plugin, skeleton) in _CARDS.items():
        (folder / f"{name}.yaml").write_text(_CARD.format(plugin=plugin, skeleton=skeleton), encoding="utf-8")
    cv2.imwrite(str(folder / "image.png"), np.zeros((48, 64, 3), np.uint8))
    _load(_ROOT / "test" / "nodes" / "stub_pose.py")
    plugins = {"stub": "stub_pose:Stub", "stub_hand": "stub_pose:StubHand"}
    with mock.patch.dict(os.environ, {"POSE_ROS_MODEL_PATH": str(folder), "POSE_ROS_OFFLINE": "1"}), \
            mock.patch.dict(registry.BUILTIN["estimators"], plugins):
        yield


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _node(plugin: str, values: dict[str, Any], context: Any, folder: Path, space: str) -> Any:
    from rclpy.parameter import Parameter

    paths = {"camera_node": {"source": str(folder / "image.png")}, "recorder_node": {"output": str(folder / "out")}}
    values = {**values, **paths.get(plugin, {})}
    return getattr(importlib.import_module(f"pose_ros.nodes.{plugin}"), plugin.title().replace("_", ""))(
        context=context, namespace=space, parameter_overrides=[Parameter(k, value=v) for k, v in values.items()],
    )


class _Crowd:
    """Hears everything that is published, and speaks as a pose_node of which somebody is seen."""

    def __init__(self, context: Any) -> None:
        from pose_ros.msg import SkeletonArray, SkeletonInfo
        from rclpy.node import Node
        from sensor_msgs.msg import Image
        from tf2_msgs.msg import TFMessage

        from pose_ros.ros.messages import skeleton_to_info
        from pose_ros.ros.qos import LATCHED, RESULT

        self.node = Node("crowd", context=context, namespace=_SPACE, enable_rosout=False)
        self._heard: dict[str, Any] = {}
        self._stamp_ns, self._arrays = 1_000_000_000, []
        self._images = self.node.create_publisher(Image, "image", RESULT)
        self.node.create_subscription(TFMessage, "/tf", lambda _: None, RESULT)
        for topic, skeleton in (("pose", "coco17"), ("pose/faces", "face68")):
            known = catalogue.get(skeleton)
            info = self.node.create_publisher(SkeletonInfo, f"{topic}/skeleton_info", LATCHED)
            info.publish(skeleton_to_info(known, "stub"))
            self._arrays.append((self.node.create_publisher(SkeletonArray, f"{topic}/skeletons", RESULT), known))

    def hear(self, node: Any) -> None:
        """Subscribe to what a node publishes by now."""
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        any_of = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        for publisher in node.publishers:
            if publisher.topic_name not in self._heard:
                heard = self.node.create_subscription(publisher.msg_type, publisher.topic_name, _ignore, any_of)
                self._heard[publisher.topic_name] = heard

    def speak(self) -> None:
        """Say that somebody is there, with a face, and show an image."""
        from std_msgs.msg import Header

        from pose_ros.ros.images import rgb_to_image
        from pose_ros.ros.messages import poses_to_array

        self._stamp_ns += 33_333_333
        header = Header(frame_id="camera_optical_frame")
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp_ns, 1_000_000_000)
        self._images.publish(rgb_to_image(np.zeros((48, 64, 3), np.uint8), header))
        for publisher, skeleton in self._arrays:
            grid = np.stack([np.arange(len(skeleton)), np.arange(len(skeleton))], axis=1)[None] + 5.0
            poses = Poses(skeleton, grid, np.ones(grid.shape[:2]), ids=np.ones(1, np.int64),
                          states=np.full(1, TrackState.TRACKED))
            publisher.publish(poses_to_array(Result(poses, (), Stages()), header, (640, 480), "stub"))


def _ignore(_: Any) -> None:
    """Listen, and let it be."""


def _ends(node: Any) -> Ends:
    """Read the graph of one node."""
    own, above = node.get_name(), node.get_namespace()

    def short(name: str) -> str:
        inside = name.removeprefix(f"{above}/")
        for seen, said in _STAND_FOR.items():
            inside = inside.replace(seen, said)
        return f"~/{inside.removeprefix(f'{own}/')}" if inside.startswith(f"{own}/") else inside

    def topics(found: Any, infos: Any) -> dict[str, tuple[str, str]]:
        result = {}
        for name, (kind, *_) in found:
            if name.rpartition("/")[2] in _COMMON:
                continue
            for info in (i for i in infos(name) if (i.node_name, i.node_namespace) == (own, above)):
                result[short(name)] = kind.replace("/msg/", "/"), _quality(info.qos_profile)
        return result

    who = own, above
    services = node.get_service_names_and_types_by_node(*who)
    return Ends(
        topics(node.get_subscriber_names_and_types_by_node(*who), node.get_subscriptions_info_by_topic),
        topics(node.get_publisher_names_and_types_by_node(*who), node.get_publishers_info_by_topic),
        {short(name): kind.replace("/srv/", "/") for name, (kind, *_) in services
         if not name.endswith(_COMMON_SERVICES)},
    )


def _quality(profile: Any) -> str:
    reliable = "reliable" if profile.reliability.name == "RELIABLE" else "best effort"
    return reliable + (", latched" if profile.durability.name == "TRANSIENT_LOCAL" else "")


if __name__ == "__main__":
    for plugin, ends in of_all().items():
        print(plugin, ends, sep="\n")
