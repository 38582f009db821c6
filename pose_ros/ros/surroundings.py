# SPDX-License-Identifier: Apache-2.0
"""Surroundings: what is known of the moment of an image beside the image: camera, depth, where the camera stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header

from pose_ros.core.depth_options import DepthOptions
from pose_ros.core.frame import Frame
from pose_ros.core.point_filter import FilterOptions
from pose_ros.core.stages import Stages
from pose_ros.ros.calibration import Calibration, CalibrationOptions
from pose_ros.ros.depth_source import DepthSource, DepthSourceOptions
from pose_ros.ros.frames import Frames


@dataclass(frozen=True)
class SurroundingsOptions(CalibrationOptions, DepthSourceOptions):
    """Where all that comes from."""


class Surroundings:
    """Hears what belongs to images; listens to depth and TF only where they are wanted."""

    def __init__(
        self, node: Node, options: Callable[[], SurroundingsOptions], rgbd: Callable[[], DepthOptions],
        filter: Callable[[], FilterOptions], say: Callable[[str], None],
    ) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            options: Returns where things come from.
            rgbd: Returns how depth is used.
            filter: Returns how points are filtered.
            say: Told what is missing, and why.
        """
        self._filter, self._say = filter, say
        self.calibration = Calibration(node, options, say)
        depth = bool(options().depth_or_points_topic)
        self._frames = Frames(node, say) if depth or filter().filtering_frame else None
        self._depth = (
            DepthSource(node, options, lambda: rgbd().max_time_difference, self._frames, say) if depth else None
        )

    @property
    def counts(self) -> dict[str, int]:
        """What diagnostics say of depth; empty where there is none."""
        return {} if self._depth is None else self._depth.counts

    def frame(self, image: np.ndarray, header: Header, stages: Stages) -> Frame:
        """Return an image with all that belongs to it.

        Args:
            image: RGB uint8 (H, W, 3).
            header: Of its message.
            stages: Takes the time that it waits for depth.
        """
        stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        camera = self.calibration.camera(header, (image.shape[1], image.shape[0]))
        depth = None
        if self._depth is not None:
            if camera is None:
                self._say("depth: the colour camera is not calibrated, and depth is of no use without; "
                          "set camera_info_topic")
            else:
                with stages("match"):
                    depth = self._depth.at(header, camera)
        return Frame(image, stamp_ns, header.frame_id, camera, depth, self._fixed(header.frame_id, stamp_ns))

    def _fixed(self, frame_id: str, stamp_ns: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return how the camera stands in the filtering frame; None where there is none, or TF does not say."""
        target = self._filter().filtering_frame
        if not target or self._frames is None:
            return None
        found = self._frames.lookup(target, frame_id, stamp_ns)
        if found is None:
            self._say(f"filter.filtering_frame: {self._frames.why_not(target, frame_id, stamp_ns)}; "
                      "points are filtered in the camera's frame")
        return found

    def close(self) -> None:
        """Unsubscribe."""
        for piece in (self.calibration, self._depth, self._frames):
            if piece is not None:
                piece.close()
