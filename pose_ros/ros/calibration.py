# SPDX-License-Identifier: Apache-2.0
"""Calibration: which camera took this image?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.options import option
from pose_ros.errors import PoseRosError
from pose_ros.ros.cameras import camera_from_info
from pose_ros.ros.intake import Latest
from pose_ros.ros.qos import sensor
from pose_ros.ros.watchdog import why_silent


@dataclass(frozen=True)
class CalibrationOptions:
    """Where the calibration comes from, and how long it holds."""

    camera_info_topic: str = option("camera_info", "Calibration of the camera; without one there is no metric 3D.")
    camera_info_max_age: float = option(
        5.0, "How far stamps of image and camera_info may lie apart; 0 for any distance.", unit="s", low=0.0, high=1e6,
        live=True,
    )
    rectified: bool = option(False, "Images are rectified: use P of camera_info instead of K and D.", live=True)


class Calibration:
    """The last CameraInfo, turned into a Camera once and for as long as it says the same."""

    def __init__(self, node: Node, options: Callable[[], CalibrationOptions], say: Callable[[str], None]) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            options: Returns what holds at present.
            say: Told why an image has no camera.
        """
        self._node, self._options, self._say = node, options, say
        #: What the camera was made of, the camera, and why there is none.
        self._made: tuple[tuple, Camera | None, str] = ((), None, "")
        #: Why the last image has no camera; empty when it has one, or none was ever heard of.
        self.problem = ""
        self._info = Latest(node, CameraInfo, options().camera_info_topic, sensor())

    @property
    def known(self) -> bool:
        """Whether there is a usable camera."""
        return self._made[1] is not None or (not self._made[0] and self._info() is not None)

    @property
    def state(self) -> str:
        """What is known, in a few words."""
        return self.problem or ("calibrated" if self._made[1] is not None else "no camera_info so far")

    def camera(self, header: Header, size_wh: tuple[int, int]) -> Camera | None:
        """Return the camera of an image with this header and size; None, and a word why, when it is not known."""
        info, options = self._info(), self._options()
        if info is None:
            return None
        self.problem = ""
        if info.header.frame_id != header.frame_id:
            self._note(f"camera_info is of frame '{info.header.frame_id}', the image of '{header.frame_id}': "
                      "no 3D; set parameter camera_info_topic")
            return None
        age_s = abs(_seconds(header) - _seconds(info.header))
        if 0 < options.camera_info_max_age < age_s:
            self._note(f"camera_info is {age_s:.1f} s away from the image: no 3D; "
                      "publish it with every image, or set parameter camera_info_max_age")
            return None
        key = (size_wh, options.rectified, info.width, info.height, info.distortion_model, tuple(info.d),
               tuple(info.k), tuple(info.p), info.binning_x, info.binning_y, info.roi.x_offset, info.roi.y_offset,
               info.roi.width, info.roi.height)
        if self._made[0] != key:
            try:
                self._made = key, camera_from_info(info, size_wh, rectified=options.rectified), ""
            except PoseRosError as error:
                self._made = key, None, f"{error}: no 3D"
        if self._made[2]:
            self._note(self._made[2])
        return self._made[1]

    def why_none(self) -> str:
        """Say why images have no camera, and what to do."""
        options = self._options()
        return self.problem or why_silent(self._node, options.camera_info_topic, "sensor_msgs/msg/CameraInfo",
                                          sensor(depth=5), "camera_info", "camera_info_topic")

    def _note(self, problem: str) -> None:
        self.problem = problem
        self._say(problem)

    def close(self) -> None:
        """Unsubscribe."""
        self._info.close()


def _seconds(header: Header) -> float:
    return header.stamp.sec + header.stamp.nanosec * 1e-9
