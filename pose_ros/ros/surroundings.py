# SPDX-License-Identifier: Apache-2.0
"""Surroundings: what is known of the moment of an image beside the image: camera, depth, where the camera stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.core.frame import Fixed, Frame
from pose_ros.core.options import option
from pose_ros.rgbd.options import DepthOptions
from pose_ros.ros.calibration import Calibration, CalibrationOptions
from pose_ros.ros.depth_source import DepthSource, DepthSourceOptions
from pose_ros.ros.frames import EXACT_S, Frames
from pose_ros.space import Moment
from pose_ros.tracking.point_filter import FilterOptions

#: Who begins to hear TF says nothing of what is missing for so long, seconds.
_DISCOVERY_S = 1.0
#: Nobody knows where people are after so long; stamps that are older are of another clock, seconds.
_PREDICTABLE_S = 1.0


@dataclass(frozen=True)
class SurroundingsOptions(CalibrationOptions, DepthSourceOptions):
    """Where all that comes from."""

    tf_wait: float = option(
        0.05, "How long an image waits for transforms of its moment, where filter.filtering_frame or depth of another "
        "frame need them.", unit="s", low=0.0, high=2.0, live=True,
    )


class Surroundings:
    """Hears what belongs to images; listens to depth and TF only where they are wanted."""

    def __init__(
        self, node: Node, options: Callable[[], SurroundingsOptions], rgbd: Callable[[], DepthOptions],
        filter: Callable[[], FilterOptions], say: Callable[[str], None], images: QoSProfile, *, exact: bool = False,
    ) -> None:
        """Subscribe to the calibration.

        Args:
            node: Subscribes.
            options: Returns where things come from.
            rgbd: Returns how depth is used.
            filter: Returns how points are filtered.
            say: Told what is missing, and why.
            images: How images are heard.
            exact: Whether to be patient, as everything has been sent before its image.

        Raises:
            ConfigError: Depth is to come from two topics.
        """
        self._node, self._options, self._rgbd, self._filter, self._listener = node, options, rgbd, filter, say
        self.calibration = Calibration(node, options, say)
        self._exact = exact
        self._depth = (
            DepthSource(node, options, lambda: rgbd().max_time_difference, self._transform, self._say, images,
                        exact=exact)
            if options().depth_or_points_topic else None
        )
        self._frames: Frames | None = None
        self._heard_since = 0.0
        #: Why the last image has no depth, or no transform; empty when it has what it should.
        self.lacks = ""
        self._unplaced = 0
        #: Of the image at hand: when it came, and what it lacks.
        self._came, self._lacking = 0.0, list[str]()

    @property
    def counts(self) -> dict[str, object]:
        """What diagnostics say of the camera, of depth where it is wanted, and of TF where that was asked."""
        tf = {"tf_missed": self._unplaced} if self._frames is not None else {}
        return {"camera": self.calibration.state, **(self._depth.counts if self._depth is not None else {}), **tf}

    def listen(self, wanted: bool) -> None:
        """Begin or end to hear depth, which is much to hear when nobody needs it."""
        if self._depth is not None:
            self._depth.listen(wanted)
        if wanted and self._exact and (self._depth is not None or self._filter().filtering_frame):
            self._hear_frames()  # before the first image
        if not wanted:
            self.lacks = ""

    def frame(self, image: np.ndarray, header: Header) -> Frame:
        """Return an image with all that belongs to it; what may come later is asked for by :meth:`Frame.complete`.

        Args:
            image: RGB uint8 (H, W, 3).
            header: Of its message.
        """
        self._came, self._lacking = time.monotonic(), []
        stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        camera = self.calibration.camera(header, (image.shape[1], image.shape[0]))

        def late(frame: Frame) -> Frame:
            camera = frame.camera or self.calibration.camera(header, frame.size_wh)
            depth, fixed = self._depth_at(header, camera), self._fixed(header.frame_id, stamp_ns)
            self.lacks = next(iter(self._lacking), "")
            return replace(frame, camera=camera, depth=depth, fixed=fixed)

        wanted = self._depth is not None or self._filter().filtering_frame
        if not wanted:
            self.lacks = ""
        return Frame(image, stamp_ns, header.frame_id, camera, late=late if wanted else None)

    def now(self, frame: Frame) -> Moment:
        """Return the present moment, or the last one for which it is known where a camera that moves stands.

        Args:
            frame: Of the camera; its own moment is returned where its stamp is of another clock.
        """
        stamp_ns, then = self._node.get_clock().now().nanoseconds, Moment(frame.stamp_ns, frame.fixed)
        age_s = (stamp_ns - frame.stamp_ns) * 1e-9
        if not 0 <= age_s <= _PREDICTABLE_S:
            self._say(f"filter.predict_to_now: the image is {age_s:.1f} s old by the node's clock, expected 0 to "
                      f"{_PREDICTABLE_S:g} s, and nothing is predicted; set use_sim_time where a bag is played, or "
                      "synchronise the clocks")
            self.lacks = self._lacking[0]
            return then
        if frame.fixed is None or self._frames is None:
            return Moment(stamp_ns, frame.fixed)
        names = self._filter().filtering_frame, frame.frame_id
        known_ns = self._frames.newest(*names)
        stamp_ns = stamp_ns if known_ns is None else min(stamp_ns, known_ns)
        fixed = self._frames.lookup(*names, stamp_ns)
        return then if fixed is None else Moment(stamp_ns, fixed)

    def _say(self, text: str) -> None:
        """Say why the image at hand lacks something."""
        self._lacking.append(text)
        self._listener(text)

    def _depth_at(self, header: Header, camera: Camera | None) -> Depth | None:
        if self._depth is None:
            return None
        if camera is None:
            self._say("depth: the colour camera is not calibrated, and depth is of no use without; "
                      f"set camera_info_topic: {self.calibration.why_none()}")
            return None
        return self._depth.at(header, camera, self._came + self._patience(self._options().depth_wait))

    def _fixed(self, frame_id: str, stamp_ns: int) -> Fixed | None:
        """Return how the camera stands in the filtering frame; None where there is none, or TF does not say."""
        target = self._filter().filtering_frame
        if not target:
            return None
        found = self._transform(target, frame_id, stamp_ns)
        if isinstance(found, str):
            if found:
                self._say(f"filter.filtering_frame: {found}; points are filtered in the camera's frame")
            return None
        return found

    def _transform(self, target: str, source: str, stamp_ns: int) -> Fixed | str:
        """Return how one frame stands to another, or why that is not known; empty if it may be a moment later."""
        frames = self._hear_frames()
        frames.wait_for(target, source, stamp_ns, self._came + self._patience(self._options().tf_wait))
        found = frames.lookup(target, source, stamp_ns)
        if found is not None:
            return found
        self._unplaced += 1
        young = time.monotonic() - self._heard_since < _DISCOVERY_S
        return "" if young else frames.why_not(target, source, stamp_ns)

    def _hear_frames(self) -> Frames:
        if self._frames is None:
            self._frames, self._heard_since = Frames(self._node, self._listener, exact=self._exact), time.monotonic()
        return self._frames

    def _patience(self, seconds: float) -> float:
        return max(seconds, EXACT_S) if self._exact else seconds

    def close(self) -> None:
        """Unsubscribe."""
        for piece in (self.calibration, self._depth, self._frames):
            if piece is not None:
                piece.close()
