# SPDX-License-Identifier: Apache-2.0
"""Options of the manipulation node."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.options import option
from pose_ros.errors import ConfigError
from pose_ros.manipulation.watch import WatchOptions


@dataclass(frozen=True)
class ManipulationOptions(WatchOptions):
    """Whom to watch, and where the robot is."""

    plugin: str = option("manipulation_node", "Which node runs under this name.", choices=("manipulation_node",))
    skeletons_topic: str = option("pose/skeletons", "Skeletons to watch; 'skeleton_info' is expected beside it.")
    hands: bool = option(True, "Watch the hands that the pose node finds, too: 'hands/skeletons' beside "
                         "skeletons_topic.")
    hands_wait: float = option(0.05, "Longest wait for the hands of a moment, while any come.", unit="s", low=0.0,
                               high=10.0, live=True)
    base_frame: str = option("base_link", "TF frame in which all is said, with z upwards.")
    tool_frame: str = option("", "TF frame where the robot hands things over; empty: base_frame.")
    reach_frame: str = option("", "TF frame of the arm's shoulder, from which reach is measured; empty: base_frame.")
    robot_frames: tuple[str, ...] = option(
        (), "Parts of the robot: 'tool0:0.1' is a sphere of 0.1 m around a TF frame, 'link3>link4:0.08' what is within "
        "0.08 m of the line between two; without a radius that of robot_radius."
    )
    robot_radius: float = option(0.1, "Radius of parts that say none.", unit="m", low=0.0, high=10.0)
    tf_wait: float = option(0.1, "Longest wait for the transforms of a moment.", unit="s", low=0.0, high=10.0,
                            live=True)
    max_silence: float = option(
        0.3, "Say ZONE_STOP when the newest skeletons are older than this.", unit="s", low=0.01, high=60.0, live=True
    )
    stop_rate: float = option(20.0, "How often to say it.", unit="Hz", low=1.0, high=1000.0)
    publish_tf: bool = option(True, "Publish valid hands as TF frames handover_<id>_<side>.", live=True)
    tf_prefix: str = option("", "Put before every TF frame, such as 'robot1/'.", live=True)
    exact: bool = option(
        False, "The same skeletons and transforms give the same bits, however fast they come: nothing depends on the "
        "clock, and silence is that between stamps. For bags, not for robots.",
    )
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    watchdog: float = option(3.0, "Say why, when no skeletons have come for this long; 0 never.", unit="s", low=0.0,
                             high=3600.0, live=True)

    @property
    def tool(self) -> str:
        """Frame where the robot hands things over."""
        return self.tool_frame or self.base_frame

    @property
    def shoulder(self) -> str:
        """Frame from which reach is measured."""
        return self.reach_frame or self.base_frame

    @property
    def parts(self) -> list[tuple[tuple[str, str], float]]:
        """Frames at both ends of each part of the robot, and its radius.

        Raises:
            ConfigError: One cannot be read.
        """
        return [_part(text, self.robot_radius) for text in self.robot_frames]


def _part(text: str, radius: float) -> tuple[tuple[str, str], float]:
    names, colon, number = text.partition(":")
    first, arrow, last = names.partition(">")
    try:
        radius = float(number) if colon else radius
    except ValueError:
        radius = -1.0
    first, last = first.strip(), last.strip() if arrow else first.strip()
    if not first or not last or not 0 <= radius < float("inf"):
        raise ConfigError("robot_frames", f"expected 'frame', 'frame:radius' or 'frame>frame:radius', got '{text}'")
    return (first, last), radius
