# SPDX-License-Identifier: Apache-2.0
"""Options of the multi-view node: its own, and those of the pieces that it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pose_ros.core.kinds import PARTS
from pose_ros.core.options import option
from pose_ros.errors import ConfigError
from pose_ros.multiview.associate import AssociateOptions
from pose_ros.multiview.fuse import FuserOptions
from pose_ros.multiview.sync import SyncOptions
from pose_ros.multiview.triangulate import TriangulateOptions
from pose_ros.ros.outputs import SkeletonOutputOptions
from pose_ros.tracking.point_filter import FilterOptions
from pose_ros.tracking.track import TrackerOptions

#: Block -> options of a piece.
BLOCKS: Mapping[str, type] = {
    "sync": SyncOptions, "fuser": FuserOptions, "association": AssociateOptions, "triangulation": TriangulateOptions,
    "tracker": TrackerOptions, "filter": FilterOptions,
}
#: What stands for the name of a camera in the names of topics.
CAMERA = "{camera}"


@dataclass(frozen=True)
class MultiviewOptions(SkeletonOutputOptions):
    """Which cameras to hear, where they stand, and what to say."""

    plugin: str = option("multiview_node", "Which node runs under this name.", choices=("multiview_node",))
    cameras: tuple[str, ...] = option((), "Names of the cameras; empty takes those of the calibration file.")
    skeletons_topic: str = option(
        "{camera}/pose/skeletons",
        "Skeletons of each camera; {camera} stands for its name. 'skeleton_info' is expected beside it.",
    )
    camera_info_topic: str = option("{camera}/camera_info", "Calibration of each camera; not heard with a file.")
    camera_info_max_age: float = option(
        5.0, "How far stamps of skeletons and camera_info may lie apart; 0 for any distance.", unit="s", low=0.0,
        high=1e6, live=True,
    )
    rectified: bool = option(False, "Images are rectified: use P of camera_info instead of K and D.", live=True)
    calibration: str = option(
        "", "Calibration file, or a folder of them, of all cameras and where they stand, in place of camera_info and "
        "TF; OpenCV, Anipose, Caliscope, Pose2Sim, Qualisys, CMU Panoptic, or ROS.",
    )
    world_frame: str = option(
        "world", "TF frame in which the cameras stand; skeletons are published in it. Its z points up (REP-103)."
    )
    tf_wait: float = option(
        0.2, "Longest wait for the transforms of a moment, where cameras move.", unit="s", low=0.0, high=10.0, live=True
    )
    skeleton: str = option(
        "", "Convert the skeletons of all cameras to this one, such as coco17, where they are not the same; empty "
        "leaves out cameras whose skeletons are not those of most."
    )
    hands: bool = option(
        False, "Fuse hands, too, where the pose nodes look for them: topic 'hands/skeletons' beside that of each "
        "skeletons_topic.",
    )
    faces: bool = option(False, "The same of faces: 'faces/skeletons'.")
    exact: bool = option(
        False, "The same views give the same bits, however fast and in whichever order they come: nothing depends on "
        "the clock; a camera that is silent is waited for until the others are sync.max_wait ahead.",
    )
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    watchdog: float = option(
        3.0, "Say why, when nothing could be fused for this long; 0 never.", unit="s", low=0.0, high=3600.0, live=True
    )

    @property
    def parts(self) -> tuple[str, ...]:
        """Kinds of parts that are fused, too."""
        return tuple(name for name in PARTS if getattr(self, name))

    def names(self, calibrated: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the names of the cameras; ``calibrated`` are those of the calibration file.

        Raises:
            ConfigError: They are of no use.
        """
        found = tuple(name.strip("/") for name in self.cameras) or calibrated
        if len(found) < 2 or len(set(found)) < len(found):
            raise ConfigError("cameras", f"expected at least two different names, such as [left, right], got "
                                         f"[{', '.join(found)}]")
        strange = [name for name in found if not re.fullmatch(r"[A-Za-z]\w*(/[A-Za-z]\w*)*", name)]
        if strange:
            raise ConfigError("cameras", "expected names as topics have them (letters, digits, _ and /, and a letter "
                                         f"first), got '{strange[0]}'")
        for key in ("skeletons_topic", "camera_info_topic"):
            if CAMERA not in getattr(self, key):
                raise ConfigError(key, f"expected '{CAMERA}' in it, which stands for the name of each camera, got "
                                       f"'{getattr(self, key)}'")
        lacking = [name for name in found if calibrated and name not in calibrated]
        if lacking:
            raise ConfigError("calibration", f"expected a camera '{lacking[0]}' in it, it has {', '.join(calibrated)}")
        return found
