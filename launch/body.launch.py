# SPDX-License-Identifier: Apache-2.0
"""Body skeletons from a camera driver's topics: ``ros2 launch pose_ros body.launch.py image_topic:=/my/image_raw``.

Starts the nodes of a parameter file; arguments that are given win over the file. ``--show-args`` lists them.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from pose_ros.cli.compose import load

_CONFIG = Path(get_package_share_directory("pose_ros")) / "config"
#: Launch argument -> parameter of every pose_node; an empty argument leaves the parameter file its say.
_PARAMETERS = {
    "image_topic": "Image topic. One that ends in /compressed is read as CompressedImage.",
    "camera_info_topic": "CameraInfo topic of the same camera.",
    "model": "Model to run, '[detector+]estimator'; see 'pose-ros models list'.",
    "device": "Where to run it: auto, cpu, cuda, tensorrt or openvino:NAME.",
}
_ARGUMENTS = [
    DeclareLaunchArgument("params_file", default_value=str(_CONFIG / "body.yaml"), description="Nodes and parameters."),
    *(DeclareLaunchArgument(name, default_value="", description=f"{text} Empty: as in params_file.")
      for name, text in _PARAMETERS.items()),
    DeclareLaunchArgument("namespace", default_value="", description="Put before the names of all nodes."),
    DeclareLaunchArgument("log_level", default_value="info", choices=["debug", "info", "warn", "error", "fatal"],
                          description="Least severe messages that are logged."),
    DeclareLaunchArgument("use_rviz", default_value="false", choices=["true", "false"],
                          description="Also show skeletons, TF and the annotated image in RViz."),
    DeclareLaunchArgument("fixed_frame", default_value="camera_optical_frame",
                          description="Fixed frame of RViz, such as the frame_id of the images."),
]


def generate_launch_description() -> LaunchDescription:
    """Return what ``ros2 launch`` runs."""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(_CONFIG / "body.rviz"), "-f", LaunchConfiguration("fixed_frame")],
        condition=IfCondition(LaunchConfiguration("use_rviz")),
    )
    return LaunchDescription([*_ARGUMENTS, OpaqueFunction(function=_nodes), rviz])


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Check the parameter file as ``pose-ros up`` does, and return its nodes."""
    given = {name: LaunchConfiguration(name).perform(context) for name in (*_PARAMETERS, "params_file", "namespace")}
    overrides = [f"pose_node.{name}={given[name]}" for name in _PARAMETERS if given[name]]
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
