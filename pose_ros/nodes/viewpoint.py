# SPDX-License-Identifier: Apache-2.0
"""Viewpoint: one of several cameras, as its pose node, its driver and TF tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_msgs.msg import Header

from pose_ros.core.camera import Camera
from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import PoseRosError
from pose_ros.msg import SkeletonArray
from pose_ros.multiview.clocks import Late
from pose_ros.multiview.health import CameraHealth
from pose_ros.multiview.rig import PosedCamera
from pose_ros.nodes.multiview_options import MultiviewOptions
from pose_ros.nodes.stream import Stream, beside
from pose_ros.nodes.tally import stamp_ns
from pose_ros.nodes.together import Together
from pose_ros.ros.calibration import Calibration, CalibrationOptions
from pose_ros.ros.frames import Frames
from pose_ros.ros.health import Health, Rate
from pose_ros.ros.qos import sensor
from pose_ros.ros.watchdog import why_silent

#: A camera that has said nothing for this long is silent; seconds.
_SILENT_S = 2.0
#: What is said of a camera that disagrees, if it cannot be told which one is wrong.
_SUSPECT = ", but it or another suspect is wrong: it was moved, or its calibration or its transform is wrong"
#: What lasts shorter is not worth a line in the log: camera_info and transforms come after the first skeletons.
_PASSING_S = 1.0


@dataclass(frozen=True, eq=False)
class Sight:
    """What one camera saw at one moment."""

    header: Header
    size_wh: tuple[int, int]
    poses: Poses
    model: str
    #: ``hands``, ``faces``: those of the poses and what made them, where they came.
    parts: Mapping[str, tuple[Poses, str]] = field(default_factory=dict)


class Viewpoint:
    """Hears the skeletons of one camera and its calibration, and knows whether both are of use."""

    def __init__(
        self, node: Node, name: str, options: Callable[[], MultiviewOptions], known: PosedCamera | None,
        accept: Callable[[str, Sight], None], health: Health,
    ) -> None:
        """Subscribe.

        Args:
            node: Subscribes.
            name: Of the camera.
            options: Returns what holds at present.
            known: The camera, where a file says what it is; otherwise CameraInfo and TF do.
            accept: Told (name, sight).
            health: Says what is wrong.
        """
        self.name, self._node, self._known, self._health = name, node, known, health
        self._options = options
        self._together: Together[Sight, tuple[Poses, str]] = Together(
            lambda sight, parts: accept(name, replace(sight, parts=parts))
        )
        topic = options().skeletons_topic.format(camera=name)
        self._stream = Stream(node, topic, lambda *_: None, self._take)
        self._parts = {
            part: Stream(node, beside(topic, part), lambda *_: None, partial(self._take_part, part))
            for part in options().parts
        }
        self._calibration: Calibration | None = None
        if known is None:
            topic = options().camera_info_topic.format(camera=name)

            def where() -> CalibrationOptions:
                return CalibrationOptions(topic, options().camera_info_max_age, options().rectified)

            self._calibration = Calibration(node, where, self._note)
        self._rate, self._placed = Rate(), known
        self._uncalibrated = ""
        #: Optical frame of the newest sight.
        self.frame_id = ""
        #: Stamp of the newest sight, nanoseconds; 0 before the first.
        self.newest_ns = 0
        #: Why the newest sight is of no use; empty while it is.
        self.problem = ""
        self._well = time.monotonic()
        self._used = Rate()
        #: Seconds from the newest set to the newest sight that is in none.
        self._off_s = 0.0

    def _take(self, msg: SkeletonArray, poses: Poses) -> None:
        self._rate.tick()
        self.frame_id, self.newest_ns = msg.header.frame_id, stamp_ns(msg)
        sight = Sight(msg.header, (msg.image_width, msg.image_height), poses, msg.model)
        # A pose node that looks for parts publishes those of every image.
        there = [part for part, stream in self._parts.items() if self._node.count_publishers(stream.topics[1])]
        self._together.whole(self.newest_ns, sight, there)

    def _take_part(self, part: str, msg: SkeletonArray, poses: Poses) -> None:
        self._together.part(part, stamp_ns(msg), (poses, msg.model))

    def _note(self, problem: str) -> None:
        self._uncalibrated = problem.replace(": no 3D", "")

    def refuse(self, problem: str) -> None:
        """Remember why this camera is left out, until a sight is of use, and say it if that lasts."""
        self.problem = problem
        if time.monotonic() - self._well > _PASSING_S:
            self._health.say(f"{self.name} is left out: {problem}")

    def use(self) -> None:
        """Note that the newest sight was of use."""
        self.problem, self._well, self._off_s = "", time.monotonic(), 0.0
        self._used.tick()

    def miss(self, stamp: int) -> None:
        """Note that a set of that stamp went without this camera."""
        self._off_s = (self.newest_ns - stamp) * 1e-9

    def placed(self, sight: Sight, world: str, frames: Frames | None) -> PosedCamera | None:
        """Return the camera and where it stood at the stamp of a sight; None, with the reason said, if not known.

        The same object is returned for as long as nothing has changed.
        """
        if self._known is not None:
            if tuple(self._known.camera.size_wh) == sight.size_wh:
                return self._known
            expected, came = ("x".join(map(str, size)) for size in (self._known.camera.size_wh, sight.size_wh))
            self.refuse(f"its calibration is for images of {expected} pixels, they have {came}; calibrate at that size")
            return None
        assert self._calibration is not None
        assert frames is not None
        camera = self._calibration.camera(sight.header, sight.size_wh)
        if camera is None:
            # It says once why it cannot read what comes, and nothing while nothing comes.
            self.refuse(self._uncalibrated or self._without_info())
            return None
        self._uncalibrated = ""
        stamp = sight.header.stamp.sec * 1_000_000_000 + sight.header.stamp.nanosec
        place = frames.lookup(sight.header.frame_id, world, stamp)
        if place is None:
            self.refuse(frames.why_not(sight.header.frame_id, world, stamp))
            return None
        self._placed = _same(self._placed, self.name, camera, *place)
        return self._placed

    def fits(self, sight: Sight, skeleton: Skeleton) -> Poses | None:
        """Return the poses of a sight in a skeleton; None, with the reason said, if they are of another one."""
        # Whose parts they are, each camera says by numbers of its own.
        poses = sight.poses.replace(parents=np.zeros(len(sight.poses), np.int64))
        if poses.skeleton == skeleton:
            return poses
        if not self._options().skeleton:
            self.refuse(f"its skeletons are {sight.poses.skeleton.name}, those of the others {skeleton.name}; run the "
                        "same model on all cameras, or set parameter skeleton to what all can be converted to")
            return None
        try:
            return poses.to(skeleton)
        except PoseRosError as error:
            self.refuse(f"its skeletons are {sight.poses.skeleton.name}: {error}")
            return None

    @property
    def unmatched(self) -> str:
        """Why sights come and are in no set; empty while they are."""
        if self.silent or self.problem or self._used.age_s - self._rate.age_s < _PASSING_S or not self._off_s:
            return ""
        return (f"its stamps are {abs(self._off_s):.3f} s {'ahead of' if self._off_s > 0 else 'behind'} those of the "
                "others: synchronise the clocks or the triggers of the cameras, or set parameter sync.tolerance")

    @property
    def silent(self) -> bool:
        """Whether no sight has come for a while."""
        return self._rate.age_s > _SILENT_S

    def silence(self) -> str:
        """Return why no sight comes."""
        topic = self._options().skeletons_topic.format(camera=self.name)
        if np.isfinite(self._rate.age_s):
            return f"no skeletons for {self._rate.age_s:.0f} s: {self._why(topic, 'SkeletonArray')}"
        if self._stream.early:
            return f"skeletons come, but nothing explains them: {self._why(self._stream.topics[0], 'SkeletonInfo')}"
        return f"no skeletons yet: {self._why(topic, 'SkeletonArray')}"

    def _why(self, topic: str, kind: str) -> str:
        return why_silent(self._node, topic, f"pose_ros/msg/{kind}", sensor("reliable"), "skeletons", "skeletons_topic")

    def _without_info(self) -> str:
        topic = self._options().camera_info_topic.format(camera=self.name)
        why = why_silent(self._node, topic, "sensor_msgs/msg/CameraInfo", sensor(depth=5), "camera_info",
                         "camera_info_topic")
        return f"no camera_info yet: {why}"

    def status(self, health: CameraHealth, late: Late | None = None) -> DiagnosticStatus:
        """Return the diagnostics of this camera: how well it agrees with the others, and how late its stamps are."""
        used = self._used.age_s < _SILENT_S
        warning = self.silence() if self.silent else self.problem or self.unmatched
        clock = ""
        if late is not None and late.sure:
            when = "late" if late.seconds > 0 else "early"
            clock = (f"its stamps are about {1000 * abs(late.seconds):.0f} ms too {when} beside those of the others; "
                     "let its driver say when images are taken, or synchronise the clocks")
        if health.left_out and not warning and clock:
            warning = f"is {health.misfit:.1f} times further off than the others are: {clock}"
        if health.left_out and not warning:
            warning = (f"is {health.misfit:.1f} times further off than the others are: it was moved, or its "
                       "calibration or its transform is wrong; calibrate it again")
        return self._health.status_of(
            self.name, f"used{f', but {clock}' if clock else _SUSPECT * health.suspect}" if used else
            "waits for the others",
            f"left out: {warning}" if warning else "",
            rate_hz=f"{self._rate.hz:.1f}",
            last_seen_s=f"{self._rate.age_s:.1f}" if np.isfinite(self._rate.age_s) else "",
            frame_id=self.frame_id,
            reprojection_error_px=f"{health.residual:.2f}" if health.sights else "",
            disagrees_percent=f"{100 * health.dropped:.0f}" if health.sights else "",
            clock_late_ms=f"{1000 * late.seconds:.1f}" if late is not None else "",
            misfit=f"{health.misfit:.2f}" if health.sights else "",
        )

    def close(self) -> None:
        """Unsubscribe."""
        for stream in (self._stream, *self._parts.values()):
            stream.close()
        if self._calibration is not None:
            self._calibration.close()


def _same(
    before: PosedCamera | None, name: str, camera: Camera, rotation: np.ndarray, translation: np.ndarray
) -> PosedCamera:
    """Return the same object for as long as the camera is the same and stands still."""
    if before is not None and before.camera is camera and (
        np.array_equal(before.rotation, rotation) and np.array_equal(before.translation, translation)
    ):
        return before
    return PosedCamera(name, camera, rotation, translation)
