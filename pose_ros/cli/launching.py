# SPDX-License-Identifier: Apache-2.0
"""Launching: what all launch files of this package share.

A launch file names its parameter file, and starts what that says::

    def generate_launch_description():
        return describe("body.yaml")

Arguments that are given win over the file. Needs ``launch`` and ``launch_ros``, which come with ROS 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

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
    fixed_frame: str = "camera_optical_frame",
) -> LaunchDescription:
    """Return what ``ros2 launch`` runs.

    Args:
        config: Parameter file in ``config/``.
        one_model: Whether an argument ``model`` makes sense: all pose_nodes of the file run the same.
        one_camera: Whether arguments for topics make sense: all pose_nodes of the file hear one camera.
        depth: Whether the camera measures depth.
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
        return [rviz, *_nodes(context, parameters)]

    def argument(name: str, default: str, description: str, *choices: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value=default, description=description, choices=list(choices) or None
        )

    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(folder / "pose.rviz"), "-f", LaunchConfiguration("fixed_frame")],
        condition=IfCondition(LaunchConfiguration("use_rviz")),
    )
    return LaunchDescription([
        argument("params_file", str(folder / config), "Nodes and parameters."),
        *(argument(name, "", f"{text} Empty: as in params_file.") for name, text in parameters.items()),
        argument("namespace", "", "Put before the names of all nodes."),
        argument("log_level", "info", "Least severe messages that are logged.",
                 "debug", "info", "warn", "error", "fatal"),
        argument("use_rviz", "false", "Also show skeletons, TF and the annotated image in RViz.", "true", "false"),
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
    return [
        Node(
            package="pose_ros",
            executable=spec.plugin,
            name=spec.name,
            namespace=given["namespace"].rstrip("/") + spec.namespace,
            parameters=[dict(spec.parameters)],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="both",
            emulate_tty=True,
        )
        for spec in load(Path(given["params_file"]), overrides)
    ]
