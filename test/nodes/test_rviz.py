# SPDX-License-Identifier: Apache-2.0
"""What RViz is told to show by each launch file is what its nodes publish, by name, type and quality of service.

RViz itself is not there. What it knows is taken from its sources: plugins_description.xml of rviz_default_plugins, and
qos_profile_property.cpp of rviz_common, of Humble (11.2.13) and Jazzy (14.1.5).
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

from pose_ros.cli import compose

ROOT = Path(__file__).parents[2]
LAUNCHES = sorted(path.name.removesuffix(".launch.py") for path in (ROOT / "launch").glob("*.launch.py"))
FILES = sorted((ROOT / "config").glob("*.rviz"))
PLUGINS = "rviz_default_plugins"
#: Displays of RViz and the messages that they take; those that hear no topic of their own, or several, have none.
DISPLAYS = {
    "AccelStamped": "geometry_msgs/msg/AccelStamped", "Axes": "", "Camera": "sensor_msgs/msg/Image", "DepthCloud": "",
    "Effort": "sensor_msgs/msg/JointState", "FluidPressure": "sensor_msgs/msg/FluidPressure", "Grid": "",
    "GridCells": "nav_msgs/msg/GridCells", "Illuminance": "sensor_msgs/msg/Illuminance",
    "Image": "sensor_msgs/msg/Image", "InteractiveMarkers": "visualization_msgs/msg/InteractiveMarkerUpdate",
    "LaserScan": "sensor_msgs/msg/LaserScan", "Map": "nav_msgs/msg/OccupancyGrid",
    "Marker": "visualization_msgs/msg/Marker", "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "Odometry": "nav_msgs/msg/Odometry", "Path": "nav_msgs/msg/Path",
    "PointCloud": "sensor_msgs/msg/PointCloud", "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "PointStamped": "geometry_msgs/msg/PointStamped", "Polygon": "geometry_msgs/msg/PolygonStamped",
    "Pose": "geometry_msgs/msg/PoseStamped", "PoseArray": "geometry_msgs/msg/PoseArray",
    "PoseWithCovariance": "geometry_msgs/msg/PoseWithCovarianceStamped", "Range": "sensor_msgs/msg/Range",
    "RelativeHumidity": "sensor_msgs/msg/RelativeHumidity", "RobotModel": "", "TF": "",
    "Temperature": "sensor_msgs/msg/Temperature", "TwistStamped": "geometry_msgs/msg/TwistStamped",
    "Wrench": "geometry_msgs/msg/WrenchStamped",
}
TOOLS = {"FocusCamera", "Interact", "Measure", "MoveCamera", "PublishPoint", "Select", "SetGoal", "SetInitialPose"}
VIEWS = {"FPS", "Orbit", "ThirdPersonFollower", "TopDownOrtho", "XYOrbit"}
PANELS = {"Displays", "Help", "Selection", "Time", "Tool Properties", "Transformation", "Views"}
POLICIES = {
    "History Policy": {"System Default", "Keep Last", "Keep All"},
    "Reliability Policy": {"System Default", "Reliable", "Best Effort"},
    "Durability Policy": {"System Default", "Transient Local", "Volatile"},
}
#: Whatever of these a node publishes is shown, but for what one camera of several thinks of places.
SHOWN = {DISPLAYS["MarkerArray"], DISPLAYS["Pose"], DISPLAYS["Image"]}
HIDDEN = {"multiview": {f"/cam0{n}/pose/markers" for n in range(1, 5)}}


def content(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["Visualization Manager"]


def displays(path: Path, kind: str = "") -> list[dict[str, Any]]:
    found = content(path)["Displays"]
    return [display for display in found if not kind or display["Class"] == f"{PLUGINS}/{kind}"]


def started_by(name: str) -> tuple[Path, str]:
    """Return the file that a launch file gives RViz, and the fixed frame."""
    tree = ast.parse((ROOT / "launch" / f"{name}.launch.py").read_text(encoding="utf-8"))
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "describe"]
    given = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
    return ROOT / "config" / given.get("rviz", "pose.rviz"), given.get("fixed_frame", "camera_optical_frame")


def heard_by(topic: dict[str, Any]) -> QoSProfile:
    """Return the quality of service that a display asks for."""
    policies = {"history": QoSHistoryPolicy, "reliability": QoSReliabilityPolicy, "durability": QoSDurabilityPolicy}
    named = {key: topic[f"{key.title()} Policy"].upper().replace(" ", "_") for key in policies}
    return QoSProfile(depth=topic["Depth"], **{key: policies[key][word] for key, word in named.items()})


def message(kind: str) -> Any:
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def published(running: list[Any]) -> set[str]:
    """Return the topics of nodes that RViz could show as they are."""
    types = {message(kind) for kind in SHOWN}
    return {publisher.topic_name for node in running for publisher in node.publishers if publisher.msg_type in types}


@pytest.fixture
def nodes(ros, stub_environment) -> Iterator[Any]:
    """Start the nodes of a configuration, with a model that needs no weights."""
    made: list[Any] = []

    def start(name: str) -> list[Any]:
        specs = [spec for spec in compose.load(ROOT / "config" / f"{name}.yaml") if spec.plugin != "web_node"]
        for spec in specs:
            module = importlib.import_module(f"pose_ros.nodes.{spec.plugin}")
            values = dict(spec.parameters)
            if spec.plugin == "pose_node":  # blocks and the skeleton are those of the model
                values = {k: v for k, v in values.items() if "." not in k and k != "skeleton"} | {"model": "stub"}
            node = getattr(module, spec.plugin.title().replace("_", ""))(
                name=spec.name, context=ros.context, namespace=spec.namespace,
                parameter_overrides=[Parameter(k, value=v) for k, v in values.items()],
            )
            made.append(ros.add(node))
        return made

    yield start
    for node in made:
        node.close()


def test_every_file_is_used():
    assert {started_by(name)[0] for name in LAUNCHES} == set(FILES)


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_fixed_frame_of_the_launch_file_is_that_of_the_file(name):
    path, frame = started_by(name)
    assert content(path)["Global Options"]["Fixed Frame"] == frame


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_rviz_knows_all_that_is_named(path):
    manager = content(path)
    panels = yaml.safe_load(path.read_text(encoding="utf-8"))["Panels"]
    assert {panel["Class"] for panel in panels} <= {f"rviz_common/{name}" for name in PANELS}
    assert {display["Class"] for display in manager["Displays"]} <= {f"{PLUGINS}/{name}" for name in DISPLAYS}
    assert {tool["Class"] for tool in manager["Tools"]} <= {f"{PLUGINS}/{name}" for name in TOOLS}
    assert manager["Views"]["Current"]["Class"] in {f"{PLUGINS}/{name}" for name in VIEWS}
    names = [display["Name"] for display in manager["Displays"]]
    assert len(set(names)) == len(names)
    for display in manager["Displays"]:
        assert display["Enabled"] is display["Value"]  # RViz reads both, one after the other
        takes = DISPLAYS[display["Class"].partition("/")[2]]
        assert ("Topic" in display) == bool(takes), display["Name"]
        for policy, words in POLICIES.items() if takes else ():
            assert display["Topic"][policy] in words
    assert displays(path, "TF")
    assert displays(path, "Grid")


@pytest.mark.parametrize("name", LAUNCHES)
def test_every_display_hears_what_the_nodes_publish(name, nodes, ros):
    path, _ = started_by(name)
    running = nodes(name)
    viewer = ros.node("rviz")
    # Configured, every one of them has markers or frames.
    telling = {message(DISPLAYS["MarkerArray"]), message("tf2_msgs/msg/TFMessage")}
    assert ros.spin_until(lambda: all(any(p.msg_type in telling for p in node.publishers) for node in running), 10.0)
    shown = [display for display in displays(path) if "Topic" in display]
    for display in shown:
        assert not display["Topic"]["Value"].startswith("/"), "would not follow a namespace"
        topic, kind = "/" + display["Topic"]["Value"], DISPLAYS[display["Class"].partition("/")[2]]
        publishers = partial(viewer.get_publishers_info_by_topic, topic)
        assert ros.spin_until(publishers, 10.0), f"nobody publishes {topic}"
        (publisher,) = publishers()
        assert publisher.topic_type == kind
        heard = viewer.create_subscription(message(kind), topic, lambda _: None, heard_by(display["Topic"]))
        assert ros.spin_until(heard.get_publisher_count, 10.0), f"{topic}: qualities of service do not match"
    assert published(running) - HIDDEN.get(name, set()) == {"/" + display["Topic"]["Value"] for display in shown}
    # Points are made of what the pose node hears while somebody listens to it.
    for display in displays(path, "DepthCloud"):
        for key in ("Depth Map Topic", "Color Image Topic"):
            hears = partial(viewer.get_subscriptions_info_by_topic, "/" + display[key])
            assert ros.spin_until(hears, 10.0), f"no node hears {display[key]}"
            assert {one.topic_type for one in hears()} == {"sensor_msgs/msg/Image"}
