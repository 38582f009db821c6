# SPDX-License-Identifier: Apache-2.0
"""Launching: what all launch files of this package share.

A launch file names its parameter file, and starts what that says::

    def generate_launch_description():
        return describe("body.yaml")

Arguments that are given win over the file. Needs ``launch`` and ``launch_ros``, which come with ROS 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
    from pose_ros.cli.node_spec import NodeSpec

#: Launch argument -> parameter of pose_nodes; an empty argument leaves the parameter file its say.
_TOPICS = {
    "image_topic": "Image topic. One that ends in /compressed is read as CompressedImage.",
    "camera_info_topic": "CameraInfo topic of the same camera.",
}
_DEPTH = {
    "depth_topic": "Depth images of the same camera; one that ends in /compressedDepth is compressed.",
    "depth_info_topic": "CameraInfo topic of a depth camera that is not registered.",
}
_MODEL = {"model": "Model to run, '[detector+]estimator'; see 'pose-ros models list'."}
_DEVICE = {"device": "Where to run it: auto, cpu, cuda, tensorrt or openvino:NAME."}


def describe(
    config: str, *, one_model: bool = True, one_camera: bool = True, depth: bool = False,
    rviz: str = "pose.rviz", fixed_frame: str = "camera_optical_frame",
) -> LaunchDescription:
    """Return what ``ros2 launch`` runs.

    Args:
        config: Parameter file in ``config/``.
        one_model: Whether an argument ``model`` makes sense: all pose_nodes of the file run the same.
        one_camera: Whether arguments for topics make sense: all pose_nodes of the file hear one camera.
        depth: Whether the camera measures depth.
        rviz: What RViz shows, a file in ``config/``.
        fixed_frame: Of RViz.
    """
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.conditions import IfCondition
    from launch.substitutions import LaunchConfiguration
    from launch_ros.actions import Node

    from launch import LaunchDescription

    folder = _folder()
    parameters = {
        **(_TOPICS if one_camera else {}), **(_DEPTH if depth else {}), **(_MODEL if one_model else {}), **_DEVICE
    }

    def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        # What is wrong is said before anything starts; launch leaves alone what runs already when it fails.
        return [viewer, web, *_nodes(context, parameters)]

    def argument(name: str, default: str, description: str, *choices: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value=default, description=description, choices=list(choices) or None
        )

    viewer = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", LaunchConfiguration("rviz_config"), "-f", LaunchConfiguration("fixed_frame")],
        condition=IfCondition(LaunchConfiguration("use_rviz")),
    )
    web = Node(
        package="pose_ros",
        executable="web_node",
        name="web",
        namespace=LaunchConfiguration("namespace"),
        output="both",
        condition=IfCondition(LaunchConfiguration("use_web")),
    )
    return LaunchDescription([
        argument("params_file", str(folder / config), "Nodes and parameters."),
        *(argument(name, "", f"{text} Empty: as in params_file.") for name, text in parameters.items()),
        argument("namespace", "", "Put before the names of all nodes."),
        argument("log_level", "info", "Least severe messages that are logged.",
                 "debug", "info", "warn", "error", "fatal"),
        argument("use_rviz", "false", "Also show skeletons, TF and the annotated image in RViz.", "true", "false"),
        argument("rviz_config", str(folder / rviz), "What RViz shows."),
        argument("use_web", "false", "Also serve the web page, at http://127.0.0.1:8080/.", "true", "false"),
        argument("fixed_frame", fixed_frame, "Fixed frame of RViz, such as the frame_id of the images."),
        OpaqueFunction(function=nodes),
    ])


def _folder() -> Path:
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("pose_ros")) / "config"


def _nodes(context: LaunchContext, parameters: dict[str, str]) -> list[LaunchDescriptionEntity]:
    """Check the parameter file as ``pose-ros up`` does, and return its nodes."""
    from launch.substitutions import LaunchConfiguration
    from launch_ros.actions import Node

    from pose_ros.cli.compose import load

    given = {name: LaunchConfiguration(name).perform(context) for name in (*parameters, "params_file", "namespace")}
    overrides = [f"pose_node.{name}={given[name]}" for name in parameters if given[name]]
    file = Path(given["params_file"])
    processes: dict[str, list[NodeSpec]] = {}
    for spec in load(file, overrides, namespace=given["namespace"]):
        processes.setdefault(str(spec.parameters.get("process.name") or spec.path), []).append(_by_itself(spec))
    return [
        Node(
            package="pose_ros",
            **_one(specs[0]) if len(specs) == 1 else _several(specs, file),
            respawn=bool(specs[0].parameters.get("process.restart", 0)),
            respawn_delay=float(specs[0].parameters.get("process.restart_delay", 1.0)),
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="both",
            emulate_tty=True,
        )
        for specs in processes.values()
    ]


def _by_itself(spec: NodeSpec) -> NodeSpec:
    """Return a node that brings itself up, because ``ros2 launch`` manages nobody."""
    if not spec.parameters.get("process.managed") or not spec.lives:
        return spec
    alone = {"autostart": True}
    return replace(spec, parameters={**spec.parameters, **alone}, overrides={**spec.overrides, **alone})


def _one(spec: NodeSpec) -> dict[str, Any]:
    """Return the arguments of launch_ros for a process of one node."""
    return {"executable": spec.plugin, "name": spec.name, "namespace": spec.namespace,
            "parameters": [dict(spec.parameters)]}


def _several(specs: Sequence[NodeSpec], file: Path) -> dict[str, Any]:
    """Return them for one of several nodes, each of which has its arguments."""
    return {"executable": "container",
            "arguments": [word for spec in specs for word in (spec.plugin, *spec.arguments(file), "--")]}
